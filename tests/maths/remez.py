#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Derives every polynomial of kernels/dialect/math_*.h and prints it as C constants.

Each fit minimises the weighted maximum error by Remez exchange on a dense grid in multiple precision. Coefficients
are then rounded to the target format one after another, lowest order first, and the rest is fitted again after each
rounding, so that the rounding of a leading coefficient is made good by the others.

    remez.py            prints all
    remez.py erf        prints the fits whose name contains "erf"
"""
import sys
from mpmath import (mp, mpf, cos, sin, pi, exp, expm1, log, log1p, sqrt, asin, atan, atanh, sinh, tanh, erf, erfc, tan, matrix,
                    lu_solve, frexp, nint, loggamma, digamma)

mp.dps = 60
LN2 = log(mpf(2))


def rounded(x, bits):
    if x == 0:
        return x
    m, e = frexp(x)
    return nint(m * 2**bits) * mpf(2)**(e - bits)


def grid(a, b, n):
    """Chebyshev points of (a, b): dense at the ends, never the ends themselves."""
    return [(a + b) / 2 - (b - a) / 2 * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def extrema(err):
    """Indices of the largest |err| of each run of one sign."""
    best = []
    for i, e in enumerate(err):
        if best and (err[best[-1]] > 0) == (e > 0):
            if abs(e) > abs(err[best[-1]]):
                best[-1] = i
        else:
            best.append(i)
    return best


def trimmed(best, err, n):
    """Keeps n alternating extrema, dropping the smaller ends."""
    while len(best) > n:
        best = best[1:] if abs(err[best[0]]) < abs(err[best[-1]]) else best[:-1]
    return best


def exchanged(nodes, err):
    """Puts the point of largest error in the place of its neighbour of the same sign: slower, but always possible."""
    top = max(range(len(err)), key=lambda i: abs(err[i]))
    if top in nodes:
        return nodes
    same = [k for k in range(len(nodes)) if (err[nodes[k]] > 0) == (err[top] > 0)]
    near = min(same, key=lambda k: abs(nodes[k] - top))
    return sorted(nodes[:near] + nodes[near + 1:] + [top])


def minimax(xs, target, weight, powers):
    """Coefficients c of sum c_j x^powers_j nearest to target in the weighted maximum norm, and that norm."""
    n, g = len(powers), len(xs)
    nodes = [int(round((g - 1) * (1 - float(cos(pi * i / n))) / 2)) for i in range(n + 1)]
    for _ in range(60):
        a = matrix(n + 1, n + 1)
        rhs = matrix(n + 1, 1)
        for r, i in enumerate(nodes):
            for c, p in enumerate(powers):
                a[r, c] = xs[i]**p
            a[r, n] = (-1)**r / weight[i]
            rhs[r] = target[i]
        sol = lu_solve(a, rhs)
        coef = [sol[c] for c in range(n)]
        err = [w * (t - sum(c * x**p for c, p in zip(coef, powers))) for x, t, w in zip(xs, target, weight)]
        new = trimmed(extrema(err), err, n + 1)
        if len(new) < n + 1:
            new = exchanged(nodes, err)
        if new == nodes:
            break
        nodes = new
    return coef, max(abs(e) for e in err)


def fit(f, a, b, degree, bits, weight, points=None, round_first=None, floor=0):
    """Coefficients of 1, x, ... x^degree, rounded to bits: one after another, or all at once after round_first."""
    xs = grid(mpf(a), mpf(b), points or max(160, 24 * (degree + 1)))
    exact = [f(x) for x in xs]
    weights = [abs(weight(x)) for x in xs]
    # A weight that vanishes inside the interval (at x = 0) would stall the exchange, hence the floor.
    w = [max(v, max(weights) * floor) for v in weights]
    target, done = exact, []
    one_by_one = degree + 1 if round_first is None else round_first
    while len(done) <= degree:
        coef, _ = minimax(xs, target, w, list(range(len(done), degree + 1)))
        if len(done) >= one_by_one:
            done += [rounded(c, bits) for c in coef]
            break
        c = rounded(coef[0], bits)
        target = [t - c * x**len(done) for t, x in zip(target, xs)]
        done.append(c)
    final = [t - sum(c * x**i for i, c in enumerate(done)) for x, t in zip(xs, exact)]
    return done, max(abs(e) * v for e, v in zip(final, weights))


def show(name, coef, err, bits):
    print(f"{name}: {len(coef)} coefficients, max weighted error 2^{float(log(err) / LN2):.1f}")
    print("   ", ", ".join(float(c).hex().replace("0000000p", "p") + ("f" if bits == 24 else "") for c in coef), flush=True)


def on_square(g):
    """g as a function of z = x*x."""
    return lambda z: g(sqrt(z))


HALF_LN2 = LN2 / 2 * mpf("1.0001")
LOG_A, LOG_B = sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1
S_MAX = (sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1) * mpf("1.0001")
R4 = pi / 4 * mpf("1.0001")
R_WIDE = mpf("0.95")          # quarter_turns_f32 may leave 0.6 of a quarter turn


def exp_fit(degree, bits):
    """(exp(r) - 1 - r - r^2/2) / r^3, so that the first three terms are exact; for relative error of expm1."""
    return fit(lambda r: (expm1(r) - r - r * r / 2) / r**3, -HALF_LN2, HALF_LN2, degree, bits,
               lambda r: r**3 / expm1(r), round_first=0, floor=mpf(1) / 64)


def exp2_fit(degree, bits):
    """(2^r - 1) / r in f64 for powf."""
    return fit(lambda r: expm1(r * LN2) / r, -mpf(1) / 2, mpf(1) / 2, degree, bits, lambda r: r / exp(r * LN2),
               round_first=0, floor=mpf(1) / 64)


def exp2_whole_fit(degree, bits):
    """2^r."""
    return fit(lambda r: exp(r * LN2), -mpf("0.5001"), mpf("0.5001"), degree, bits, lambda r: exp(-r * LN2), round_first=0)


def log_fit(degree, bits):
    return fit(lambda f: (log1p(f) - f + f * f / 2) / f**3, LOG_A, LOG_B, degree, bits, lambda f: f**3 / log1p(f),
               round_first=0, floor=mpf(1) / 64)


def log_s_fit(degree, bits):
    g = lambda s: (log((1 + s) / (1 - s)) - 2 * s) / s**3
    return fit(on_square(g), mpf(10)**-9, S_MAX**2, degree, bits,
               lambda z: sqrt(z)**3 / log((1 + sqrt(z)) / (1 - sqrt(z))))


def pow_log_fit(degree, bits):
    """log2(1+f)/f in f64 for powf."""
    return fit(lambda f: log1p(f) / LN2 / f, LOG_A, LOG_B, degree, bits, lambda f: f / (log1p(f) / LN2), round_first=0, floor=mpf(1) / 64)


def pow_tail_fit(degree, bits):
    """log((1+s)/(1-s)) = 2s + 2/3 s^3 + s^5 T(s^2): the tail of the double-double log of pow."""
    g = lambda s: (log((1 + s) / (1 - s)) - 2 * s - 2 * s**3 / 3) / s**5
    return fit(on_square(g), mpf(10)**-6, S_MAX**2, degree, bits, lambda z: z * z / 2, round_first=2)


def odd_fit(fun, top, degree, bits, weight=None):
    """(fun(x) - x) / x^3 in z = x^2, for relative error."""
    return fit(on_square(lambda x: (fun(x) - x) / x**3), mpf(10)**-10, mpf(top)**2, degree, bits,
               weight or (lambda z: sqrt(z)**3 / fun(sqrt(z))), round_first=None if bits == 24 else 2)


def cos_fit(degree, bits, top=R4):
    return fit(on_square(lambda x: (cos(x) - 1 + x * x / 2) / x**4), mpf(10)**-8, top**2, degree, bits,
               lambda z: z * z / cos(sqrt(z)))


def erf_small_fit(top, degree, bits):
    """erf(x)/x - 1 in z."""
    return fit(on_square(lambda x: erf(x) / x - 1), mpf(10)**-10, mpf(top)**2, degree, bits,
               lambda z: sqrt(z) / erf(sqrt(z)), round_first=None if bits == 24 else 2)


def erf_large_fit(a, b, degree, bits):
    """log(erfc(x)) in x."""
    return fit(lambda x: log(erfc(x)), a, b, degree, bits, lambda x: erfc(x) / erf(x), round_first=None if bits == 24 else 0)


def normal_tail_fit(top, degree, bits):
    """log2(erfc(a / sqrt 2) / 2), for an error of a times its power of 2 relative to the larger of a and 1."""
    tail = lambda a: erfc(a / sqrt(mpf(2))) / 2
    return fit(lambda a: log(tail(a)) / LN2, 0, top, degree, bits, lambda a: tail(a) * max(a, 1) * LN2, round_first=0, floor=mpf(10)**-9)


def erfcx_fit(a, lo, hi, degree, bits):
    """(1 + 2x) exp(x^2) erfc(x) in t = (x - a) / (x + a) (Shepherd and Laframboise 1981)."""
    a = mpf(a)
    x_of = lambda t: a * (1 + t) / (1 - t)
    g = lambda t: (1 + 2 * x_of(t)) * exp(x_of(t)**2) * erfc(x_of(t))
    t_of = lambda x: (mpf(x) - a) / (mpf(x) + a)
    return fit(g, t_of(lo), t_of(hi), degree, bits, lambda t: 1 / g(t), round_first=2)


def gamma_near_fit(degree, bits):
    """lgamma(2 + t) / (t (1 + t)), between whose zeros and beyond."""
    g = lambda t: loggamma(2 + t) / (t * (1 + t))
    return fit(g, -1, 1, degree, bits, lambda t: 1 / g(t), round_first=0)


def stirling_fit(degree, bits):
    """a (lgamma(a) - (a - 1/2) log(a) + a - log(2 pi) / 2) in z = 1 / a^2, a >= 3."""
    g = lambda a: a * (loggamma(a) - (a - mpf(1) / 2) * log(a) + a - log(2 * pi) / 2)
    return fit(lambda z: g(1 / sqrt(z)), mpf(10)**-6, mpf(1) / 9, degree, bits, lambda z: sqrt(z), round_first=0)


def digamma_fit(degree, bits):
    """a^2 (log(a) - 1 / (2 a) - digamma(a)) in z = 1 / a^2, a >= 3."""
    g = lambda a: a * a * (log(a) - 1 / (2 * a) - digamma(a))
    return fit(lambda z: g(1 / sqrt(z)), mpf(10)**-6, mpf(1) / 9, degree, bits, lambda z: z, round_first=0)


def sin_of_turns_fit(degree, bits):
    """sin(pi r) / r in r^2, half a turn."""
    g = lambda r: sin(pi * r) / r
    return fit(on_square(g), mpf(10)**-10, mpf("0.2501"), degree, bits, lambda z: 1 / g(sqrt(z)), round_first=0)


T8 = tan(pi / 8) * mpf("1.0001")
FITS = {
    "exp_f32": lambda: (exp_fit(3, 24), 24),
    "exp_f64": lambda: (exp_fit(9, 53), 53),
    "exp2_of_pow_f32": lambda: (exp2_fit(6, 53), 53),
    "log_f32": lambda: (log_fit(8, 24), 24),
    "log_f64": lambda: (log_s_fit(6, 53), 53),
    "log2_of_pow_f32": lambda: (pow_log_fit(12, 53), 53),
    "log_tail_of_pow_f64": lambda: (pow_tail_fit(6, 53), 53),
    "sin_f32": lambda: (odd_fit(sin, R_WIDE, 3, 24), 24),
    "cos_f32": lambda: (cos_fit(2, 24, R_WIDE), 24),
    "sin_f64": lambda: (odd_fit(sin, R4, 5, 53), 53),
    "cos_f64": lambda: (cos_fit(5, 53), 53),
    "tan_f32": lambda: (odd_fit(tan, R4, 5, 24), 24),
    "sin_mid": lambda: (odd_fit(sin, R_WIDE, 3, 53), 53),
    "cos_mid": lambda: (cos_fit(3, 53, R_WIDE), 53),
    "asin_f32": lambda: (odd_fit(asin, 0.5, 4, 24), 24),
    "asin_f64": lambda: (odd_fit(asin, 0.5, 11, 53), 53),
    "atan_f32": lambda: (odd_fit(atan, 1, 8, 24), 24),
    "atan_f64": lambda: (odd_fit(atan, T8, 10, 53), 53),
    "sinh_f32": lambda: (odd_fit(sinh, 1, 3, 24), 24),
    "sinh_f64": lambda: (odd_fit(sinh, 1, 6, 53), 53),
    "tanh_f32": lambda: (odd_fit(tanh, 0.55, 4, 24), 24),
    "atanh_f32": lambda: (odd_fit(atanh, 0.5, 5, 24), 24),
    "erf_small_f32": lambda: (erf_small_fit(1, 6, 24), 24),
    "erf_large_f64": lambda: (erf_large_fit(1, 6, 20, 53), 53),
    "erf_large_f32": lambda: (erf_large_fit(1, 4, 6, 24), 24),
    "exp2_of_tail_f32": lambda: (exp2_whole_fit(5, 24), 24),
    "normal_tail_f32": lambda: (normal_tail_fit(9, 8, 24), 24),
    "erf_small_f64": lambda: (erf_small_fit(1, 12, 53), 53),
    "gamma_near_mid": lambda: (gamma_near_fit(20, 53), 53),
    "stirling_mid": lambda: (stirling_fit(8, 53), 53),
    "digamma_mid": lambda: (digamma_fit(8, 53), 53),
    "sin_of_turns_mid": lambda: (sin_of_turns_fit(7, 53), 53),
    "erfcx_mid": lambda: (erfcx_fit(4, 0, 10.2, 12, 53), 53),
    "erfcx_f64": lambda: (erfcx_fit(4, 0, 28, 24, 53), 53),
}

if __name__ == "__main__":
    want = sys.argv[1:]
    for fit_name, make in FITS.items():
        if not want or any(w in fit_name for w in want):
            (coefs, worst), precision = make()
            show(fit_name, coefs, worst, precision)
