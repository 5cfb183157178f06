# SPDX-License-Identifier: Apache-2.0
"""Copies, joined rows, fills and ranges on CUDA: words of every width, many parts, strided parts, out=, devices of factories."""

import pytest
import torch

import carat
from test_cuda import LAYOUTS, both, sample
from test_index import DTYPES, make


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_joining(dtype):
    for shape in ((6, 64), (5, 7), (3, 4, 33), (2, 3, 4, 10), (100, 130)):
        for layout in ("contiguous", "transposed", "sliced", "offset", "row"):
            x, y, z = (LAYOUTS[layout](make(shape, dtype, seed)) for seed in range(3))
            for dim in range(-1, x.dim()):
                plain = layout == "contiguous"  # small strided ones are ATen's
                both(lambda: torch.cat([x, y], dim), "cat" if plain else None)
                both(lambda: torch.cat([x, y.narrow(dim, 0, 2), z.narrow(dim, 1, 1)], dim), "cat" if plain and dim == 0 else None)
                both(lambda: torch.stack([x, y, z], dim), "stack" if plain else None)
                both(lambda: torch.roll(x, 1, dim), "roll" if plain and dim == 0 else None)
    many = [make((3, n % 5), dtype, n) for n in range(50)]
    both(lambda: torch.cat(many, 1))
    both(lambda: torch.cat(many[:8], 1), "cat")
    both(lambda: torch.stack([m[:, :1].clone() for m in many if m.size(1)], 1), "stack")
    both(lambda: torch.cat([x for x in (make((0,), dtype), make((4, 3), dtype), make((0, 3), dtype))]), "cat")
    out = torch.empty(5, 12, dtype=dtype, device="cuda")
    both(lambda: torch.cat([make((5, 4), dtype), make((5, 8), dtype)], 1, out=out).clone(), "cat.out")
    both(lambda: torch.cat([make((5, 4), dtype), make((5, 8), dtype)], 1, out=torch.zeros(5, 24, dtype=dtype, device="cuda")[:, ::2]))


