// SPDX-License-Identifier: Apache-2.0
// The operands of a pointwise kernel, a part of pointwise.k.c and pointwise_lanes.k.c: OUTPUTS(DO) does DO(k, element type) for each
// output, INPUTS(DO) DO(j, name, element type, arithmetic type) for each input, SCALARS declares the scalar arguments of `a` by
// their names, REAL is a constant. Of the including kernel: NOUT, NIN, NSCALARS, O<k>, X<j>, C<j>, and of scalars the names S<j>
// and arithmetic types T<j>; CS of REAL. It takes these four words back at its end: a translation unit may hold many kernels.
#ifndef POINTWISE_OPERANDS_C
#define POINTWISE_OPERANDS_C

#define OUTPUTS_1(DO) DO(0, O0)
#define OUTPUTS_2(DO) OUTPUTS_1(DO) DO(1, O1)
#define OUTPUTS_3(DO) OUTPUTS_2(DO) DO(2, O2)
#define OUTPUTS_4(DO) OUTPUTS_3(DO) DO(3, O3)
#define INPUTS_0(DO)
#define INPUTS_1(DO) INPUTS_0(DO) DO(0, x, X0, C0)
#define INPUTS_2(DO) INPUTS_1(DO) DO(1, y, X1, C1)
#define INPUTS_3(DO) INPUTS_2(DO) DO(2, z, X2, C2)
#define INPUTS_4(DO) INPUTS_3(DO) DO(3, w, X3, C3)
#define INPUTS_5(DO) INPUTS_4(DO) DO(4, x4, X4, C4)
#define INPUTS_6(DO) INPUTS_5(DO) DO(5, x5, X5, C5)
#define INPUTS_7(DO) INPUTS_6(DO) DO(6, x6, X6, C6)
#define INPUTS_8(DO) INPUTS_7(DO) DO(7, x7, X7, C7)
#define INPUTS_9(DO) INPUTS_8(DO) DO(8, x8, X8, C8)
#define INPUTS_10(DO) INPUTS_9(DO) DO(9, x9, X9, C9)
#define INPUTS_11(DO) INPUTS_10(DO) DO(10, x10, X10, C10)
#define INPUTS_12(DO) INPUTS_11(DO) DO(11, x11, X11, C11)
#define SCALARS_0(DO)
#define SCALARS_1(DO) SCALARS_0(DO) DO(0, S0, T0)
#define SCALARS_2(DO) SCALARS_1(DO) DO(1, S1, T1)
#define SCALARS_3(DO) SCALARS_2(DO) DO(2, S2, T2)
#define SCALARS_4(DO) SCALARS_3(DO) DO(3, S3, T3)
#define SCALARS_5(DO) SCALARS_4(DO) DO(4, S4, T4)
#define SCALARS_6(DO) SCALARS_5(DO) DO(5, S5, T5)
#define SCALARS_7(DO) SCALARS_6(DO) DO(6, S6, T6)
#define SCALARS_8(DO) SCALARS_7(DO) DO(7, S7, T7)
#define SCALAR(j, name, T) CAT(acc_, T) name; memcpy(&name, a->scalar[j].bits, sizeof name); (void)name;

#endif

#define OUTPUTS(DO) CAT(OUTPUTS_, NOUT)(DO)
#define INPUTS(DO) CAT(INPUTS_, NIN)(DO)
#define SCALARS CAT(SCALARS_, NSCALARS)(SCALAR)
#define REAL(v) ((CAT(acc_, CS))(v)) // a constant in the arithmetic type
