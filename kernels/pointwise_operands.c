// SPDX-License-Identifier: Apache-2.0
// The operands of a pointwise kernel, a part of pointwise.k.c and pointwise_lanes.k.c: INPUTS(DO) does DO(j, name, element type,
// arithmetic type) for each input, SCALARS declares the scalar arguments of `a` by their names, REAL is a constant. Of the
// including kernel: NIN, X<j>, C<j>, CS, S<j>; it takes INPUTS and REAL back at its end. A translation unit may hold many kernels.
#undef SCALAR
#undef SCALARS_0
#undef SCALARS_1
#undef SCALARS_2
#undef SCALARS_3
#undef SCALARS

#if NIN == 0
#define INPUTS(DO)
#elif NIN == 1
#define INPUTS(DO) DO(0, x, X0, C0)
#elif NIN == 2
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1)
#elif NIN == 3
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1) DO(2, z, X2, C2)
#else
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1) DO(2, z, X2, C2) DO(3, w, X3, C3)
#endif
#define REAL(v) ((CAT(acc_, CS))(v)) // a constant in the arithmetic type

#define SCALAR(j, name) CAT(acc_, CS) name; memcpy(&name, a->scalar[j].bits, sizeof name); (void)name;
#ifdef S0
#define SCALARS_0 SCALAR(0, S0)
#else
#define SCALARS_0
#endif
#ifdef S1
#define SCALARS_1 SCALAR(1, S1)
#else
#define SCALARS_1
#endif
#ifdef S2
#define SCALARS_2 SCALAR(2, S2)
#else
#define SCALARS_2
#endif
#ifdef S3
#define SCALARS_3 SCALAR(3, S3)
#else
#define SCALARS_3
#endif
#define SCALARS SCALARS_0 SCALARS_1 SCALARS_2 SCALARS_3
