// SPDX-License-Identifier: Apache-2.0
// out[i] = BODY(x[i], y[i], z[i], w[i], ...; scalars) for each output, over an index space of any rank, with broadcasting and any strides.
//
// Dimension 0 (columns) is the innermost, dimension 1 (rows) is the next or the one in which some operand is
// contiguous; a group owns a block of rows x columns at one place of the outer dimensions and works through it in
// chunks. Operands with unit column stride are read in place. Others (transposed, strided) are staged: copied into a
// small local buffer, so that the one vector loop below sees whole blocks of consecutive elements only (pointwise_stage.h).
// A chunk of a transposed operand uses whole cache lines. A repeated element fills one block, read again and again.
// Cost: the traffic of the operands, read once and written once. Contiguous f32 add, x86-64-v3: 0.10 ns an element in L1.
//
// Defines: NOUT, NIN, NSCALARS; element types O<k> of the outputs and X<j> of the inputs; arithmetic types C<j> of the inputs (the
// loaded value is converted), T<j> of the scalars, CS of constants; STEPS, declarations that bodies build on, and BODY<k>; WRITE, the
// word that writes a block of results: write_block_ or write_exact_; BLOCK elements that the vector loop takes at a time; scalar
// names S<j>; a condition NEAR, and NEAR_STEPS and NEAR_BODY<k> that are right where it holds.
#include "pointwise_stage.h"

#include "pointwise_operands.c"

KERNEL(pointwise_args, a)
{
    LOCAL(b8, buffers, (NOUT + NIN) * POINTWISE_BUFFERS);
    pointwise_walk w;
    SCALARS
#define RESULT(k, O) O *out##k = (O *)w.now[k];
#define POINTER(j, name, X, C) const X *p##j = (const X *)w.now[NOUT + j];
#define STEP(j, name, X, C) p##j += w.step[NOUT + j];
#define READ(j, name, X, C) \
    CAT(block_of_, X) block##j[BLOCK] ALIGNED; const CAT(block_of_, X) *const b##j = CAT(read_block_, X)(p##j, block##j, BLOCK);
#define OPEN(k, O) CAT(block_of_, O) results##k[BLOCK] ALIGNED, *const to##k = CAT(open_block_, O)(out##k, results##k);
#define LOAD(j, name, X, C) const CAT(acc_, C) name = (CAT(acc_, C))CAT(load_, CAT(block_of_, X))(b##j[i]); (void)name;
#define STORE(k, O) to##k[i] = CAT(store_, CAT(block_of_, O))((BODY##k));
#define STORE_NEAR(k, O) to##k[i] = CAT(store_, CAT(block_of_, O))((NEAR_BODY##k));
#define CLOSE(k, O) CAT(WRITE, O)(out##k, results##k, BLOCK); out##k += BLOCK;
    pointwise_begin(&w, a, group_id(), NOUT, NOUT + NIN, BLOCK, buffers);
    while (pointwise_next(&w)) {
        OUTPUTS(RESULT)
        INPUTS(POINTER)
        for (i64 left = w.blocks; left > 0; --left) {
            INPUTS(READ)
            OUTPUTS(OPEN)
#ifdef NEAR
            int near = 1; // whether the cheaper form is right for every element of the block
            FOR_BLOCK(i, BLOCK) {
                INPUTS(LOAD)
                STEPS
                near &= (NEAR);
            }
            if (near) {
                FOR_BLOCK(i, BLOCK) {
                    INPUTS(LOAD)
                    NEAR_STEPS
                    OUTPUTS(STORE_NEAR)
                }
            } else
#endif
            FOR_BLOCK(i, BLOCK) {
                INPUTS(LOAD)
                STEPS
                OUTPUTS(STORE)
            }
            OUTPUTS(CLOSE)
            INPUTS(STEP)
        }
    }
#undef CLOSE
#undef STORE_NEAR
#undef STORE
#undef LOAD
#undef OPEN
#undef READ
#undef STEP
#undef POINTER
#undef RESULT
}
#undef OUTPUTS
#undef INPUTS
#undef SCALARS
#undef REAL
