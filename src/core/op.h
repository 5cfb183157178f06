// SPDX-License-Identifier: Apache-2.0
// Operators inside the library: rows of the table, families that run them, and a call in flight.
#ifndef CARAT_CORE_OP_H
#define CARAT_CORE_OP_H

#include <carat/carat.h>
#include <carat/carat_backend.h>
#include <stdbool.h>

typedef struct carat_family carat_family;
typedef struct carat_frame carat_frame;

// What every operator row has. A family's own rows embed it as their first member.
typedef struct carat_row {
    const char *id;        // "exp": unique in its family
    const char *overloads; // ATen overload names, space separated: "exp exp_ exp.out"
    uint32_t dtypes;       // 1u << CARAT_f32 ...: what the first tensor may be; for documents, tests and benchmarks
    carat_status (*run)(carat_frame *call); // NULL: the family's
} carat_row;

// Which kernel: POD, compared bytewise. The family gives meaning to `row`, `dtypes` and `params`.
typedef struct carat_key {
    uint8_t family;    // enum carat_family_id
    uint8_t reserved;
    uint16_t row;
    uint8_t dtypes[4]; // carat_dtype
    uint8_t params[8];
} carat_key;
_Static_assert(sizeof(carat_key) == 16, "keys are hashed and compared as 16 bytes");

