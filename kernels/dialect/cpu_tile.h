// SPDX-License-Identifier: Apache-2.0
// A matrix unit: eight registers, each a tile of TILE_ROWS x 64 bytes, and sum += left * right on them. A register is named
// by a literal: tile_load(4, p, stride). A left tile holds TILE_DEPTH halves of each of TILE_ROWS rows; a right tile holds
// pairs of rows: line p has rows 2p and 2p+1 of TILE_COLS columns, the two of a column side by side; a tile of sums holds
// TILE_ROWS x TILE_COLS f32. Here: AMX, whose multiplication takes subnormal halves as zero. The instructions are spelled out,
// since compilers differ in the names that they give them and in the flags that unlock these.
#ifndef CARAT_DIALECT_CPU_TILE_H
#define CARAT_DIALECT_CPU_TILE_H

#define TILE_ROWS 16
#define TILE_COLS 16
#define TILE_DEPTH 32
#define TILE_SIZE (TILE_ROWS * TILE_DEPTH) // halves

// Before the first and after the last use in a launch.
WORD void tile_begin(void)
{
    struct { u8 palette, start_row, reserved[14]; u16 row_bytes[16]; u8 rows[16]; } shapes;
    memset(&shapes, 0, sizeof shapes);
    shapes.palette = 1;
    for (int r = 0; r < 8; ++r) {
        shapes.row_bytes[r] = 64;
        shapes.rows[r] = TILE_ROWS;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
}
#define tile_end() __asm__ volatile("tilerelease")

#define tile_zero(r) __asm__ volatile("tilezero %%tmm" #r : :)
#define tile_load(r, p, stride_bytes)                                                                                \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #r : : "r"(p), "r"((i64)(stride_bytes)) : "memory")
#define tile_store(r, p, stride_bytes)                                                                               \
    __asm__ volatile("tilestored %%tmm" #r ", (%0,%1,1)" : : "r"(p), "r"((i64)(stride_bytes)) : "memory")
#define tile_multiply(sum, left, right) __asm__ volatile("tdpbf16ps %%tmm" #right ", %%tmm" #left ", %%tmm" #sum : :)

// vec_store of f32 to bf16, by the one instruction that comes with the unit. Subnormal results become zero.
WORD void tile_round(bf16 *p, vec_f32 v)
{
    half_bits halves;
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(halves) : "v"(v));
    *(half_bits *)p = halves;
}

// The same of two vectors side by side, a cache line.
WORD void tile_round_line(bf16 *p, vec_f32 left, vec_f32 right)
{
    vec_u16 halves;
    __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(halves) : "v"(left), "v"(right));
    *(vec_u16 *)p = halves;
}

#endif
