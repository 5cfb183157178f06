// SPDX-License-Identifier: Apache-2.0
// A C program on Carat: y = silu(a + b) with broadcasting, no Python anywhere.
//   cc add.c $(pkg-config --cflags --libs carat) -o add && ./add
#include <carat/carat.h>

#include <stdio.h>

// A borrowed view of a C array of floats.
static carat_tensor view(float *data, int ndim, int64_t *shape, int64_t *strides)
{
    return (carat_tensor){ .data = data, .device = { CARAT_CPU, 0 }, .ndim = ndim, .dl_dtype = carat_dtype_to_dl(CARAT_f32),
                           .shape = shape, .strides = strides };
}

static int fail(carat_status status, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", what, carat_status_name(status), status == CARAT_UNSUPPORTED ? carat_last_reason() : carat_last_error());
    return 1;
}

int main(void)
{
    float a[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } }, b[3] = { 10, 20, 30 }, y[2][3];
    int64_t shape[2] = { 2, 3 }, strides[2] = { 3, 1 }, row_shape[1] = { 3 }, row_strides[1] = { 1 };

    carat_results results = { 0 };
    const carat_context context = carat_results_context(&results);
    const carat_arg add_args[2] = {
        { .kind = CARAT_ARG_TENSOR, .tensor = view(&a[0][0], 2, shape, strides) },
        { .kind = CARAT_ARG_TENSOR, .tensor = view(b, 1, row_shape, row_strides) },
    };
    carat_status status = carat_call(&context, carat_op_find("add.Tensor"), add_args, 2, NULL, 0);
    if (status != CARAT_OK) return fail(status, "add");

    const carat_arg silu_args[1] = { { .kind = CARAT_ARG_TENSOR, .tensor = results.tensor[0] } };
    const carat_tensor out = view(&y[0][0], 2, shape, strides);
    status = carat_call(&context, carat_op_find("silu.out"), silu_args, 1, &out, 1); // into the program's own memory
    carat_results_free(&results);
    if (status != CARAT_OK) return fail(status, "silu");

    for (int r = 0; r < 2; ++r) printf("%8.4f %8.4f %8.4f\n", y[r][0], y[r][1], y[r][2]);
    return 0;
}
