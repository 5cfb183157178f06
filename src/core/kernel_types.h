// SPDX-License-Identifier: Apache-2.0
// The names of kernel C that argument structs (kernels/*_args.h) use, for the host that fills them.
#ifndef CARAT_CORE_KERNEL_TYPES_H
#define CARAT_CORE_KERNEL_TYPES_H

#include <stdint.h>

typedef int32_t i32;
typedef int64_t i64;
typedef uint32_t u32;
typedef uint64_t u64;
typedef float f32;
typedef double f64;

#endif
