// SPDX-License-Identifier: Apache-2.0
// Carat's public C API: tensors by view, operators by name, errors by status.
//
// Every function is thread-safe unless it says otherwise. Nothing here aborts, exits or prints. A call that fails
// returns a status other than CARAT_OK and leaves a message with the offending values in carat_last_error().
#ifndef CARAT_H
#define CARAT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(CARAT_BUILD) && defined(__GNUC__)
#define CARAT_API __attribute__((visibility("default")))
#else
#define CARAT_API
#endif

#define CARAT_MAX_DIMS 16   // dimensions of a tensor
#define CARAT_MAX_OUTPUTS 4 // results of one operator

// ---------------------------------------------------------------------------------------------------- status

typedef enum carat_status {
    CARAT_OK = 0,
    CARAT_UNSUPPORTED,      // valid perhaps, but not served here: the host should use its own operator. Nothing was touched.
    CARAT_INVALID_ARGUMENT, // wrong number, kind or value of an argument
    CARAT_INVALID_SHAPE,    // shapes, dimensions or strides that don't fit
    CARAT_INVALID_DTYPE,    // a dtype that the operator does not take
    CARAT_OUT_OF_RANGE,     // an index or dimension outside its range
    CARAT_OUT_OF_MEMORY,
    CARAT_NOT_FOUND,        // no such operator, backend or kernel
    CARAT_COMPILE_ERROR,    // a kernel did not compile; the message carries the compiler's words
    CARAT_IO_ERROR,         // a file or directory could not be used
    CARAT_INTERNAL_ERROR,   // a defect in Carat
} carat_status;

// The name of a status, "CARAT_OK" and so on; never NULL.
CARAT_API const char *carat_status_name(carat_status status);

// The calling thread's message for its last call that did not return CARAT_OK; "" if there is none. Valid until the
// thread's next failing call.
CARAT_API const char *carat_last_error(void);

// ---------------------------------------------------------------------------------------------------- tensors

// The element types, one row each: name in kernel C, size in bytes, DLPack code, and PyTorch's ScalarType number.
#define CARAT_DTYPES(DTYPE)                    \
    /*     name  bytes  dlpack  torch        */ \
    DTYPE( b8,   1,     6,      11 )           \
    DTYPE( u8,   1,     1,      0 )            \
    DTYPE( i8,   1,     0,      1 )            \
    DTYPE( i16,  2,     0,      2 )            \
    DTYPE( i32,  4,     0,      3 )            \
    DTYPE( i64,  8,     0,      4 )            \
    DTYPE( f16,  2,     2,      5 )            \
    DTYPE( bf16, 2,     4,      15 )           \
    DTYPE( f32,  4,     2,      6 )            \
    DTYPE( f64,  8,     2,      7 )            \
    DTYPE( c64,  8,     5,      9 )            \
    DTYPE( c128, 16,    5,      10 )           \
    DTYPE( u16,  2,     1,      27 )           \
    DTYPE( u32,  4,     1,      28 )           \
    DTYPE( u64,  8,     1,      29 )           \
    DTYPE( f8e5m2,    1, 12,    23 )           \
    DTYPE( f8e4m3,    1, 10,    24 )

typedef enum carat_dtype {
#define DTYPE(name, bytes, dlpack, torch) CARAT_##name,
    CARAT_DTYPES(DTYPE)
#undef DTYPE
    CARAT_DTYPE_COUNT,
    CARAT_DTYPE_NONE = 255
} carat_dtype;

CARAT_API const char *carat_dtype_name(carat_dtype dtype); // "f32"; "?" for anything else
CARAT_API size_t carat_dtype_size(carat_dtype dtype);      // bytes of an element; 0 for anything else

// The same values as DLPack's DLDeviceType.
typedef enum carat_device_type { CARAT_CPU = 1, CARAT_CUDA = 2, CARAT_OPENCL = 4, CARAT_HIP = 10 } carat_device_type;

typedef struct carat_device {
    int32_t type; // carat_device_type
    int32_t index;
} carat_device;

typedef struct carat_dl_dtype {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
} carat_dl_dtype;

// A borrowed view of a tensor, laid out like DLPack's DLTensor: Carat never frees or keeps what it points to.
// `shape` and `strides` have `ndim` entries; strides count elements, may be 0 or negative, and may not be NULL
// unless ndim is 0. A tensor with no elements may have data NULL.
typedef struct carat_tensor {
    void *data;
    carat_device device;
    int32_t ndim;
    carat_dl_dtype dl_dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} carat_tensor;

