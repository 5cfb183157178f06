// SPDX-License-Identifier: Apache-2.0
// Staging copies of a pointwise kernel for one element size, ELEMENT; included by pointwise_stage.h once for each.

#define COPIED CAT(any_, ELEMENT)
#define COPY_NAME(name) CAT(CAT(pointwise_, CAT(name, _)), ELEMENT)

typedef ELEMENT COPIED MAY_ALIAS;

// Copies a chunk of rows x cols elements from strided memory. A transposed operand is walked down its rows, so that its
// cache lines are used whole; a row of one repeated element is filled; every second element is a shuffle.
SHARED void COPY_NAME(gather)(COPIED *buffer, const COPIED *from, i64 rows, i64 cols, i64 s1, i64 s0)
{
    if (s1 == 1 && rows > 1) {
        SCALAR_LOOP for (i64 c = 0; c < cols; ++c)
            SCALAR_LOOP for (i64 r = 0; r < rows; ++r) buffer[r * cols + c] = from[c * s0 + r];
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
        SCALAR_LOOP for (i64 c = 0; c < cols; ++c)
            SCALAR_LOOP for (i64 r = 0; r < rows; ++r) to[c * s0 + r] = buffer[r * cols + c];
    else if (s0 == 1)
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r) FOR_LANES(c, cols) to[r * s1 + c] = buffer[r * cols + c];
    else
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r)
            SCALAR_LOOP for (i64 c = 0; c < cols; ++c) to[r * s1 + c * s0] = buffer[r * cols + c];
}

#undef COPY_NAME
#undef COPIED
