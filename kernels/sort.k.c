// SPDX-License-Identifier: Apache-2.0
// values[row, :], indices[row, :] = the row in order, or the first `kept` of it (topk). Stable; NaN is the greatest.
//
// An element becomes an unsigned key that orders like it (sign handled, NaN the largest, -0 equal to +0; all inverted to
// descend) and travels with its index: packed into 64 bits for keys of up to 32, side by side for 64. Rows of up to SHORT
// elements are sorted by insertion, longer ones by least-significant-digit radix passes of 8 bits, without a branch on data;
// a pass whose digit is the same everywhere is left out. Values are read again through the sorted indices.
// To select one (kthvalue), digits are counted from the top, and of the row only those with the wanted digit are kept.
// topk keeps `capacity` candidates: an element enters if it beats the worst of the last `kept`, which one comparison of a
// whole block finds out, and the candidates are sorted and cut when they are full.
// A group owns rows and two buffers. Cost: about 1.5 ns an element and pass (4 of them for f32); topk 0.3 ns an element.
//
// Defines: T element type; BITS of its key; FLOATING, SIGNED 1 or 0.
#include "sort_args.h"

#define SHORT 48
#define FEW_TO_SELECT 24
#define BLOCK 64
#define DIGITS 256
#define PASSES (BITS / 8)

#if BITS == 64
typedef u64 LOCAL_NAME(word);
typedef struct LOCAL_NAME(pair) { u64 key, index; } LOCAL_NAME(pair);
#define PAIR(k, i) { (k), (u64)(i) }
#define KEY(p) (p).key
#define INDEX(p) (p).index
#define AFTER(p, q) ((p).key > (q).key || ((p).key == (q).key && (p).index > (q).index))
#else
typedef u32 LOCAL_NAME(word);
typedef u64 LOCAL_NAME(pair);
#define PAIR(k, i) ((u64)(k) << 32 | (u32)(i))
#define KEY(p) (u32)((p) >> 32)
#define INDEX(p) ((p) & 0xffffffffu)
#define AFTER(p, q) ((p) > (q))
#endif
#define WORD_T LOCAL_NAME(word)
#define PAIR_T LOCAL_NAME(pair)
#define TOP ((WORD_T)1 << (BITS - 1))
#define ALL (TOP - 1 + TOP)

// A number's key: unsigned order is the number's order.
WORD WORD_T LOCAL_NAME(key)(T x, WORD_T inverted)
{
#if FLOATING
#if BITS == 64
    const u64 bits = f64_to_bits(x), infinity = 0x7ff0000000000000u;
#elif BITS == 32
    const u32 bits = f32_to_bits(x), infinity = 0x7f800000u;
#else
    const u32 bits = x.bits, infinity = INFINITY_BITS;
#endif
    const WORD_T magnitude = bits & (TOP - 1), negative = bits & TOP;
    const WORD_T ordered = negative ? TOP - magnitude : TOP + magnitude; // -0 and +0 meet at TOP
    const WORD_T key = magnitude > infinity ? ALL : ordered;
#elif SIGNED
    const WORD_T key = ((WORD_T)x & ALL) ^ TOP;
#else
    const WORD_T key = (WORD_T)x;
#endif
    return key ^ inverted;
}

WORD void LOCAL_NAME(insertion)(PAIR_T *pairs, i64 n)
{
    SCALAR_LOOP for (i64 i = 1; i < n; ++i) {
        const PAIR_T moved = pairs[i];
        i64 at = i;
        for (; at > 0 && AFTER(pairs[at - 1], moved); --at) pairs[at] = pairs[at - 1];
        pairs[at] = moved;
    }
}