CARAT_API carat_dl_dtype carat_dtype_to_dl(carat_dtype dtype);
CARAT_API carat_dtype carat_dtype_from_dl(carat_dl_dtype dtype); // CARAT_DTYPE_NONE if Carat has no such type

// ---------------------------------------------------------------------------------------------------- arguments

// A number as a program wrote it: its kind takes part in type promotion as in PyTorch.
typedef enum carat_scalar_kind { CARAT_SCALAR_BOOL, CARAT_SCALAR_INT, CARAT_SCALAR_FLOAT, CARAT_SCALAR_COMPLEX } carat_scalar_kind;

typedef struct carat_scalar {
    carat_scalar_kind kind;
    int64_t i;     // BOOL and INT
    double re, im; // FLOAT (re) and COMPLEX
} carat_scalar;

typedef enum carat_arg_kind {
    CARAT_ARG_NONE,    // an optional argument that is absent
    CARAT_ARG_TENSOR,  // .tensor
    CARAT_ARG_SCALAR,  // .scalar
    CARAT_ARG_INT,     // .i (int, bool, dtype, memory format ...)
    CARAT_ARG_FLOAT,   // .f
    CARAT_ARG_INTS,    // .ints.items[0 .. ints.count)
    CARAT_ARG_FLOATS,  // .floats
    CARAT_ARG_SCALARS, // .scalars
    CARAT_ARG_TENSORS, // .tensors; an absent tensor has dl_dtype.bits 0
    CARAT_ARG_STRING,  // .string, NUL-terminated
    CARAT_ARG_DTYPE,   // .i is a carat_dtype
    CARAT_ARG_OPAQUE,  // .opaque: the host's own object, handed back to its hooks (a random generator)
} carat_arg_kind;

enum { CARAT_TENSOR_WRAPPED_NUMBER = 1 }; // flags: a 0-d tensor that stands for a plain number in type promotion

// One argument, in the order of the operator's schema. Pointers are borrowed for the length of the call.
typedef struct carat_arg {
    carat_arg_kind kind;
    uint32_t flags;
    union {
        carat_tensor tensor;
        carat_scalar scalar;
        int64_t i;
        double f;
        struct { const int64_t *items; int64_t count; } ints;
        struct { const double *items; int64_t count; } floats;
        struct { const carat_scalar *items; int64_t count; } scalars;
        struct { const carat_tensor *items; int64_t count; } tensors;
        const char *string;
        void *opaque;
    };
} carat_arg;

// ---------------------------------------------------------------------------------------------------- random numbers

#define CARAT_GENERATOR_WORDS 624

// A Mersenne twister (mt19937): its block of raw words, of which the first `taken` have been used. One thread at a time.
typedef struct carat_generator {
    uint32_t words[CARAT_GENERATOR_WORDS];
    int32_t taken;
} carat_generator;

// As torch.manual_seed does it. Carat's default generator (NULL) begins with PyTorch's default seed.
CARAT_API void carat_generator_seed(carat_generator *generator, uint64_t seed);

// Random numbers by counting (Philox 4x32-10), as a device's generator deals them out: a call owns the counters from `offset` on.
typedef struct carat_philox {
    uint64_t seed, offset;
} carat_philox;

// ---------------------------------------------------------------------------------------------------- context

