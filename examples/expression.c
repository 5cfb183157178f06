// SPDX-License-Identifier: Apache-2.0
// An operator from an expression, in C: y = x > 0 ? x : alpha * x, its gradient, and an expression that is none.
//   cc expression.c $(pkg-config --cflags --libs carat) -o expression && ./expression
#include <carat/carat.h>

#include <stdio.h>

static int fail(carat_status status)
{
    fprintf(stderr, "%s: %s\n", carat_status_name(status), status == CARAT_UNSUPPORTED ? carat_last_reason() : carat_last_error());
    return 1;
}

int main(void)
{
    const carat_named_scalar alpha = { "alpha", { .kind = CARAT_SCALAR_FLOAT, .re = 0.01 } };
    const carat_expression leaky = { .text = "x > 0 ? x : alpha * x", .scalars = &alpha, .scalar_count = 1 };
    const carat_op *op, *gradient;
    carat_status status = carat_expression_op(&leaky, &op);
    if (status != CARAT_OK) return fail(status);

    float x[4] = { -2, -1, 1, 2 }, ones[4] = { 1, 1, 1, 1 }, y[4];
    int64_t shape[1] = { 4 }, strides[1] = { 1 };
    carat_tensor view = { .data = x, .device = { CARAT_CPU, 0 }, .ndim = 1, .dl_dtype = carat_dtype_to_dl(CARAT_f32), .shape = shape, .strides = strides };
    carat_tensor grad = view, out = view;
    grad.data = ones;
    out.data = y;
    carat_results results = { 0 };
    const carat_context context = carat_results_context(&results);
    const carat_arg args[2] = { { .kind = CARAT_ARG_TENSOR, .tensor = view },
                                { .kind = CARAT_ARG_SCALAR, .scalar = { .kind = CARAT_SCALAR_FLOAT, .re = 0.5 } } };
    status = carat_call(&context, op, args, 2, &out, 1);
    if (status == CARAT_NOT_FOUND) return puts(carat_last_error()), 77; // there is no compiler here
    if (status != CARAT_OK) return fail(status);
    printf("%4.1f %4.1f %4.1f %4.1f\n", y[0], y[1], y[2], y[3]);

    status = carat_expression_gradient(op, (int[]){ 0 }, (carat_dtype[]){ CARAT_f32 }, 1, &gradient);
    if (status != CARAT_OK) return fail(status);
    const carat_arg gradient_args[3] = { args[0], { .kind = CARAT_ARG_TENSOR, .tensor = grad }, args[1] }; // x, grad, alpha
    status = carat_call(&context, gradient, gradient_args, 3, &out, 1);
    if (status != CARAT_OK) return fail(status);
    printf("%4.1f %4.1f %4.1f %4.1f\n", y[0], y[1], y[2], y[3]);

    const carat_expression wrong = { .text = "x > 0 ? x : * x" };
    if (carat_expression_op(&wrong, &op) == CARAT_OK) return 1;
    puts(carat_last_error());
    return y[0] != 0.5f || y[3] != 1;
}
