// SPDX-License-Identifier: Apache-2.0
// Arguments of the optimizer kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_OPTIMIZER_ARGS_H
#define CARAT_KERNELS_OPTIMIZER_ARGS_H

// One parameter's tensors, all contiguous or dense with the same strides, and what depends on its own step count.
typedef struct optimizer_parameter {
    void *param;
    const void *grad;
    void *exp_avg, *exp_avg_sq;
    i64 numel, first_group;         // the groups before this parameter
    f64 step_size;                  // lr / (1 - beta1^step)
    f64 second_correction;          // sqrt(1 - beta2^step)
} optimizer_parameter;

typedef struct optimizer_args {
    const optimizer_parameter *parameters;
    i64 count, group_elements;
    f64 lr, beta1, beta2, weight_decay, eps;
    i64 maximize;
} optimizer_args;

#endif
