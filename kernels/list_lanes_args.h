// SPDX-License-Identifier: Apache-2.0
// The tensors of one launch over lists, for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_LIST_LANES_ARGS_H
#define CARAT_KERNELS_LIST_LANES_ARGS_H

#define LIST_WORDS 480      // all that a kernel's arguments have room for, which are 4 KB
#define LIST_ALIGNED (1ULL << 32)

// Entries of WORDS words each, one a tensor: the number of groups before it, with LIST_ALIGNED where it may be taken in vectors of 16
// bytes; its elements; then what the kernel wants to know of it: where its operands lie, numbers.
enum { LIST_GROUPS, LIST_NUMEL, LIST_FIRST };
typedef struct list_table {
    u32 count;
    u32 reach; // elements of a group
    u64 word[LIST_WORDS];
} list_table;

#endif
