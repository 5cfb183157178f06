// SPDX-License-Identifier: Apache-2.0
// Tensors for the driver: shapes and layouts, random contents, canaries around everything that a call may write.
#ifndef CARAT_TESTS_CASES_H
#define CARAT_TESTS_CASES_H

#include <carat/carat.h>
#include <stdbool.h>

typedef enum layout { CONTIGUOUS, TRANSPOSED, SLICED, REVERSED, BROADCAST, LAYOUTS } layout;

// A tensor in a buffer of its own, with canary bytes before and after.
typedef struct sample {
    carat_tensor tensor;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    unsigned char *buffer;
    size_t bytes;
} sample;

// Where tensors are said to be: the CPU, or a device whose memory is the program's too (tests/cuda/fake_driver.c).
extern carat_device case_device;
// A context whose results are left in *results (see carat_results_context), whatever the device.
typedef struct case_host {
    carat_context results;
    carat_results *made;
} case_host;
carat_context case_context(case_host *host, carat_results *results);

// A shape of the driver's list; false past the end.
bool case_shape(int index, int *ndim, int64_t *shape);
// An uninitialised tensor. BROADCAST makes its first dimension of more than one element repeat (stride 0).
void sample_make(sample *s, carat_dtype dtype, int ndim, const int64_t *shape, layout how);
// Fills it with random numbers that suit the dtype: halves, small integers, some zeros and special values if asked.
void sample_fill(sample *s, uint64_t *seed, double low, double high, bool special);
void sample_free(sample *s);
// Whether the canaries are as they were.
bool sample_intact(const sample *s);
// The element at a linear index (row-major over the shape), as a double.
double sample_get(const carat_tensor *tensor, int64_t index);

uint64_t random_bits(uint64_t *seed);
double random_unit(uint64_t *seed); // [0, 1)

#endif