// Sorts by key, keeping the order of equal ones. The result lies in either buffer.
WORD PAIR_T *LOCAL_NAME(sorted)(PAIR_T *pairs, PAIR_T *other, i64 n)
{
    if (n <= SHORT) {
        LOCAL_NAME(insertion)(pairs, n);
        return pairs;
    }
    LOCAL(u32, counts, PASSES * DIGITS);
    SCALAR_LOOP for (int i = 0; i < PASSES * DIGITS; ++i) counts[i] = 0;
    SCALAR_LOOP for (i64 i = 0; i < n; ++i) {
        const WORD_T key = KEY(pairs[i]);
        for (int pass = 0; pass < PASSES; ++pass) ++counts[pass * DIGITS + (int)(key >> 8 * pass & 0xff)];
    }
    for (int pass = 0; pass < PASSES; ++pass) {
        u32 *const count = counts + pass * DIGITS;
        u32 start = 0;
        if (count[KEY(pairs[0]) >> 8 * pass & 0xff] == n) continue;
        SCALAR_LOOP for (int d = 0; d < DIGITS; ++d) {
            const u32 of_digit = count[d];
            count[d] = start;
            start += of_digit;
        }
        SCALAR_LOOP for (i64 i = 0; i < n; ++i) {
            const PAIR_T p = pairs[i];
            other[count[KEY(p) >> 8 * pass & 0xff]++] = p;
        }
        PAIR_T *const swapped = pairs;
        pairs = other;
        other = swapped;
    }
    return pairs;
}

// The first `kept` in order of a row longer than the buffers.
WORD PAIR_T *LOCAL_NAME(best)(const sort_args *a, const T *in, PAIR_T *pairs, PAIR_T *other, WORD_T inverted)
{
    const i64 step = a->in.step, n = a->length;
    i64 count = a->capacity;
    FOR_LANES(i, count) pairs[i] = (PAIR_T)PAIR(LOCAL_NAME(key)(in[i * step], inverted), i);
    WORD_T worst = 0;
    for (i64 first = count;; first += BLOCK) {
        if (first >= n || count + BLOCK > a->capacity) {
            PAIR_T *const order = LOCAL_NAME(sorted)(pairs, other, count);
            other = order == pairs ? other : pairs;
            pairs = order;
            if (first >= n) return pairs;
            count = a->kept;
            worst = KEY(pairs[count - 1]);
        }
        const i64 block = n - first < BLOCK ? n - first : BLOCK;
        const T *const from = in + first * step;
        u32 any = 0;
        if (step == 1) FOR_LANES(i, block) any |= LOCAL_NAME(key)(from[i], inverted) < worst;
        else any = 1;
        if (!any) continue;
        SCALAR_LOOP for (i64 i = 0; i < block; ++i) {
            const WORD_T key = LOCAL_NAME(key)(from[i * step], inverted);
            pairs[count] = (PAIR_T)PAIR(key, first + i);
            count += key < worst;
        }
    }
}

// The same for few: the best so far stay in order, and one that beats the last is inserted.
WORD void LOCAL_NAME(few)(const sort_args *a, const T *in, PAIR_T *pairs, WORD_T inverted)
{
    const i64 step = a->in.step, n = a->length, kept = a->kept;
    SCALAR_LOOP for (i64 i = 0; i < kept; ++i) pairs[i] = (PAIR_T)PAIR(LOCAL_NAME(key)(in[i * step], inverted), i);
    LOCAL_NAME(insertion)(pairs, kept);
    WORD_T worst = KEY(pairs[kept - 1]);
    for (i64 first = kept; first < n; first += BLOCK) {
        const i64 block = n - first < BLOCK ? n - first : BLOCK;
        const T *const from = in + first * step;
        u32 any = 0;
        if (step == 1) FOR_LANES(i, block) any |= LOCAL_NAME(key)(from[i], inverted) < worst;
        else any = 1;
        if (!any) continue;
        SCALAR_LOOP for (i64 i = 0; i < block; ++i) {
            const WORD_T key = LOCAL_NAME(key)(from[i * step], inverted);
            if (key >= worst) continue;
            i64 at = kept - 1;
            for (; at > 0 && KEY(pairs[at - 1]) > key; --at) pairs[at] = pairs[at - 1];
            pairs[at] = (PAIR_T)PAIR(key, first + i);
            worst = KEY(pairs[kept - 1]);
        }
    }
}

