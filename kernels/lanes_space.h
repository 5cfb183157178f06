// SPDX-License-Identifier: Apache-2.0
// Index spaces of kernels for groups of many lanes, in their arguments.
#ifndef CARAT_KERNELS_LANES_SPACE_H
#define CARAT_KERNELS_LANES_SPACE_H

#define LANES_SPACE_RANK 8

// At most 2^31 units, dimension 0 the innermost. Steps count elements.
typedef struct lanes_space {
    u32 size[LANES_SPACE_RANK];                           // 1 beyond the rank
    u32 magic[LANES_SPACE_RANK], shift[LANES_SPACE_RANK]; // n / size[d] is (mulhi(n, magic) + n) >> shift
    i64 in[LANES_SPACE_RANK], out[LANES_SPACE_RANK];
    u32 rank, count;
} lanes_space;

#endif
