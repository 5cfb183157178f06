// SPDX-License-Identifier: Apache-2.0
// Arguments of the attention kernels, shared by host and kernels.
#ifndef CARAT_KERNELS_ATTENTION_ARGS_H
#define CARAT_KERNELS_ATTENTION_ARGS_H

#ifndef ATTENTION_DEPTH
#define ATTENTION_DEPTH 256 // elements of a head, and keys of a block, at most: both are depths of products
#define ATTENTION_PAD 16    // ACC between rows in scratch: makes their distance an odd number of cache lines
#define ATTENTION_TILES 4   // tiles of query rows that work side by side on a block of keys
#define ATTENTION_GROUP 64  // query rows that work side by side on a block of keys in the backward pass, at most
#endif

// [batch, head, row, element], elements dense but in a mask; strides in elements.
typedef struct attention_view {
    void *data;
    i64 batch, head, row, element;
} attention_view;

typedef struct attention_args {
    attention_view q, k, v, out;
    attention_view mask;      // added to the scores; data is null where there is none
    i64 mask_is_float;        // the mask's elements are f32, not T
    attention_view logsumexp; // ACC
    i64 batch, key_heads, queries, keys, dim;
    i64 group_heads;          // query heads for each key head
    i64 causal;               // query i sees keys 0 .. i
    f64 scale;
    i64 few;                  // 1: few query rows, so that keys and values are streamed
    i64 row_chunks;           // parts of a key head's query rows, a step each
    i64 splits;               // parts of the keys, a step each: more than 1 leaves partial results to a second launch
    i64 block_keys;           // keys that are packed at a time
    i64 workers;              // groups of the launch, each with its share of the steps
    i64 combining;            // 1: the launch joins the partial results of the one before it
    void *partial, *scratch;
    i64 scratch_stride;       // bytes of a worker's scratch
    // of the backward pass
    attention_view grad_out, grad_q, grad_k, grad_v;
} attention_args;

#endif
