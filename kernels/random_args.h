// SPDX-License-Identifier: Apache-2.0
// Arguments of the random kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_RANDOM_ARGS_H
#define CARAT_KERNELS_RANDOM_ARGS_H

// How a word, or a pair of words, of the generator becomes an element.
typedef enum random_kind {
    RANDOM_BERNOULLI, RANDOM_BERNOULLI_EACH, RANDOM_UNIFORM, RANDOM_NORMAL, RANDOM_EXPONENTIAL, RANDOM_INTEGER, RANDOM_BELOW, RANDOM_PERMUTATION, RANDOM_TWIST
} random_kind;

#define RANDOM_BLOCK 624         // words that the generator makes at a time
#define RANDOM_GROUP_ELEMENTS 1024

typedef struct random_args {
    u32 *words;        // raw words, the first of them for the first element; TWIST: the block before the new ones
    void *out;
    const void *p;     // BERNOULLI_EACH: a probability an element, of its dtype
    i64 count;         // elements; TWIST: blocks to make
    f64 first, second; // from and to, mean and std, lambda
    i64 base;          // BERNOULLI: ones are 53-bit numbers below it. INTEGER, BELOW: the least result
    u32 range;         // BELOW: how many results there are
    u32 magic, shift;  // with which words are divided by it
    i64 done, length;  // PERMUTATION: elements that have their value, and of all
    i32 *unsure;       // EXPONENTIAL: set to 1 if a result is too near to the middle between two f32
} random_args;

#endif
