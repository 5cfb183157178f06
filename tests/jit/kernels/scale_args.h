// SPDX-License-Identifier: Apache-2.0
// Arguments of the fixture's kernel, shared by test and kernel.
#ifndef CARAT_FIXTURE_SCALE_ARGS
#define CARAT_FIXTURE_SCALE_ARGS
typedef struct scale_args {
    const float *x;
    float *y;
} scale_args;
#endif
