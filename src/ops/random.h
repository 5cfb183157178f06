// SPDX-License-Identifier: Apache-2.0
// The random family's parts: how elements are drawn (random_draw.c), the operators whose parameters are numbers (random.c), and those
// whose parameters are tensors (random_each.c).
#ifndef CARAT_OPS_RANDOM_H
#define CARAT_OPS_RANDOM_H

#include "core/kernel_types.h"
#include "ops/operand.h"
#include "random_args.h"

// Below so many elements the state's way to and fro costs more than ATen's loop; slow where ATen takes 40 ns an element.
enum { CARAT_RANDOM_FEWEST = 128, CARAT_RANDOM_FEWEST_SLOW = 16 };

#define RANDOM_SINGLES (CARAT_HALVES | 1u << CARAT_f32) // drawn from one word an element

typedef struct carat_drawing {
    carat_frame *call;
    carat_key key;
    random_args args;
    int64_t count; // elements
    char *out;     // consecutive, in the order in which they are drawn
    const char *p; // BERNOULLI_EACH: likewise
} carat_drawing;

// Whether elements of this kernel take two words each.
bool carat_random_takes_pairs(const carat_key *key);
// Of two words: below it, an event of probability p happens.
int64_t carat_random_threshold(double p);

// Draws a tensor's elements from the generator that argument `generator` names. Few are ATen's, and so is an output that can't be
// written; draw_over leaves that to its caller.
carat_status carat_random_draw_into(carat_drawing *d, const carat_tensor *self, random_kind kind, int generator);
carat_status carat_random_draw_over(carat_drawing *d, const carat_tensor *self, random_kind kind, int generator);
// For carat_with_generator: count elements from the block `words`, of which `taken` are used; arg is the carat_drawing.
carat_status carat_random_draw(void *arg, uint32_t *words, int32_t *taken);

carat_status carat_random_run_bernoulli_each(carat_frame *call);
carat_status carat_random_run_normal_each(carat_frame *call);
carat_status carat_random_run_dropout(carat_frame *call);

// Dropout in groups of many lanes (dropout_lanes.c), the family's only operator there; p: of keeping an element.
carat_status carat_random_dropout_lanes(carat_frame *call, const carat_tensor *input, double p);
void carat_random_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_random_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

#endif
