// SPDX-License-Identifier: Apache-2.0
// Which tensor of a list a group works on, and which of its elements; a part of the kernels over lists for groups of many lanes.
// A tensor has as many groups as it needs, whatever the sizes of the others: the group finds its own by bisection. No group has
// elements of two tensors. One that is all vectors takes them as such, any other takes elements LANES apart.
// Defines: WORDS of an entry, LANES, KEEP, VEC.

typedef struct LOCAL_NAME(span) {
    const u64 *entry;
    i64 first, last;
    int whole;
} LOCAL_NAME(span);

WORD LOCAL_NAME(span) LOCAL_NAME(span_of)(const list_table *table, u32 group)
{
    u32 low = 0, high = table->count;
    SCALAR_LOOP while (high - low > 1) {
        const u32 middle = (low + high) / 2;
        if ((u32)table->word[middle * WORDS + LIST_GROUPS] <= group) low = middle;
        else high = middle;
    }
    LOCAL_NAME(span) s;
    s.entry = table->word + low * WORDS;
    const i64 numel = (i64)s.entry[LIST_NUMEL], reach = table->reach;
    s.first = (i64)(group - (u32)s.entry[LIST_GROUPS]) * reach;
    s.last = s.first + reach < numel ? s.first + reach : numel;
    s.whole = (s.entry[LIST_GROUPS] & LIST_ALIGNED) && (s.last - s.first) % (KEEP * VEC * LANES) == 0;
    return s;
}

// Where the t-th vector of this lane begins, in a step that begins at `at`.
WORD i64 LOCAL_NAME(place)(i64 at, int t, const int whole)
{
    return at + (whole ? (t * LANES + lane()) * VEC : t * LANES * VEC + lane());
}

#define FETCH_PART(held, p, at, last, whole)                                                  \
    FOR_KEEP(t) {                                                                             \
        const i64 from = LOCAL_NAME(place)(at, t, whole);                                     \
        if (whole) fetch_vec((held)[t], (p) + from);                                          \
        else fetch_apart((held)[t], (p) + from, (last) - from);                               \
    }
#define PUT_PART(p, made, at, last, whole)                                                    \
    FOR_KEEP(t) {                                                                             \
        const i64 to = LOCAL_NAME(place)(at, t, whole);                                       \
        if (whole) put_whole((p) + to, (made)[t]);                                              \
        else put_apart((p) + to, (made)[t], (last) - to);                                     \
    }
