# SPDX-License-Identifier: Apache-2.0
"""Dropout on a GPU that isn't there: the numbers that CUDA's generator deals out, from a second implementation of Philox."""

import pytest
import torch

from fake_gpu import OFFSET, SEED, StepsAside, bits, run
from test_lanes import aten

RESIDENT, BLOCK = 132 * 2048, 256  # the fake device's; ATen's
LOW = (1 << 32) - 1


def philox(sequence, counter):
    """Four words for each of some sequences and counters (int64 tensors)."""
    a, b, c, d = counter & LOW, counter >> 32, sequence & LOW, sequence >> 32
    key0, key1 = SEED & LOW, SEED >> 32
    for _ in range(10):
        x, y = wide_product(0xD2511F53, a), wide_product(0xCD9E8D57, c)
        a, b, c, d = y[0] ^ b ^ key0, y[1], x[0] ^ d ^ key1, x[1]
        key0, key1 = (key0 + 0x9E3779B9) & LOW, (key1 + 0xBB67AE85) & LOW
    return torch.stack([a, b, c, d], -1)


def wide_product(constant, word):
    """The upper and the lower 32 bits of a product."""
    low, high = constant * (word & 0xFFFF), constant * (word >> 16)
    middle = (low >> 16) + high
    return middle >> 16, (middle << 16 | low & 0xFFFF) & LOW


def mask_of(numel, p, dealt):
    streams = BLOCK * min(RESIDENT // BLOCK, -(-numel // BLOCK))
    deal = torch.arange(numel // dealt)[:, None]
    group = torch.arange(dealt // 4)
    words = philox((deal % streams).expand(-1, dealt // 4), OFFSET // 4 + deal // streams * (dealt // 4) + group).reshape(-1)
    return words.float() * 2.0**-32 + 2.0**-33 < torch.tensor(p, dtype=torch.float32)


@pytest.mark.parametrize("numel", [8, 4096, 264 * 1024, 3 * 264 * 1024 + 16])
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16), ids=lambda d: str(d)[6:])
def test_dropout(numel, dtype):
    x = torch.randn(numel).to(dtype)
    x[:3] = torch.tensor([float("nan"), float("inf"), -0.0])
    for p in (0.0, 0.1, 0.5, 0.999):
        out, mask = run(aten.native_dropout.default, x.view(2, -1), p, True)
        kept = mask_of(numel, 1 - p, 16 // dtype.itemsize)
        assert torch.equal(mask.flatten(), kept)
        expected = (x.float() * kept * (1 / torch.tensor(1 - p, dtype=torch.float32))).to(dtype)
        assert torch.equal(out.flatten().isnan(), expected.isnan())
        assert torch.equal(bits(out.flatten().nan_to_num(7.0)), bits(expected.nan_to_num(7.0)))


def test_what_is_left_to_aten():
    x = torch.randn(64)
    for args in ((x, 1.0, True), (x, 0.5, False), (x[:7], 0.5, True), (x[1:9], 0.5, True), (x.double(), 0.5, True), (x.view(8, 8)[:, ::2], 0.5, True)):
        with pytest.raises(StepsAside):
            run(aten.native_dropout.default, *args)
