// SPDX-License-Identifier: Apache-2.0
// Complex numbers where the language has none: as much arithmetic as kernels use, by the plain formulas that ATen uses there.
#ifndef CARAT_DIALECT_CUDA_COMPLEX_H
#define CARAT_DIALECT_CUDA_COMPLEX_H

template <class R> struct alignas(2 * sizeof(R)) complex_of { R re, im; };
typedef complex_of<f32> c64;
typedef complex_of<f64> c128;

template <class R> WORD complex_of<R> operator+(complex_of<R> x, complex_of<R> y) { return { x.re + y.re, x.im + y.im }; }
template <class R> WORD complex_of<R> operator-(complex_of<R> x, complex_of<R> y) { return { x.re - y.re, x.im - y.im }; }
template <class R> WORD complex_of<R> operator-(complex_of<R> x) { return { -x.re, -x.im }; }
template <class R> WORD complex_of<R> operator*(complex_of<R> x, complex_of<R> y)
{
    return { x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re };
}
template <class R> WORD complex_of<R> operator/(complex_of<R> x, f64 y) { return { (R)(x.re / y), (R)(x.im / y) }; }
template <class R> WORD bool operator==(complex_of<R> x, complex_of<R> y) { return x.re == y.re && x.im == y.im; }
template <class R> WORD bool operator!=(complex_of<R> x, complex_of<R> y) { return !(x == y); }
template <class R> WORD bool operator==(complex_of<R> x, int y) { return x.re == y && x.im == 0; }
template <class R> WORD bool operator!=(complex_of<R> x, int y) { return !(x == y); }

template <class R> WORD R real_part(complex_of<R> x) { return x.re; }
template <class T> WORD T real_part(T x) { return x; }

template <class T> WORD c64 c64_from(T x) { return { (f32)x, 0 }; }
template <class R> WORD c64 c64_from(complex_of<R> x) { return { (f32)x.re, (f32)x.im }; }
template <class T> WORD c128 c128_from(T x) { return { (f64)x, 0 }; }
template <class R> WORD c128 c128_from(complex_of<R> x) { return { (f64)x.re, (f64)x.im }; }

WORD c64 k_complex(f32 re, f32 im) { return { re, im }; }
WORD c128 k_complex(f64 re, f64 im) { return { re, im }; }

#endif
