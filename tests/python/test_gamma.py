# SPDX-License-Identifier: Apache-2.0
"""lgamma and digamma in f32: at most 2 ULP from double precision, and ATen's special values."""

import pytest
import torch

import carat


def inputs():
    generator = torch.Generator().manual_seed(1)
    bits = torch.randint(-2**31, 2**31, (200000,), generator=generator, dtype=torch.int64).to(torch.int32)
    near = torch.empty(200000).uniform_(-12, 12, generator=generator)
    return torch.cat([bits.view(torch.float32), near, near.abs()])


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_within_two_ulp(name):
    for x in (inputs(), inputs().abs()):  # of either sign; positive ones have a cheaper form
        exact = getattr(torch, name)(x.double())
        with carat.use(only=[name]):
            got = getattr(torch, name)(x)
        kept = exact.isfinite() & (exact.abs() < 3e38)
        if name == "digamma":  # ATen's own double precision fails beside negative poles
            kept &= (x > 0) | ((x > -12) & ((x - x.round()).abs() > 1e-4))
        step = torch.nextafter(exact.float().abs(), torch.tensor(float("inf"))).double() - exact.float().abs().double()
        assert ((got.double() - exact).abs() <= 2 * step + 1e-13)[kept].all()


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_special_values(name):
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([0.0, -0.0, 1, 2, -1, -2, -3, inf, -inf, nan, -2.0**24, 3e38, 1e-45, -1e-45])
    with carat.use(only=[name]):
        got = getattr(torch, name)(x)
    torch.testing.assert_close(got, getattr(torch, name)(x), equal_nan=True)
