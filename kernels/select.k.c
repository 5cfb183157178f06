// SPDX-License-Identifier: Apache-2.0
// Results of which only the values say how many there are. One launch counts each group's, the host adds the counts up and
// makes the result, a second launch writes.
//   COUNT     elements of `in` that aren't zero
//   SUM       of repeats; -1 if one is negative
//   MASKED    out[k] = the k-th element of `in` whose mask is set
//   INDICES   out[k, :] = where the k-th element that isn't zero lies
//   REPEATED  out = each i in[i] times
//   CHANGES   elements that differ from the one before: runs of equal elements begin there. A NaN is a run of its own.
//   UNIQUE    out = the first of each run; where it begins; and of each element, before it was sorted, the number of its run
//   LENGTHS   of the runs, from where they begin
// Masks and elements are not branched on: a result is always put behind the last one, in LOCAL memory, and overwritten by the
// next if it wasn't wanted. Whole blocks go to the result from there, as its end must not be overrun.
// Cost: about 1 ns an element, of which counting is a tenth; ATen's loops take 10 to 20.
//
// Defines: T, the element type (MASKED: a word of its size), and the part, set to 1.
#include "select_args.h"

WORD i64 LOCAL_NAME(least)(i64 a, i64 b) { return a < b ? a : b; }

#if defined COUNT
WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const T *const in = (const T *)a->in + first;
    u32 count = 0;
    FOR_LANES(i, n) count += CAT(load_, T)(in[i]) != 0;
    a->counts[group] = count;
}

#elif defined SUM
WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const T *const in = (const T *)a->in + first;
    i64 sum = 0, any = 0;
    FOR_LANES(i, n) {
        sum += in[i];
        any |= in[i];
    }
    a->counts[group] = any < 0 ? -1 : sum;
}

#elif defined MASKED
WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const T *const in = (const T *)a->in + first;
    const b8 *const mask = (const b8 *)a->mask + first;
    T *out = (T *)a->out + a->counts[group];
    LOCAL(T, kept, SELECT_BLOCK);
    for (i64 at = 0; at < n; at += SELECT_BLOCK) {
        const i64 block = LOCAL_NAME(least)(SELECT_BLOCK, n - at);
        i64 count = 0;
        SCALAR_LOOP for (i64 i = 0; i < block; ++i) {
            kept[count] = in[at + i];
            count += load_b8(mask[at + i]);
        }
        FOR_LANES(i, count) out[i] = kept[i];
        out += count;
    }
}

#elif defined INDICES
// Below this, sums of an index and SELECT_BLOCK are divided by a size s with a multiplication by 2^20 / s + 1: exact, since
// (SMALL + SELECT_BLOCK) * SMALL < 2^20. They exceed other sizes at most once.
#define SMALL 512

// Splits sums of an index of dimension d and what was carried from the dimensions inside it.
WORD void LOCAL_NAME(split)(i64 *index, u32 *carried, i64 first, i64 size, i64 count)
{
    if (size < SMALL) {
        const u32 divisor = (u32)size, magic = (1u << 20) / divisor + 1, start = (u32)first;
        FOR_LANES(i, count) {
            const u32 sum = start + carried[i], quotient = sum * magic >> 20;
            index[i] = sum - quotient * divisor;
            carried[i] = quotient;
        }
        return;
    }
    FOR_LANES(i, count) {
        const i64 sum = first + carried[i];
        const u32 over = sum >= size;
        index[i] = over ? sum - size : sum;
        carried[i] = over;
    }
}

// Writes where the elements at so many places behind the flat index `at` lie.
WORD void LOCAL_NAME(write)(const select_args *a, i64 *out, i64 at, u32 *behind, i64 count)
{
    LOCAL(i64, index, SELECT_BLOCK);
    for (i64 d = a->rank; d-- > 0;) {
        const i64 size = a->size[d], first = d ? at % size : at;
        i64 *const to = out + d * a->next_dim;
        const i64 step = a->next_index;
        at /= size;
        if (d) LOCAL_NAME(split)(index, behind, first, size, count);
        else FOR_LANES(i, count) index[i] = first + behind[i];
        if (step == 1) FOR_LANES(i, count) to[i] = index[i];
        else FOR_LANES(i, count) to[i * step] = index[i];
    }
}

WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const T *const in = (const T *)a->in + first;
    i64 *out = (i64 *)a->out + a->counts[group] * a->next_index;
    LOCAL(u32, behind, SELECT_BLOCK);
    for (i64 at = 0; at < n; at += SELECT_BLOCK) {
        const i64 block = LOCAL_NAME(least)(SELECT_BLOCK, n - at);
        i64 count = 0;
        SCALAR_LOOP for (i64 i = 0; i < block; ++i) {
            behind[count] = (u32)i;
            count += CAT(load_, T)(in[at + i]) != 0;
        }
        if (count) LOCAL_NAME(write)(a, out, first + at, behind, count);
        out += count * a->next_index;
    }
}
#undef SMALL

#elif defined CHANGES || defined UNIQUE
// The very first element begins a run, whatever it is compared with.
WORD u32 LOCAL_NAME(begins)(const T *in, i64 first, i64 i)
{
    return first + i == 0 || CAT(load_, T)(in[i]) != CAT(load_, T)(in[i - 1]);
}
#endif
#if defined CHANGES
WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const T *const in = (const T *)a->in + first;
    u32 count = LOCAL_NAME(begins)(in, first, 0);
    FOR_LANES(i, n - 1) count += CAT(load_, T)(in[i + 1]) != CAT(load_, T)(in[i]);
    a->counts[group] = count;
}

#elif defined UNIQUE
WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const T *const in = (const T *)a->in + first;
    T *const out = (T *)a->out;
    i64 run = a->counts[group] - 1; // it may have begun in the group before
    SCALAR_LOOP for (i64 i = 0; i < n; ++i) {
        if (LOCAL_NAME(begins)(in, first, i)) {
            out[++run] = in[i];
            if (a->starts) a->starts[run] = first + i;
        }
        if (a->order) a->inverse[a->order[first + i]] = run;
    }
}

#elif defined LENGTHS
WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const i64 *const starts = a->starts + first;
    i64 *const lengths = a->lengths + first;
    (void)group;
    FOR_LANES(i, n) lengths[i] = starts[i + 1] - starts[i];
}

#elif defined REPEATED
WORD void LOCAL_NAME(work)(const select_args *a, i64 group, i64 first, i64 n)
{
    const T *const in = (const T *)a->in + first;
    T *out = (T *)a->out + a->counts[group];
    SCALAR_LOOP for (i64 i = 0; i < n; ++i) {
        const i64 times = in[i];
        SCALAR_LOOP for (i64 k = 0; k < times; ++k) out[k] = (T)(first + i);
        out += times;
    }
}
#endif

KERNEL(select_args, a)
{
    const i64 first = group_id() * SELECT_GROUP;
    LOCAL_NAME(work)(a, group_id(), first, LOCAL_NAME(least)(SELECT_GROUP, a->count - first));
}
