// SPDX-License-Identifier: Apache-2.0
// Where the units of an index space lie (lanes_space.h).

WORD u32 LOCAL_NAME(least)(u32 x, u32 y) { return x < y ? x : y; }
WORD u32 LOCAL_NAME(most)(u32 x, u32 y) { return x > y ? x : y; }

// `step`: the space's own, of the input or of the output.
WORD i64 LOCAL_NAME(place)(const lanes_space *s, const i64 *step, u32 n)
{
    i64 at = 0;
    u32 d = 0;
    SCALAR_LOOP for (; d + 1 < s->rank; ++d) {
        const u32 rest = quotient(n, s->magic[d], s->shift[d]);
        at += (i64)(n - rest * s->size[d]) * step[d];
        n = rest;
    }
    return at + (i64)n * step[d];
}
