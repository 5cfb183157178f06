# SPDX-License-Identifier: Apache-2.0
"""Cases of `carat bench --device cuda` (see cuda_cases.py): softmax along other dimensions and long rows, batch norm and group
norm, cross-entropy."""

import torch


def randn(*shape, dtype=torch.float32):
    return torch.randn(*shape, device="cuda").to(dtype)


def size_of(dtype):
    return torch.empty(0, dtype=dtype).element_size()


SOFTMAX = {"dim 0 of 64": ((64, 1 << 20), 0), "dim 0 of 1024": ((1024, 65536), 0), "dim 0 of 2048": ((2048, 32768), 0), "dim 0 of 8192": ((8192, 8192), 0),
           "middle of 16": ((65536, 16, 64), 1), "middle of 256": ((64, 256, 4096), 1), "middle odd": ((64, 255, 49 * 81), 1), "few classes": ((64, 21, 49152), 1),
           "narrow": ((1 << 20, 8, 8), 1), "small dim 0": ((256, 512), 0), "small tall": ((4096, 64), 0), "long rows": ((64, 1 << 20), 1), "few long rows": ((4, 1 << 20), 1)}


def softmax_dims():
    aten = torch.ops.aten
    for dtype in (torch.float32, torch.bfloat16):
        size, name = size_of(dtype), str(dtype)[6:]
        for case, (shape, dim) in SOFTMAX.items():
            moved = 2 * size * torch.Size(shape).numel()
            make = lambda f, d=dtype, s=shape, i=dim: (lambda x=randn(*s, dtype=d): f(x, i))
            yield f"softmax {case} {name}", moved, lambda make=make: make(torch.softmax)
            yield (f"softmax backward {case} {name}", 3 * moved // 2, lambda d=dtype, s=shape, i=dim:
                   (lambda g=randn(*s, dtype=d), y=randn(*s, dtype=d): aten._softmax_backward_data(g, y, i, d)))
            if case in ("dim 0 of 1024", "dim 0 of 8192"):
                yield f"log_softmax {case} {name}", moved, lambda make=make: make(torch.log_softmax)
        yield f"softmax transposed {name}", 2 * size << 26, lambda d=dtype: (lambda x=randn(8192, 8192, dtype=d).t(): torch.softmax(x, -1))


IMAGES = {"64x256x56x56": False, "64x256x56x56 channels last": True, "256x64x14x14": False, "128x512x7x7": False, "128x512x7x7 channels last": True,
          "65536x1024": False, "32x64": False, "32x64x8x8": False}


def batch_norms():
    aten = torch.ops.aten
    for dtype in (torch.float32, torch.bfloat16):
        size, name = size_of(dtype), str(dtype)[6:]
        for case, last in IMAGES.items():
            shape = tuple(map(int, case.split()[0].split("x")))

            def image(d=dtype, s=shape, last=last):
                x = randn(*s, dtype=d)
                return x.to(memory_format=torch.channels_last) if last else x
            numbers = lambda s=shape: [randn(s[1]).abs() + 0.5 for _ in range(4)]
            moved = size * torch.Size(shape).numel()
            for training in (True, False):
                mode = "training" if training else "inference"
                yield (f"batch_norm {mode} {case} {name}", (3 if training else 2) * moved, lambda image=image, numbers=numbers, training=training:
                       (lambda x=image(), n=numbers(): torch.native_batch_norm(x, *n, training, 0.1, 1e-5)))
            yield (f"batch_norm backward {case} {name}", 5 * moved, lambda image=image, numbers=numbers:
                   (lambda g=image(), x=image(), n=numbers(): aten.native_batch_norm_backward(g, x, n[0], n[1], n[2], n[1], n[3], True, 1e-5, [True] * 3)))
        for case, groups in (("16x320x64x64", 32), ("64x256x56x56", 32), ("64x512x7x7", 32), ("2x64x8x8", 8)):
            shape = tuple(map(int, case.split("x")))
            moved = size * torch.Size(shape).numel()
            n, c, hxw = shape[0], shape[1], shape[2] * shape[3]
            weights = lambda c=c, d=dtype: [randn(c, dtype=d) for _ in range(2)]
            moments = lambda n=n, g=groups, d=dtype: [randn(n, g, dtype=d).abs() for _ in range(2)]
            yield (f"group_norm {case} {name}", 3 * moved, lambda s=shape, d=dtype, n=n, c=c, h=hxw, g=groups, w=weights:
                   (lambda x=randn(*s, dtype=d), w=w(): aten.native_group_norm(x, *w, n, c, h, g, 1e-5)))
            yield (f"group_norm backward {case} {name}", 5 * moved, lambda s=shape, d=dtype, n=n, c=c, h=hxw, g=groups, w=weights, m=moments:
                   (lambda dy=randn(*s, dtype=d), x=randn(*s, dtype=d), m=m(), w=w():
                    aten.native_group_norm_backward(dy, x, *m, w[0], n, c, h, g, [True] * 3)))


def cross_entropies():
    """carat.nn's beside PyTorch's."""
    from carat.nn import functional

    def make(rows, cols, dtype):
        scores, target = randn(rows, cols, dtype=dtype).requires_grad_(), torch.randint(0, cols, (rows,), device="cuda")
        call = lambda x=scores, t=target: torch.autograd.grad(functional.cross_entropy(x, t), x)
        call.instead_of = lambda x=scores, t=target: torch.autograd.grad(torch.nn.functional.cross_entropy(x, t), x)
        return call
    for dtype in (torch.float32, torch.bfloat16):
        size, name = size_of(dtype), str(dtype)[6:]
        for rows, cols in ((4096, 128256), (8192, 32000), (8192, 50257), (65536, 1000), (1 << 20, 10)):
            yield (f"cross_entropy both ways {rows}x{cols} {name}", 3 * size * rows * cols, lambda r=rows, c=cols, d=dtype: make(r, c, d))


def norm_cases():
    yield from softmax_dims()
    yield from batch_norms()
    yield from cross_entropies()