def test_joining_other_dtypes():
    x, y = sample((600, 600), torch.float32), sample((600, 300), torch.bfloat16)
    both(lambda: torch.cat([x, y], 1), "cat")
    both(lambda: torch.cat([x.long(), y], 1), "cat")
    both(lambda: torch.cat([x, x.t()], 1), "cat")
    both(lambda: torch.roll(x.t(), 3, 1), "roll")
    both(lambda: torch.cat([x, x], out=torch.empty(1200, 1200, device="cuda")[:, ::2]).clone(), "cat.out")
    image = sample((2, 3, 4, 5), torch.float32).to(memory_format=torch.channels_last)
    both(lambda: torch.cat([image, image], 1))
    with pytest.raises(RuntimeError), carat.use():
        torch.cat([x, torch.ones(600, 2)], 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_copies(dtype):
    for shape in ((40, 64), (3, 50, 7), (), (0, 4)):
        for name, layout in LAYOUTS.items():
            if len(shape) < 2 and name != "contiguous" or 0 in shape and name == "offset":
                continue
            x = layout(make(shape, dtype))
            both(lambda: x.clone(), "clone")
            both(lambda: x.clone(memory_format=torch.contiguous_format), "clone")
            both(lambda: torch.empty_like(x, memory_format=torch.contiguous_format).copy_(x), "copy_")
            both(lambda: x.to(torch.float64 if not dtype.is_complex else torch.complex128, copy=True), "_to_copy")
            if x.dim() and x.numel():
                both(lambda: x.flip(0), "flip")
                both(lambda: x.flip(*range(x.dim())), "flip")
                both(lambda: x.repeat(2, *[3] * x.dim()), "repeat")
                both(lambda: torch.nn.functional.pad(x, (1, 2)), "constant_pad_nd")
                both(lambda: torch.nn.functional.pad(x, (1, 2, 3, 0), value=1), "constant_pad_nd")
                both(lambda: torch.diag_embed(x, 1), "diag_embed")
                both(lambda: torch.slice_scatter(x.contiguous(), x.narrow(-1, 0, 2), -1, 1, 5, 2) if x.size(-1) > 4 else x + 0)
                both(lambda: torch.ops.aten.slice_backward(x, [*x.shape[:-1], 100], x.dim() - 1, 3, 3 + x.size(-1), 1), "slice_backward")
                both(lambda: torch.ops.aten.slice_backward(x, [*x.shape[:-1], 300], x.dim() - 1, 3, 3 + 2 * x.size(-1), 2), "slice_backward")
                both(lambda: torch.ops.aten.select_backward(x, [x.size(0), 5, *x.shape[1:]], 1, 3), "select_backward")


def test_copies_between_devices_are_atens():
    x = sample((100,), torch.float32)
    with carat.use():
        y = torch.empty(100).copy_(x)
        z = torch.empty(100, pin_memory=True).copy_(x, non_blocking=True)
        w = torch.empty_like(x).copy_(z, non_blocking=True)
        torch.cuda.synchronize()
        assert torch.equal(y, x.cpu()) and torch.equal(w, x) and x.cpu().device.type == "cpu" and y.to("cuda").device.type == "cuda"


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_fills(dtype):
    x = make((33, 20), dtype)
    both(lambda: torch.zeros_like(x), "zeros_like")
    both(lambda: torch.full_like(x.t(), 1), "full_like")
    both(lambda: x.new_zeros((5, 3)), "new_zeros")
    both(lambda: x.new_full((5, 3), 1), "new_full")
    both(lambda: x.clone().fill_(1), "fill_.Scalar")
    both(lambda: x.clone()[:, ::2].fill_(1), "fill_.Scalar")
    both(lambda: x.clone().fill_(torch.tensor(1, dtype=dtype)), "fill_.Tensor")
    both(lambda: x.clone().fill_(make((), dtype)), "fill_.Tensor")
    both(lambda: torch.zeros(7, 5, device="cuda", dtype=dtype), "zeros")
    both(lambda: torch.ones(7, 5, device="cuda:0", dtype=dtype), "ones")
    both(lambda: torch.full((7,), 1, device="cuda", dtype=dtype), "full")
    both(lambda: torch.eye(7, 9, out=torch.empty(7, 9, device="cuda", dtype=dtype)), "eye.m_out")
    for shape in ((33, 20), (64, 64), (3, 5, 16), (2, 3, 7, 40), (1, 1), (5, 0)):
        y = make(shape, dtype)
        for z in (y, y.transpose(-1, -2), y[..., 1:] if shape[-1] > 1 else y):
            for diagonal in (-100, -3, 0, 2, 100):
                both(lambda: torch.tril(z, diagonal), "tril" if dtype.itemsize >= 4 else None)  # in odd rows small elements are ATen's
                both(lambda: torch.triu(z, diagonal), "triu" if dtype.itemsize >= 4 else None)
        both(lambda: y.clone().tril_(1), "tril_" if dtype.itemsize >= 4 or shape == (64, 64) else None)


@pytest.mark.parametrize("dtype", DTYPES[:9], ids=lambda d: str(d)[6:])
def test_ranges(dtype):
    for arguments in ((10,), (3, 100), (0, 1000, 7), (100, 0, -3), (5, 5), (100001,) if dtype in (torch.float32, torch.int64) else (7,)):
        both(lambda: torch.arange(*arguments, device="cuda", dtype=dtype), "arange.start_step" if len(arguments) == 3 else None)
    if dtype.is_floating_point:
        for arguments in ((0, 1, 0.1), (1.5, -20.25, -0.37), (0.0, 30.0)):
            mine = both(lambda: torch.arange(*arguments, device="cuda", dtype=dtype))
            assert torch.equal(mine, torch.arange(*arguments, device="cuda", dtype=dtype))
    out = torch.zeros(11, device="cuda", dtype=dtype)[1:]
    both(lambda: torch.arange(10, out=out), "arange.start_out")
    if dtype in (torch.float32, torch.float64):
        for arguments in ((0, 1, 11), (-3.5, 100, 1000), (2, 2, 1), (5, -5, 2), (0, 1, 0), (0.1, 1e6, 100001)):
            mine = both(lambda: torch.linspace(*arguments, device="cuda", dtype=dtype), "linspace")
            assert torch.equal(mine, torch.linspace(*arguments, device="cuda", dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES[:9], ids=lambda d: str(d)[6:])
def test_membership(dtype):
    x = sample((300, 7), dtype)
    few = x.flatten()[:5].clone()
    both(lambda: torch.isin(x, few), "isin.Tensor_Tensor")
    both(lambda: torch.isin(x, few, invert=True), "isin.Tensor_Tensor")
    both(lambda: torch.isin(x, 3), "isin.Tensor_Scalar")


def test_devices():
    x = torch.zeros(3, device="cuda")
    with carat.use():
        assert torch.tensor(2.0).to("cuda").device == x.device and x[0].to("cpu").device.type == "cpu" and float(torch.tensor(2.0).to("cuda")) == 2
        assert torch.zeros(3).device.type == "cpu" and torch.zeros_like(x, device="cpu").device.type == "cpu"
        assert torch.zeros_like(torch.zeros(3), device="cuda").device.type == "cuda" and x.new_zeros(3, device="cpu").device.type == "cpu"
        assert torch.zeros(3, device="cuda").device == x.device
        with torch.device("cuda"):
            assert torch.ones(3).device == x.device