// What a program lends to Carat: where results live and which threads work. All hooks may be called from the calling
// thread only, except that `task` runs on whatever threads parallel_for uses. `host` is passed through untouched.
typedef struct carat_context {
    void *host;
    carat_device device;       // of the call; type 0: that of its tensors, or the CPU
    carat_dtype default_dtype; // of results that come from plain floating numbers or integers: CARAT_f32 or CARAT_f64

    // Whether results must be the same every time, where lanes of a device would otherwise write to one place in any order.
    int32_t deterministic;

    // Makes result `index` of the call: a tensor of that dtype, shape and strides (elements) on `device`; returns its
    // data pointer in *data. NULL: the call may only write to tensors it was given.
    carat_status (*make_output)(void *host, int index, carat_device device, carat_dtype dtype, int ndim,
                                const int64_t *shape, const int64_t *strides, void **data);

    // Runs task(arg, begin, end) over pieces of [0, count), none smaller than `grain` but the last. NULL: serially.
    void (*parallel_for)(void *host, int64_t count, int64_t grain, void (*task)(void *arg, int64_t begin, int64_t end),
                         void *arg);
    int (*thread_count)(void *host); // how many pieces parallel_for may run at a time; NULL: 1

    // The device's current stream for kernels (a CUstream on CUDA). NULL: the default stream.
    void *(*stream)(void *host, carat_device device);

    // Calls draw(arg, words, taken) with the state of a Mersenne twister (CARAT_ARG_OPAQUE, or NULL for the host's default
    // one), laid out as in carat_generator, which nobody else uses meanwhile; keeps what draw left there if it answers
    // CARAT_OK. NULL: the opaque argument is a carat_generator, and the default one is Carat's.
    carat_status (*with_generator)(void *host, void *generator, carat_status (*draw)(void *arg, uint32_t *words, int32_t *taken),
                                   void *arg);

    // Memory of a device for the length of a call: what is released may be reused by later work on the device's current
    // stream. NULL: calls that need it on a device step aside.
    void *(*allocate)(void *host, carat_device device, size_t bytes);
    void (*release)(void *host, carat_device device, void *block);

    // Takes `count` counters of a device's generator (CARAT_ARG_OPAQUE, or NULL for the device's default one) for the call.
    // Not called while the stream is captured. NULL: calls that draw random numbers on a device step aside.
    carat_status (*take_philox)(void *host, void *generator, carat_device device, uint64_t count, carat_philox *taken);
} carat_context;

// Memory from Carat's block pool, 64-byte aligned; freed blocks are kept for reuse up to CARAT_POOL_BYTES.
CARAT_API void *carat_alloc(size_t bytes); // NULL when out of memory
CARAT_API void carat_free(void *block);    // NULL is fine
CARAT_API int64_t carat_pool_trim(void);   // gives all kept blocks back to the system; returns their bytes

// ---------------------------------------------------------------------------------------------------- operators

typedef struct carat_op carat_op; // an operator overload; lives as long as the process

// Finds an overload by its ATen name: "add.Tensor", "exp_", "_softmax.out"; or an operator made of an expression by its own. NULL if
// Carat doesn't have it.
CARAT_API const carat_op *carat_op_find(const char *name);
CARAT_API const char *carat_op_name(const carat_op *op);
CARAT_API const char *carat_op_family(const carat_op *op);
CARAT_API uint32_t carat_op_dtypes(const carat_op *op); // 1u << carat_dtype for each that its first tensor may have

// Whether the operator has kernels for a kind of device (carat_device_type), whatever is present here.
CARAT_API int carat_op_runs_on(const carat_op *op, int32_t device_type);

CARAT_API size_t carat_op_count(void);
CARAT_API const carat_op *carat_op_at(size_t index); // index < carat_op_count()

// Calls an operator. args[0..nargs) follow the ATen schema without its out arguments; outs[0..nouts) are the tensors
// that an out= form writes (none for other forms; an in-place form writes args[0]). The results of a functional form
// come from context->make_output, numbered as in the schema (a list result numbers its tensors). CARAT_UNSUPPORTED
// means that nothing was written and no output was made.
CARAT_API carat_status carat_call(const carat_context *context, const carat_op *op, const carat_arg *args, int nargs,
                                  const carat_tensor *outs, int nouts);

// Results for programs that bring no allocator: owned by Carat's block pool until carat_results_free.
typedef struct carat_results {
    int count;
    carat_tensor tensor[CARAT_MAX_OUTPUTS];
    int64_t shape[CARAT_MAX_OUTPUTS][CARAT_MAX_DIMS];
    int64_t strides[CARAT_MAX_OUTPUTS][CARAT_MAX_DIMS];
} carat_results;

// A context whose functional calls leave their results in *results (zero it first; one call at a time).
CARAT_API carat_context carat_results_context(carat_results *results);
CARAT_API void carat_results_free(carat_results *results);

// ---------------------------------------------------------------------------------------------------- expressions

// An operator of the program's own, from an expression in C's notation (docs/expressions.md): "x / (1 + exp(-x)) * y", or several
// outputs "out0 = sin(x); out1 = cos(x)". Its inputs are the names in the order in which they first appear.
typedef struct carat_named_scalar {
    const char *name;
    carat_scalar value; // the default; its kind (not complex) is the scalar's
} carat_named_scalar;