// Leaves the pair with `rank` others before it first. A digit at a time, from the top: whose digit counts say is the one
// wanted stay, and rank is counted among them. Of equal keys, the first in the row has the lowest rank.
WORD void LOCAL_NAME(select)(PAIR_T *pairs, i64 n, i64 rank)
{
    LOCAL(u32, counts, DIGITS);
    if (n <= FEW_TO_SELECT) {
        LOCAL_NAME(insertion)(pairs, n);
        pairs[0] = pairs[rank];
        return;
    }
    for (int pass = PASSES - 1; pass >= 0 && n > 1; --pass) {
        SCALAR_LOOP for (int d = 0; d < DIGITS; ++d) counts[d] = 0;
        SCALAR_LOOP for (i64 i = 0; i < n; ++i) ++counts[KEY(pairs[i]) >> 8 * pass & 0xff];
        u32 digit = 0;
        for (; rank >= counts[digit]; ++digit) rank -= counts[digit];
        if (counts[digit] == n) continue;
        i64 left = 0;
        SCALAR_LOOP for (i64 i = 0; i < n; ++i) {
            const PAIR_T p = pairs[i];
            pairs[left] = p;
            left += (KEY(p) >> 8 * pass & 0xff) == digit;
        }
        n = left;
    }
    pairs[0] = pairs[rank];
}

WORD i64 LOCAL_NAME(offset)(const sort_args *a, const sort_operand *operand, i64 row)
{
    i64 offset = 0;
    SCALAR_LOOP for (int d = 0; d < a->rank; ++d) {
        offset += row % a->size[d] * operand->stride[d];
        row /= a->size[d];
    }
    return offset;
}

KERNEL(sort_args, a)
{
    const i64 first = group_id() * a->group_rows, last = first + a->group_rows < a->rows ? first + a->group_rows : a->rows;
    PAIR_T *const pairs = (PAIR_T *)a->scratch + group_id() * 2 * a->capacity, *const other = pairs + a->capacity;
    const WORD_T inverted = a->descending ? ALL : 0;
    for (i64 row = first; row < last; ++row) {
        const T *const in = (const T *)a->in.data + LOCAL_NAME(offset)(a, &a->in, row);
        PAIR_T *order;
        if (a->few) {
            LOCAL_NAME(few)(a, in, pairs, inverted);
            order = pairs;
        } else if (a->capacity < a->length) {
            order = LOCAL_NAME(best)(a, in, pairs, other, inverted);
        } else {
            const i64 step = a->in.step;
            if (step == 1) FOR_LANES(i, a->length) pairs[i] = (PAIR_T)PAIR(LOCAL_NAME(key)(in[i], inverted), i);
            else FOR_LANES(i, a->length) pairs[i] = (PAIR_T)PAIR(LOCAL_NAME(key)(in[i * step], inverted), i);
            order = pairs;
            if (a->select) LOCAL_NAME(select)(pairs, a->length, a->kept);
            else order = LOCAL_NAME(sorted)(pairs, other, a->length);
        }
        T *const values = (T *)a->values.data + LOCAL_NAME(offset)(a, &a->values, row);
        i64 *const indices = (i64 *)a->indices.data + LOCAL_NAME(offset)(a, &a->indices, row);
        SCALAR_LOOP for (i64 i = 0; i < (a->select ? 1 : a->kept); ++i) {
            const i64 index = (i64)INDEX(order[i]);
            indices[i * a->indices.step] = index;
            values[i * a->values.step] = in[index * a->in.step];
        }
    }
}
#undef SHORT
#undef FEW_TO_SELECT
#undef BLOCK
#undef DIGITS
#undef PASSES
#undef PAIR
#undef KEY
#undef INDEX
#undef AFTER
#undef WORD_T
#undef PAIR_T
#undef TOP
#undef ALL
