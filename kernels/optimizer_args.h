// SPDX-License-Identifier: Apache-2.0
// Arguments of the optimizer kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_OPTIMIZER_ARGS_H
#define CARAT_KERNELS_OPTIMIZER_ARGS_H

#define OPTIMIZER_LISTS 5

// The numbers of a rule (optimizer_rules.c).
typedef struct optimizer_numbers {
    f64 lr, first, second, weight_decay, eps; // first and second: Adam's betas; SGD's momentum and dampening; Adagrad's decay of lr
    const f32 *lr_tensor;                     // takes the place of lr; NULL: none
    const f32 *scale;                         // gradients are divided by it, of `unscale` multiplied; NULL: no scale
    f32 *found_inf;                           // 1: nothing is done; `unscale` writes it; NULL: none
    i32 maximize, nesterov, first_step;
    i32 wide_steps;                           // steps are f64, not f32
} optimizer_numbers;

// One parameter's tensors, all contiguous or dense with the same strides: it, its gradient, its state.
typedef struct optimizer_parameter {
    void *list[OPTIMIZER_LISTS];
    const void *step;
    i64 numel, first_group; // the groups before this parameter
} optimizer_parameter;

typedef struct optimizer_args {
    optimizer_numbers numbers;
    const optimizer_parameter *parameters;
    i64 count, group_elements;
} optimizer_args;

#endif
