// SPDX-License-Identifier: Apache-2.0
// A row of the pointwise table or made at run time, and the family's parts: keys of its kernels (pointwise_kernels.c), the plan of
// a launch (pointwise_launch.c).
#ifndef CARAT_OPS_POINTWISE_ROW_H
#define CARAT_OPS_POINTWISE_ROW_H

#include "ops/pointwise.h"

typedef enum carat_pointwise_rule { SAME, FLOAT, TEST, POLAR } carat_pointwise_rule;

typedef enum carat_pointwise_when { ALWAYS, INTO } carat_pointwise_when; // INTO: the output is given

enum { CARAT_POINTWISE_PARAMS = 8 };
#define IN(j) ((j) + 1)        // argument is operand j
#define SCALAR(s) (-((s) + 1)) // argument is scalar s
#define SKIP 0                 // argument does not matter here

// What a row made at run time says itself: the table's rows have it in their keys.
typedef struct carat_pointwise_made {
    uint8_t outputs;
    uint8_t out[CARAT_MAX_OUTPUTS], in[CARAT_POINTWISE_INPUTS], scalar[CARAT_POINTWISE_SCALARS]; // carat_dtype
    const char *steps, *near_steps; // declarations that bodies build on
    const char *body[CARAT_MAX_OUTPUTS];
} carat_pointwise_made;

typedef struct carat_pointwise_row {
    carat_row base;
    const carat_pointwise_made *made; // NULL in the table: one output, whose body stands here
    const char *body;
    const char *near, *near_body; // a cheaper body and the condition under which it is right, or NULL
    uint8_t inputs;
    uint8_t rule;
    uint8_t scalars;
    bool has_params;          // params says what each argument is; else operands come first, then scalars
    bool raw;                 // only moves elements: kernels are shared by all dtypes of a size
    bool opmath;              // numbers beside halves come in the arithmetic type; else they are rounded to the halves' dtype
    bool exact;               // halves of which all operands are give results that halves hold exactly
    uint16_t bits;            // the row on 16-bit integers that does the same to the bits of halves, or 0
    bool lengthy;             // a long chain of operations
    uint32_t slower;          // dtypes of inputs of which ATen is faster on CPUs,
    uint8_t slower_when;      // and when
    const char *scalar_names; // "alpha beta"
    double scalar_defaults[CARAT_POINTWISE_SCALARS];
    const char *kinds;        // per operand: 'x' the common dtype, 'b' a bool mask outside promotion; NULL: all x
    int8_t params[CARAT_POINTWISE_PARAMS];
    carat_status (*special)(carat_frame *call); // reads further arguments and runs this or another row
} carat_pointwise_row;

const carat_pointwise_row *carat_pointwise_row_at(int index);
// Gives a row made at run time, which stays as it is from then on, its number; -1 when there are too many.
int carat_pointwise_add_row(const carat_pointwise_row *row);

static inline int carat_pointwise_outputs(const carat_pointwise_row *row) { return row->made ? row->made->outputs : 1; }
// The dtype of scalar s in a launch.
static inline carat_dtype carat_pointwise_scalar_dtype(const carat_pointwise_row *row, const carat_pointwise *launch, int s)
{
    return row->made ? (carat_dtype)row->made->scalar[s] : row->raw ? carat_dtype_of(launch->out[0]) : launch->compute;
}

// A number in an argument: a Scalar, int, float, or a 0-d CPU tensor.
bool carat_pointwise_number(const carat_arg *arg, carat_scalar *number);

// Special rows (pointwise_special.c).
carat_status carat_pointwise_masked_fill(carat_frame *call);
carat_status carat_pointwise_div_mode(carat_frame *call);
carat_status carat_pointwise_divide_ints(carat_frame *call);
carat_status carat_pointwise_no_bool(carat_frame *call);
carat_status carat_pointwise_clamp(carat_frame *call);
carat_status carat_pointwise_same_dtype(carat_frame *call);
carat_status carat_pointwise_pow_number(carat_frame *call);
carat_status carat_pointwise_pow_of_number(carat_frame *call);
carat_status carat_pointwise_addr(carat_frame *call);
carat_status carat_pointwise_nan_to_num(carat_frame *call);
carat_status carat_pointwise_bitwise_not(carat_frame *call);
carat_status carat_pointwise_gelu(carat_frame *call);
carat_status carat_pointwise_gelu_backward(carat_frame *call);
carat_status carat_pointwise_elu_backward(carat_frame *call);
carat_status carat_pointwise_celu(carat_frame *call);
carat_status carat_pointwise_log_sigmoid(carat_frame *call);
carat_status carat_pointwise_log_sigmoid_backward(carat_frame *call);
carat_status carat_pointwise_glu(carat_frame *call);
carat_status carat_pointwise_glu_backward(carat_frame *call);

// Dtypes in a key of a row of the table: what comes out, and what is computed in.
enum { CARAT_POINTWISE_KEY_OUT = 0, CARAT_POINTWISE_KEY_COMPUTE = 2 };

static inline bool carat_pointwise_is_mask(const carat_pointwise_row *row, int j)
{
    return row->kinds && row->kinds[j] == 'b';
}

// Finds the kernel for the launch's dtypes and keeps it; `out` is the output's dtype (the view may not be made yet).
carat_status carat_pointwise_check(const carat_frame *call, carat_pointwise *launch, carat_dtype out);
carat_status carat_pointwise_find_kernel(const carat_frame *call, const carat_pointwise *launch, carat_dtype out, carat_kernel *kernel);

// The same for groups of many lanes (pointwise_lanes.c).
// Whether there can be a kernel of these dtypes (without launch->out), before a result is made.
carat_status carat_pointwise_check_lanes(const carat_pointwise *launch, carat_dtype out);
carat_status carat_pointwise_launch_lanes(const carat_frame *call, const carat_pointwise *launch);
void carat_pointwise_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_pointwise_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

void carat_pointwise_describe_row(const carat_pointwise_row *row, const carat_key *key, carat_defines *defines);
void carat_pointwise_describe(const carat_key *key, const carat_target *target, carat_defines *defines);
void carat_pointwise_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);

#endif