// The -D constants of a specialisation, as text: "-DNAME=value" separated by '\n' (values may hold spaces).
typedef struct carat_defines {
    char text[65536]; // long enough for the steps of an expression
    size_t length;
} carat_defines;
// A define that compilers are told of: no product is fused with a sum, but in the words of mathematics.
#define CARAT_NO_CONTRACTION "NO_CONTRACTION"
void carat_define(carat_defines *defines, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct carat_family {
    const char *name;   // "softmax"
    const char *source; // the kernel file: "softmax.k.c"
    const char *lanes_source; // the one for groups of many lanes, where one lane's shape doesn't suit them; NULL: CPUs only
    const carat_row *rows; // or larger structs that begin with one
    size_t row_size;
    int row_count;
    carat_status (*run)(carat_frame *call);
    bool (*row_has_lanes)(int index); // whether lanes_source serves a row; NULL: all of them
    bool (*row_for_devices)(int index); // whether a CPU has nothing for a row; NULL: none
    bool row_kernels;  // each row has kernels of its own, whose keys say its number
    // Whether an argument of a row may be a 0-d tensor of the host beside tensors of a device: a number. NULL: none.
    bool (*takes_number)(int row, int argument);

    // Writes the constants of a key's kernel for a target. The kernel's entry is named by KERNEL_NAME, added by the caller.
    void (*describe)(const carat_key *key, const carat_target *target, carat_defines *defines);
    // Calls emit for every key that the package's pack holds.
    void (*enumerate)(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);
};

static inline const carat_row *carat_family_row(const carat_family *family, int index)
{
    return (const carat_row *)((const char *)family->rows + (size_t)index * family->row_size);
}

// The kernel file of a family for a target; NULL if it has none.
static inline const char *carat_family_source(const carat_family *family, const carat_target *target)
{
    return target->lanes > 1 ? family->lanes_source : family->source;
}

static inline bool carat_family_has_lanes(const carat_family *family, int row)
{
    return family->lanes_source && (!family->row_has_lanes || family->row_has_lanes(row));
}

// Whether it has kernels of one lane.
static inline bool carat_family_has_cpu(const carat_family *family, int row)
{
    return !family->row_for_devices || !family->row_for_devices(row);
}

// The families, in ops/families.def. Their numbers go into keys.
typedef enum carat_family_id {
#define FAMILY(name) CARAT_FAMILY_##name,
#include "families.def"
#undef FAMILY
    CARAT_FAMILY_COUNT
} carat_family_id;
#define FAMILY(name) extern const carat_family carat_family_##name;
#include "families.def"
#undef FAMILY
const carat_family *carat_family_at(int id);

struct carat_op {
    const char *name;
    const carat_family *family;
    const carat_row *row;
    uint16_t row_index;
    bool in_place; // args[0] is written
    struct carat_op *next; // of those made at run time
};

// Makes an operator findable by its name, from any thread and for good; answers the one of that name if there is one already.
const carat_op *carat_op_publish(carat_op *op);

// One call in flight, on the caller's stack.
struct carat_frame {
    const carat_context *context;
    const carat_op *op;
    const carat_arg *args;
    int nargs;
    const carat_tensor *outs; // of an out= form
    int nouts;
    const carat_backend *backend;
    carat_device device;
    int first_output; // number of this call's output 0 among the results, when it is one of a list's calls
    bool check_only;  // answer as the call would, but make and write nothing (pointwise only)
    bool checked;     // a call with check_only was answered with CARAT_OK, so nothing is checked again (pointwise only)
};

// The backend of a device type if it is built in and can run here, else NULL (src/backends).
const carat_backend *carat_backend_for(int32_t device_type);
// Whether Carat was built with a backend for it.
bool carat_backend_built(int32_t device_type);

// Whether the kernels of the call's device work in groups of many lanes.
static inline bool carat_has_lanes(const carat_frame *call)
{
    return call->device.type != CARAT_CPU && call->backend->target(call->device)->lanes > 1;
}

// ---- answering

// Steps aside: nothing was touched, the host runs its own operator. `reason` is a string literal.
carat_status carat_step_aside(const char *reason);
// Fails with a message.
carat_status carat_fail(carat_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define CARAT_TRY(expression)                          \
    do {                                               \
        const carat_status try_status = (expression);  \
        if (try_status != CARAT_OK) return try_status; \
    } while (0)

// ---- running

// Looks up the kernel of a key on the call's device and runs it over `groups` groups; a thread takes at least `grain`.
carat_status carat_run_kernel(const carat_frame *call, const carat_key *key, const void *args, size_t args_size,
                              int64_t groups, int64_t grain);
// The same for a kernel that only goes on from what the call's last launch left (see carat_backend.launch_after).
carat_status carat_run_kernel_after(const carat_frame *call, const carat_key *key, const void *args, size_t args_size,
                                    int64_t groups, int64_t grain);
// Short-lived memory that kernels of the call's device can use; NULL if there is none.
void *carat_scratch_alloc(const carat_frame *call, size_t bytes);
void carat_scratch_free(const carat_frame *call, void *block);
// The threads that a launch may use at a time.
static inline int carat_thread_count(const carat_frame *call)
{
    return call->context->thread_count ? call->context->thread_count(call->context->host) : 1;
}

// Whether the device has instructions for products of a dtype that kernels don't reach (see carat_backend.native_products).
static inline bool carat_multiplies_natively(const carat_frame *call, carat_dtype dtype)
{
    return call->backend->native_products && (call->backend->native_products(call->device) >> dtype & 1);
}

// Whether our own kernels have a matrix unit for products of a dtype on a target.
static inline bool carat_has_tiles(const carat_target *target, carat_dtype dtype)
{
    return target->half_tiles && dtype == CARAT_bf16;
}

// Calls draw with the state of generator argument i (see carat_context.with_generator), under its lock.
carat_status carat_with_generator(const carat_frame *call, int i, carat_status (*draw)(void *arg, uint32_t *words, int32_t *taken), void *arg);

// Takes counters for the call from the device's generator that argument i names.
carat_status carat_take_philox(const carat_frame *call, int i, uint64_t count, carat_philox *taken);

// ---- arguments: helpers for the values that schemas have

static inline const carat_tensor *carat_tensor_arg(const carat_frame *call, int i)
{
    return i < call->nargs && call->args[i].kind == CARAT_ARG_TENSOR ? &call->args[i].tensor : NULL;
}
static inline int64_t carat_int_arg(const carat_frame *call, int i, int64_t missing)
{
    return i < call->nargs && call->args[i].kind == CARAT_ARG_INT ? call->args[i].i : missing;
}
// Float arguments may arrive as FLOAT, INT or SCALAR.
double carat_float_arg(const carat_frame *call, int i, double missing);

// ---- outputs

// Output `index` of the call with the dtype, shape and strides (NULL: contiguous) that ATen gives a functional result:
// makes it, or takes the in-place or out= tensor if it has that shape and dtype and doesn't overlap itself (it keeps its
// own strides); else steps aside. `shape_store` must outlive `out` and holds shape and strides of a made output.
typedef struct carat_output {
    carat_tensor view;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
} carat_output;
carat_status carat_output_make(carat_frame *call, int index, carat_dtype dtype, int ndim, const int64_t *shape,
                               const int64_t *strides, carat_output *out);
// The tensor that output `index` will be written to if the form brings one (in-place, out=), else NULL. Lets a family
// decide whether to step aside before it makes any output.
const carat_tensor *carat_output_given(const carat_frame *call, int index);
// Whether a given output would be refused by carat_output_make; CARAT_OK if none is given. Steps aside, touches nothing.
carat_status carat_output_check(const carat_frame *call, int index, carat_dtype dtype, int ndim, const int64_t *shape);

#endif
