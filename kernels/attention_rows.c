// SPDX-License-Identifier: Apache-2.0
// The query rows of a key head, which keys they see, and how rows are read and written: a part of all attention kernels.
// Of the including kernel: T, ACC, VEC, NR (columns of a panel).
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define LOAD(x) ((ACC)CAT(load_, T)(x))
#define AHEAD 8 // rows that are fetched ahead

// Heads lie apart in memory, so that a row is a few cache lines that no hardware prefetcher connects with the next row's.
WORD void LOCAL_NAME(fetch_rows)(const T *src, i64 src_row, i64 rows, i64 cols)
{
    for (i64 r = 0; r < rows; ++r, src += src_row)
        for (i64 c = 0; c < cols; c += 64 / (i64)sizeof(T)) prefetch_read(src + c);
}

// ---- query rows: those of all heads that share a key head, head after head

// Elements of a head, filled up to whole panels.
WORD i64 LOCAL_NAME(width_of)(const attention_args *a)
{
    return (a->dim + NR - 1) / NR * NR;
}

// Where a view of keys or values holds key `key` of a head.
WORD i64 LOCAL_NAME(key_offset)(const attention_view *view, i64 batch, i64 key_head, i64 key)
{
    return batch * view->batch + key_head * view->head + key * view->row;
}

WORD i64 LOCAL_NAME(rows_of_key_head)(const attention_args *a)
{
    return a->group_heads * a->queries;
}

// Which of the heads a query row belongs to, and its place there. Divisions of 64 bits would cost as much as the row's
// softmax; rows are fewer than 2^31.
WORD i64 LOCAL_NAME(head_of_row)(const attention_args *a, i64 row)
{
    return row < a->queries ? 0 : (i64)((u32)row / (u32)a->queries);
}
WORD i64 LOCAL_NAME(query_of_row)(const attention_args *a, i64 row)
{
    return row < a->queries ? row : (i64)((u32)row % (u32)a->queries);
}

// The row of a view that holds query row `row` of a key head.
WORD i64 LOCAL_NAME(row_offset)(const attention_args *a, const attention_view *view, i64 batch, i64 key_head, i64 row)
{
    const i64 head = key_head * a->group_heads + LOCAL_NAME(head_of_row)(a, row);
    return batch * view->batch + head * view->head + LOCAL_NAME(query_of_row)(a, row) * view->row;
}

// Keys that a query row sees, of those before `end`.
WORD i64 LOCAL_NAME(keys_seen)(const attention_args *a, i64 row, i64 end)
{
    return a->causal ? LEAST(LOCAL_NAME(query_of_row)(a, row) + 1, end) : end;
}

// Keys that any of some rows sees: up to the next head's first row, each sees more than the one before it.
WORD i64 LOCAL_NAME(keys_seen_by)(const attention_args *a, i64 row, i64 rows, i64 end)
{
    if (!a->causal) return end;
    const i64 last = LOCAL_NAME(query_of_row)(a, row + rows - 1); // smaller than rows - 1: a head ended before
    return last < rows - 1 ? LEAST(a->queries, end) : LEAST(last + 1, end);
}

// dst[c] = factor * src[c]
WORD void LOCAL_NAME(give_row)(T *dst, const ACC *src, i64 cols, ACC factor)
{
    i64 c = 0;
    for (; c + VEC <= cols; c += VEC) vec_store(dst + c, vec_mul(vec_splat(factor), vec_read(src + c)));
    for (; c < cols; ++c) dst[c] = CAT(store_, T)(factor * src[c]);
}

// ---- scores

// score[j] += mask[j] for the n keys from `key` on.
static void LOCAL_NAME(add_mask)(const attention_args *a, i64 batch, i64 key_head, i64 row, i64 key, ACC *score, i64 n)
{
    const attention_view *const mask = &a->mask;
    const i64 at = LOCAL_NAME(row_offset)(a, mask, batch, key_head, row) + key * mask->element;
    const T *const same = (const T *)mask->data + at;
    const ACC *const wide = (const ACC *)mask->data + at; // f32 beside halves
    i64 j = 0;
    if (mask->element == 1 && a->mask_is_float)
        for (; j + VEC <= n; j += VEC) vec_write(score + j, vec_add(vec_read(score + j), vec_read(wide + j)));
    else if (mask->element == 1)
        for (; j + VEC <= n; j += VEC) vec_write(score + j, vec_add(vec_read(score + j), vec_load(same + j)));
    for (; j < n; ++j) score[j] += a->mask_is_float ? wide[j * mask->element] : LOAD(same[j * mask->element]);
}
