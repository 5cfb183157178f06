// SPDX-License-Identifier: Apache-2.0
// What the bodies of ops/reduce.def may say beside the dialect's words; a part of reduce.k.c and reduce_lanes.k.c.
// Of the including kernel: FLOATING, whether what is computed with has NaN.
#if FLOATING
#define UNORDERED(v) ((v) != (v)) // NaN
#define LARGER(v, w) k_maximum(v, w)
#define SMALLER(v, w) k_minimum(v, w)
#else
#define UNORDERED(v) 0
#define LARGER(v, w) ((v) > (w) ? (v) : (w))
#define SMALLER(v, w) ((v) < (w) ? (v) : (w))
#endif
