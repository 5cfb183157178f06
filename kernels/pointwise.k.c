// SPDX-License-Identifier: Apache-2.0
// out[i] = BODY(x[i], y[i], z[i], w[i]; scalars) over an index space of any rank, with broadcasting and any strides.
//
// Dimension 0 (columns) is the innermost, dimension 1 (rows) is the next or the one in which some operand is
// contiguous; a group owns a block of rows x columns at one place of the outer dimensions and works through it in
// chunks. Operands with unit column stride are read in place. Others (transposed, strided) are staged: copied into a
// small local buffer, so that the one vector loop below sees whole blocks of consecutive elements only (pointwise_stage.h).
// A chunk of a transposed operand uses whole cache lines. A repeated element fills one block, read again and again.
// Cost: the traffic of the operands, read once and written once. Contiguous f32 add, x86-64-v3: 0.10 ns an element in L1.
//
// Defines: BODY, NIN; element types O0 and X<j>; arithmetic types C<j> of the inputs (the loaded value is converted),
// CS of the scalars; WRITE, the word that writes a block of results: write_block_ or write_exact_; BLOCK elements that the vector loop takes at a time; scalar names S0...; a condition NEAR and a body NEAR_BODY that is right where it holds.
#include "pointwise_stage.h"

#include "pointwise_operands.c"


KERNEL(pointwise_args, a)
{
    LOCAL(b8, buffers, (NIN + 1) * POINTWISE_BUFFERS);
    pointwise_walk w;
    SCALARS
#define POINTER(j, name, X, C) const X *p##j = (const X *)w.now[1 + j];
#define STEP(j, name, X, C) p##j += w.step[1 + j];
#define READ(j, name, X, C) \
    CAT(block_of_, X) block##j[BLOCK] ALIGNED; const CAT(block_of_, X) *const b##j = CAT(read_block_, X)(p##j, block##j, BLOCK);
#define LOAD(j, name, X, C) const CAT(acc_, C) name = (CAT(acc_, C))CAT(load_, CAT(block_of_, X))(b##j[i]); (void)name;
    pointwise_begin(&w, a, group_id(), NIN + 1, BLOCK, buffers);
    while (pointwise_next(&w)) {
        O0 *out = (O0 *)w.now[0];
        INPUTS(POINTER)
        for (i64 left = w.blocks; left > 0; --left) {
            INPUTS(READ)
            CAT(block_of_, O0) results[BLOCK] ALIGNED, *const to = CAT(open_block_, O0)(out, results);
#ifdef NEAR
            int near = 1; // whether the cheaper form is right for every element of the block
            FOR_BLOCK(i, BLOCK) {
                INPUTS(LOAD)
                near &= (NEAR);
            }
            if (near) {
                FOR_BLOCK(i, BLOCK) {
                    INPUTS(LOAD)
                    to[i] = CAT(store_, CAT(block_of_, O0))((NEAR_BODY));
                }
            } else
#endif
            FOR_BLOCK(i, BLOCK) {
                INPUTS(LOAD)
                to[i] = CAT(store_, CAT(block_of_, O0))((BODY));
            }
            CAT(WRITE, O0)(out, results, BLOCK);
            out += BLOCK;
            INPUTS(STEP)
        }
    }
#undef LOAD
#undef READ
#undef STEP
#undef POINTER
}
#undef INPUTS
#undef REAL
