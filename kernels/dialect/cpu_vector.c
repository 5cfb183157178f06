// SPDX-License-Identifier: Apache-2.0
// The words of cpu_vector.h for one arithmetic type, ELEMENT; included once for each.

#define VECTOR CAT(vec_, ELEMENT)
#define WORD_OF(name) CAT(CAT(vec_, CAT(name, _)), ELEMENT)

typedef ELEMENT VECTOR __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(ELEMENT)), may_alias));

WORD VECTOR WORD_OF(splat)(ELEMENT x) { return x - (VECTOR){ 0 }; } // x - 0 is x for every x, -0 and NaN too
WORD VECTOR WORD_OF(fma)(VECTOR x, VECTOR y, VECTOR z) { return x * y + z; }
WORD VECTOR WORD_OF(mul)(VECTOR x, VECTOR y) { return x * y; }
WORD VECTOR WORD_OF(add)(VECTOR x, VECTOR y) { return x + y; }
WORD VECTOR WORD_OF(read)(const ELEMENT *p) { return *(const VECTOR *)p; }
WORD void WORD_OF(write)(ELEMENT *p, VECTOR v) { *(VECTOR *)p = v; }

// Halves first: the shape that a SIMD unit reduces in.
WORD ELEMENT WORD_OF(total)(VECTOR v)
{
    ELEMENT part[LANES_OF(ELEMENT)];
    memcpy(part, &v, sizeof part);
    for (int width = LANES_OF(ELEMENT) / 2; width > 0; width /= 2)
        for (int k = 0; k < width; ++k) part[k] += part[k + width];
    return part[0];
}

// Transposes a square: at each distance, vectors that far apart exchange the blocks off the diagonal.
#define EXCHANGE(side, d)                                                                                            \
    UNROLL(16) for (int r = 0; r < side; ++r) {                                                                      \
        if (r & d) continue;                                                                                         \
        const VECTOR x = v[r], y = v[r + d];                                                                         \
        v[r] = __builtin_shufflevector(x, y, LOW_##side##_##d);                                                      \
        v[r + d] = __builtin_shufflevector(x, y, HIGH_##side##_##d);                                                 \
    }
WORD void WORD_OF(transpose)(VECTOR *v)
{
#if VECTOR_BYTES / ELEMENT_BYTES == 16
    EXCHANGE(16, 8)
    EXCHANGE(16, 4)
    EXCHANGE(16, 2)
    EXCHANGE(16, 1)
#elif VECTOR_BYTES / ELEMENT_BYTES == 8
    EXCHANGE(8, 4)
    EXCHANGE(8, 2)
    EXCHANGE(8, 1)
#elif VECTOR_BYTES / ELEMENT_BYTES == 4
    EXCHANGE(4, 2)
    EXCHANGE(4, 1)
#else
    EXCHANGE(2, 1)
#endif
}
#undef EXCHANGE
#undef VECTOR
#undef WORD_OF