typedef struct carat_expression {
    const char *text;
    const carat_named_scalar *scalars; // names that are numbers of a call, not inputs
    size_t scalar_count;
    const carat_dtype *dtypes; // of the outputs, CARAT_DTYPE_NONE where promotion decides; NULL: for all of them
    const char *gradients;     // formulas ("grad * y" of one input, else "x = grad * y; y = grad * x"); NULL: by differentiation
} carat_expression;

// Finds or makes the operator, which lives as long as the process. It is called by carat_call with its inputs, then the scalars, of
// which the last may be left out, and no outputs or all of them in outs; an output may be an input itself, but not overlap one.
// Inputs broadcast, are promoted as by PyTorch's operators and may have any strides. An expression that is none fails with
// CARAT_INVALID_ARGUMENT and a message that shows where. Kernels are compiled by the first call that needs them.
CARAT_API carat_status carat_expression_op(const carat_expression *expression, const carat_op **op);

// The operator that computes gradients of one: with respect to its inputs `inputs`, in `dtypes`, count of them (at most
// CARAT_MAX_OUTPUTS). Its inputs are those of `op` that it needs, by the same names, and the gradients of all of op's outputs.
CARAT_API carat_status carat_expression_gradient(const carat_op *op, const int *inputs, const carat_dtype *dtypes, int count,
                                                 const carat_op **gradient);

// Of an operator from the functions above; names are NULL and counts 0 for any other.
CARAT_API int carat_expression_inputs(const carat_op *op);
CARAT_API int carat_expression_outputs(const carat_op *op);
CARAT_API int carat_expression_scalars(const carat_op *op);
CARAT_API const char *carat_expression_input(const carat_op *op, int index);
CARAT_API const char *carat_expression_scalar(const carat_op *op, int index, carat_scalar *value); // and its default
// The dtypes that a call's outputs have; of its tensors only dtype and dimensions are read.
CARAT_API carat_status carat_expression_dtypes(const carat_op *op, const carat_arg *args, int nargs, carat_dtype default_dtype, carat_dtype *dtypes);

// ---------------------------------------------------------------------------------------------------- library

CARAT_API const char *carat_version(void);

// The name of backend `index` (0, 1, ...); NULL past the last. *target is what it compiles for here ("x86-64-v4"), or
// NULL if it can't run here; *why says what is missing then, and is a remark or NULL otherwise. Probes on first use.
CARAT_API const char *carat_backend_describe(int index, const char **target, const char **why);

// Directory of the disk cache ("" when there is none that can be used, *why says why) and its size in bytes.
CARAT_API const char *carat_cache_directory(const char **why);
CARAT_API int64_t carat_cache_size(void);

// Compiles kernels ahead of time into the disk cache, on `threads` threads (at least 1): those of `ops` (count of them; their whole
// families, but of pointwise operators each its own) that the shipped packs hold, or where `trace` isn't NULL that the file of that name
// lists for the target (see carat_trace_write; all of them if count is 0), for a backend's target by name ("cuda",
// "sm_90a"), of which no device needs to be present. Those that the cache has are left as they are. `progress`, if given, is
// called after each kernel, by one thread at a time; 0 from it stops the work.
// CARAT_NOT_FOUND for an unknown backend or target, CARAT_UNSUPPORTED without a compiler, CARAT_IO_ERROR without a disk cache or where the
// trace can't be read, CARAT_INVALID_ARGUMENT for a damaged trace or one of another build of Carat,
// CARAT_COMPILE_ERROR with the first failure's words after all others were compiled. *done, if given, counts. Thread-safe.
typedef struct carat_precompiled {
    int64_t total, present, compiled, failed; // kernels: all that are wanted; found in the cache; made; not made
} carat_precompiled;
CARAT_API carat_status carat_precompile(const char *backend, const char *target, const carat_op *const *ops, size_t count, const char *trace, int threads,
                                        int (*progress)(void *arg, const carat_precompiled *so_far), void *arg, carat_precompiled *done);

// Writes the file `path` (replaced if it is there): every kernel that this process has used so far, for carat_precompile on this or
// another machine with the same build of Carat. CARAT_IO_ERROR if it can't be written. Thread-safe.
CARAT_API carat_status carat_trace_write(const char *path);

// Why the calling thread's last CARAT_UNSUPPORTED was answered: a static string ("dtype", "overlapping memory").
CARAT_API const char *carat_last_reason(void);

#ifdef __cplusplus
}
#endif
#endif
