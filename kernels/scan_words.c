// SPDX-License-Identifier: Apache-2.0
// What the bodies of the scans' rows may say beside the dialect's words; a part of scan.k.c and scan_lanes.k.c.
// Of the including kernel: T_ACC; FLOATING, whether it has NaN.
#if FLOATING
#define UNORDERED(v) ((v) != (v)) // NaN
#else
#define UNORDERED(v) 0
#endif

#if FLOATING && !INDEXED
// log(exp(a) + exp(b)) by the larger one, which equal infinities and NaN are themselves.
WORD T_ACC LOCAL_NAME(log_add_exp)(T_ACC a, T_ACC b)
{
    const T_ACC most = a > b || a != a ? a : b, least = a > b || a != a ? b : a;
    const T_ACC sum = most + k_log1p(k_exp(least - most));
    return least == most && most - most != 0 ? most : least != least ? least : sum;
}
#endif
