// SPDX-License-Identifier: Apache-2.0
// Staging copies of a pointwise kernel for one element size, ELEMENT; included by pointwise_stage.h once for each.

#define COPIED CAT(any_, ELEMENT)
#define COPY_NAME(name) CAT(CAT(pointwise_, CAT(name, _)), ELEMENT)

typedef ELEMENT COPIED MAY_ALIAS;

// to[r][c] = from[c][r] by squares of constant size, which compilers turn into shuffles of whole vectors; a square of elements
// of up to 4 bytes uses its cache lines at once, since with strides of powers of two they don't stay.
#define SQUARE (sizeof(ELEMENT) == 1 ? 32 : sizeof(ELEMENT) < 8 ? 16 : 64 / (int)sizeof(ELEMENT))
SHARED void COPY_NAME(square)(COPIED *to, const COPIED *from, i64 to_stride, i64 from_stride)
{
    SCALAR_LOOP for (int r = 0; r < SQUARE; ++r)
        for (int c = 0; c < SQUARE; ++c) to[r * to_stride + c] = from[c * from_stride + r];
}

WORD void COPY_NAME(transpose)(COPIED *to, const COPIED *from, i64 rows, i64 cols, i64 to_stride, i64 from_stride)
{
    const i64 whole_rows = rows / SQUARE * SQUARE, whole_cols = cols / SQUARE * SQUARE;
    SCALAR_LOOP for (i64 c = 0; c < whole_cols; c += SQUARE)
        SCALAR_LOOP for (i64 r = 0; r < whole_rows; r += SQUARE)
            COPY_NAME(square)(to + r * to_stride + c, from + c * from_stride + r, to_stride, from_stride);
    SCALAR_LOOP for (i64 c = 0; c < cols; ++c)
        SCALAR_LOOP for (i64 r = c < whole_cols ? whole_rows : 0; r < rows; ++r) to[r * to_stride + c] = from[c * from_stride + r];
}

// Copies a chunk of rows x cols elements from strided memory. A transposed operand is walked down its rows, so that its
// cache lines are used whole; a row of one repeated element is filled; every second element is a shuffle.
SHARED void COPY_NAME(gather)(COPIED *buffer, const COPIED *from, i64 rows, i64 cols, i64 s1, i64 s0)
{
    if (s1 == 1 && rows > 1) {
        COPY_NAME(transpose)(buffer, from, rows, cols, cols, s0);
        return;
    }
    SCALAR_LOOP for (i64 r = 0; r < rows; ++r) {
        const COPIED *const row = from + r * s1;
        COPIED *const to = buffer + r * cols;
        if (s0 == 1) FOR_LANES(c, cols) to[c] = row[c];
        else if (s0 == 0) FOR_LANES(c, cols) to[c] = row[0];
        else if (s0 == 2) FOR_LANES(c, cols) to[c] = row[2 * c];
        else SCALAR_LOOP for (i64 c = 0; c < cols; ++c) to[c] = row[c * s0];
    }
}

SHARED void COPY_NAME(scatter)(COPIED *to, const COPIED *buffer, i64 rows, i64 cols, i64 s1, i64 s0)
{
    if (s1 == 1 && rows > 1)
        COPY_NAME(transpose)(to, buffer, cols, rows, s0, cols);
    else if (s0 == 1)
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r) FOR_LANES(c, cols) to[r * s1 + c] = buffer[r * cols + c];
    else
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r)
            SCALAR_LOOP for (i64 c = 0; c < cols; ++c) to[r * s1 + c * s0] = buffer[r * cols + c];
}

#undef SQUARE
#undef COPY_NAME
#undef COPIED
