// SPDX-License-Identifier: Apache-2.0
// A worker's share of the steps of a matrix product, a part of matmul.k.c and matmul_tiles.k.c, which say how one step is done
// (run_step).
WORD void LOCAL_NAME(run_steps)(const matmul_args *a, i64 worker)
{
    const i64 row_blocks = (a->m + a->block_m - 1) / a->block_m, col_blocks = (a->n + a->block_n - 1) / a->block_n;
    const i64 steps = a->batch * row_blocks * col_blocks, end = steps * (worker + 1) / a->workers;
    PACKED *const scratch = (PACKED *)((char *)a->scratch + worker * a->scratch_stride);

    for (i64 i = steps * worker / a->workers; i < end; ++i) {
        struct LOCAL_NAME(step) step;
        step.batch = i / (row_blocks * col_blocks);
        step.row = i / col_blocks % row_blocks * a->block_m;
        step.col = i % col_blocks * a->block_n;
        step.rows = a->m - step.row < a->block_m ? a->m - step.row : a->block_m;
        step.cols = a->n - step.col < a->block_n ? a->n - step.col : a->block_n;
        LOCAL_NAME(run_step)(a, &step, scratch);
    }
}
