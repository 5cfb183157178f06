// SPDX-License-Identifier: Apache-2.0
// Between the parts of the create family: operators and CPUs (create.c), groups of many lanes (create_lanes.c).
#ifndef CARAT_OPS_CREATE_H
#define CARAT_OPS_CREATE_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "create_args.h"

typedef enum carat_create_kind { CREATE_RANGE, CREATE_LINSPACE, CREATE_TRI, CREATE_ISIN, CREATE_KINDS } carat_create_kind;

// The element types that a kind has kernels for.
uint32_t carat_create_dtypes(carat_create_kind kind);

// Steps aside where ATen is faster with triangles on a device. The arguments have `in` and, if it is given, `out`.
carat_status carat_create_check_triangles(const create_args *a, carat_dtype dtype);

// Arguments of the CPU's kernel; those of CREATE_ISIN hold one value in memory of the host if `number`.
carat_status carat_create_launch_lanes(const carat_frame *call, carat_create_kind kind, carat_dtype dtype, const create_args *a, bool number);
void carat_create_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_create_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

#endif
