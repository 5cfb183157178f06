// SPDX-License-Identifier: Apache-2.0
// The reduction of a stretch of a row to one number, BLOCK(in, n, stride, p), of BLOCK_MAP(element, p) by
// LOCAL_NAME(join). Included once for each such function, whose names the includer defines; no header, for those are taken
// once only.

// At most REDUCE_BLOCK elements, this lane's share: four vectors of partial results, then one, then single elements. No
// index but constants into the arrays, or they would live in memory. The independent loop is for clang, which otherwise
// unrolls it to scalars before it sees vectors where the join is a select.
WORD T_ACC BLOCK(const T_IN *in, i64 n, i64 stride, T_ACC p)
{
    T_ACC acc[4 * VEC], one[VEC], last = IDENTITY;
    for (int k = 0; k < 4 * VEC; ++k) acc[k] = IDENTITY;
    i64 i = lane() * 4 * VEC;
    for (; i + 4 * VEC <= n; i += LANES * 4 * VEC)
        INDEPENDENT for (int k = 0; k < 4 * VEC; ++k) acc[k] = LOCAL_NAME(join)(acc[k], BLOCK_MAP(in[(i + k) * stride], p));
    FOR_VEC(k) one[k] = LOCAL_NAME(join)(LOCAL_NAME(join)(acc[k], acc[k + VEC]), LOCAL_NAME(join)(acc[k + 2 * VEC], acc[k + 3 * VEC]));
    for (i = n / (4 * VEC) * 4 * VEC + lane() * VEC; i + VEC <= n; i += LANES * VEC)
        FOR_VEC(k) one[k] = LOCAL_NAME(join)(one[k], BLOCK_MAP(in[(i + k) * stride], p));
    SCALAR_LOOP for (i = n / VEC * VEC + lane(); i < n; i += LANES) last = LOCAL_NAME(join)(last, BLOCK_MAP(in[i * stride], p));
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) one[k] = LOCAL_NAME(join)(one[k], one[k + half]);
    return LOCAL_NAME(join)(one[0], last);
}
#undef BLOCK
#undef BLOCK_MAP
