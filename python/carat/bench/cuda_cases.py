# SPDX-License-Identifier: Apache-2.0
"""What `carat bench --device cuda` times: pairs of tensors' sizes, layouts and dtypes, by family; and the small calls of which the
host's time is taken.

A case is (name, bytes that must be moved, make). make() builds inputs and returns a function whose arguments default to them, so
that a compiler of graphs can be given the same function with the same tensors. Where Carat has a function of its own, the
attribute `instead_of` is what is called on the other sides.
"""

import torch

from .cuda_norm_cases import norm_cases


def randn(*shape, dtype=torch.float32):
    return torch.randn(*shape, device="cuda").to(dtype)


def cases():
    """All cases but the anchors."""
    bf16, f32 = torch.bfloat16, torch.float32
    n = 1 << 26
    for dtype in (f32, bf16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        side = 8192
        yield f"add 64M {name}", 3 * n * size, lambda d=dtype: (lambda x=randn(n, dtype=d), y=randn(n, dtype=d): x + y)
        yield f"mul scalar 64M {name}", 2 * n * size, lambda d=dtype: (lambda x=randn(n, dtype=d): x * 2.5)
        yield f"gelu 64M {name}", 2 * n * size, lambda d=dtype: (lambda x=randn(n, dtype=d): torch.nn.functional.gelu(x))
        yield f"exp 16M {name}", n // 2 * size, lambda d=dtype: (lambda x=randn(n // 4, dtype=d): torch.exp(x))
        yield f"exp 1M {name}", n // 32 * size, lambda d=dtype: (lambda x=randn(n // 64, dtype=d): torch.exp(x))
        yield f"where 64M {name}", n * (3 * size + 1), lambda d=dtype: (lambda c=randn(n) > 0, x=randn(n, dtype=d), y=randn(n, dtype=d): torch.where(c, x, y))
        yield f"add row 8192x8192 {name}", 2 * n * size, lambda d=dtype: (lambda x=randn(side, side, dtype=d), b=randn(side, dtype=d): x + b)
        yield f"add column 8192x8192 {name}", 2 * n * size, lambda d=dtype: (lambda x=randn(side, side, dtype=d), b=randn(side, 1, dtype=d): x + b)
        yield f"add transposed 8192x8192 {name}", 3 * n * size, lambda d=dtype: (lambda x=randn(side, side, dtype=d), y=randn(side, side, dtype=d): x + y.t())
        yield f"mul sliced 8192x4096 {name}", 3 * n * size, lambda d=dtype: (lambda x=randn(side, side, dtype=d)[:, ::2], y=randn(side, side // 2, dtype=d): x * y)
        yield f"add odd 8191x8191 {name}", 3 * 8191 * 8191 * size, lambda d=dtype: (lambda x=randn(8191, 8192, dtype=d)[:, 1:], y=randn(8191, 8191, dtype=d): x + y)
    yield "add bf16 + f32 64M", 10 * n, lambda: (lambda x=randn(n, dtype=bf16), y=randn(n): x + y)
    yield "add_ 64M f32", 12 * n, lambda: (lambda x=randn(n), y=randn(n): x.add_(y))
    yield from row_cases()
    yield from norm_cases()
    yield from reductions()
    yield from scans()
    yield from lists()
    yield from pair_losses_and_draws()
    yield from moves()
    yield from indexed()
    yield from orders()


def row_cases():
    """Softmax, norms and losses: rows of many lengths in 64M elements."""
    n, aten = 1 << 26, torch.ops.aten
    for dtype in (torch.float32, torch.bfloat16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        moment = dict(dtype=torch.float32)
        rows = lambda c, d=dtype: randn(n // c, c, dtype=d)
        each = lambda c: randn(n // c, 1, **moment)
        for cols in (256, 1024, 4096, 8192, 16384, 32768, 65536, 131072, 262144):
            shape = f"{n // cols}x{cols} {name}"
            yield f"softmax {shape}", 2 * n * size, lambda c=cols, rows=rows: (lambda x=rows(c): torch.softmax(x, -1))
            yield f"layer_norm {shape}", 2 * n * size, lambda c=cols, rows=rows, d=dtype: (lambda x=rows(c), w=randn(c, dtype=d), b=randn(c, dtype=d):
                                                                                        aten.native_layer_norm(x, [c], w, b, 1e-5))
            yield f"rms_norm {shape}", 2 * n * size, lambda c=cols, rows=rows, d=dtype: (lambda x=rows(c), w=randn(c, dtype=d): aten._fused_rms_norm(x, [c], w, 1e-5))
            yield f"softmax backward {shape}", 3 * n * size, lambda c=cols, rows=rows, d=dtype: (lambda g=rows(c), y=rows(c).softmax(-1): aten._softmax_backward_data(g, y, -1, d))
            yield f"layer_norm backward {shape}", 3 * n * size, lambda c=cols, rows=rows, d=dtype, each=each: (
                lambda g=rows(c), x=rows(c), m=each(c), r=each(c), w=randn(c, dtype=d): aten.native_layer_norm_backward(g, x, [c], m, r, w, w, [True] * 3))
            yield f"rms_norm backward {shape}", 3 * n * size, lambda c=cols, rows=rows, d=dtype, each=each: (
                lambda g=rows(c), x=rows(c), r=each(c), w=randn(c, dtype=d): aten._fused_rms_norm_backward(g, x, [c], r, w, [True, True]))
        yield f"log_softmax 16384x4096 {name}", 2 * n * size, lambda rows=rows: (lambda x=rows(4096): torch.log_softmax(x, -1))
        yield f"log_softmax backward 16384x4096 {name}", 3 * n * size, lambda rows=rows, d=dtype: (lambda g=rows(4096), y=rows(4096): aten._log_softmax_backward_data(g, y, -1, d))
        for batch, classes in ((1024, 65536), (8192, 8192), (1 << 20, 64)):
            shape = f"{batch}x{classes} {name}"
            labels = lambda b=batch, c=classes: torch.randint(0, c, (b,), device="cuda")
            yield f"nll {shape}", batch * (8 + 32), lambda c=classes, rows=rows, labels=labels: (lambda x=rows(c), t=labels(): aten.nll_loss_forward(x, t, None, 1, -100))
            yield f"nll backward {shape}", n * size, lambda c=classes, rows=rows, labels=labels, d=dtype: (
                lambda x=rows(c), t=labels(), g=randn(1, dtype=d)[0], w=randn(1, dtype=d)[0]: aten.nll_loss_backward(g, x, t, None, 1, -100, w))


def reductions():
    bf16, f32 = torch.bfloat16, torch.float32
    n = 1 << 26
    functions = {
        "sum": torch.sum, "amax": torch.amax, "any": torch.any, "logsumexp": torch.logsumexp, "argmax": torch.argmax,
        "max.dim": torch.max, "var": torch.var, "norm": lambda x, dim: torch.linalg.vector_norm(x, 2, dim),
    }
    shapes = {
        "16 rows": ((n // 16, 16), 1), "100 rows": ((n // 100, 100), 1), "1024 rows": ((n // 1024, 1024), 1), "4096 rows": ((n // 4096, 4096), 1),
        "long rows": ((64, n // 64), 1), "odd rows": ((8191, 8191), 1), "dim 0": ((8192, 8192), 0), "dim 0 of few": ((n // 8, 8), 0),
        "middle": ((64, 4096, 256), 1), "short middle": ((n // 2048, 8, 256), 1), "channels": ((64, 256, 4096), (0, 2)), "all": ((n,), 0),
    }
    some = {"sum": shapes, "max.dim": ("100 rows", "4096 rows", "dim 0", "middle"), "argmax": ("16 rows", "4096 rows", "dim 0", "all"),
            "var": ("16 rows", "4096 rows", "dim 0", "middle", "channels", "all"), "amax": ("4096 rows", "dim 0"), "logsumexp": ("100 rows", "4096 rows", "dim 0"), "any": ("4096 rows", "dim 0", "all"),
            "norm": ("4096 rows", "all")}
    for dtype in (f32, bf16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        for op, chosen in some.items():
            for case in chosen:
                shape, dim = shapes[case]
                moved = size
                for extent in shape:
                    moved *= extent
                yield (f"reduce {op} {case} {name}", moved,
                       lambda d=dtype, s=shape, i=dim, f=functions[op]: (lambda x=randn(*s, dtype=d): f(x, i)))
    for count in (1 << 14, 1 << 18, 1 << 22):
        yield f"reduce sum all {count} f32", 4 * count, lambda c=count: (lambda x=randn(c): x.sum())
        side = 1 << (count.bit_length() - 1) // 2
        yield f"reduce sum dim 0 {side}x{count // side} f32", 4 * count, lambda s=side, c=count: (lambda x=randn(s, c // s): x.sum(0))
        yield f"reduce sum rows {side}x{count // side} f32", 4 * count, lambda s=side, c=count: (lambda x=randn(s, c // s): x.sum(1))
    yield "reduce any all bool", n, lambda: (lambda x=torch.zeros(n, dtype=torch.bool, device="cuda"): x.any())
    yield "reduce sum u8 4096 rows", n, lambda: (lambda x=randn(n // 4096, 4096, dtype=torch.uint8): x.sum(1))
    yield "reduce sum i64 dim 0", 8 * n // 4, lambda: (lambda x=randn(4096, 4096, dtype=torch.int64): x.sum(0))


def scans():
    n = 1 << 26
    shapes = {"100 rows": ((n // 100, 100), 1), "1024 rows": ((n // 1024, 1024), 1), "4096 rows": ((n // 4096, 4096), 1), "long rows": ((256, n // 256), 1),
              "dim 0": ((8192, 8192), 0), "middle": ((64, 4096, 256), 1), "tall": ((8192, 256), 0)}
    for dtype in (torch.float32, torch.bfloat16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        for case, (shape, dim) in shapes.items():
            count = torch.Size(shape).numel()
            yield f"scan cumsum {case} {name}", 2 * count * size, lambda d=dtype, s=shape, i=dim: (lambda x=randn(*s, dtype=d): x.cumsum(i))
        for case in ("4096 rows", "dim 0"):
            shape, dim = shapes[case]
            yield f"scan cummax {case} {name}", n * (2 * size + 8), lambda d=dtype, s=shape, i=dim: (lambda x=randn(*s, dtype=d): x.cummax(i))
            yield f"scan logcumsumexp {case} {name}", 2 * n * size, lambda d=dtype, s=shape, i=dim: (lambda x=randn(*s, dtype=d): x.logcumsumexp(i))
    yield "scan cumsum i64 4096 rows", 16 * n // 4, lambda: (lambda x=randn(n // 16384, 4096, dtype=torch.int64): x.cumsum(1))


def pair_losses_and_draws():
    n, aten = 1 << 26, torch.ops.aten
    for dtype in (torch.float32, torch.bfloat16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        for loss in ("mse_loss", "huber_loss", "binary_cross_entropy"):
            pair = lambda d=dtype: (torch.rand(n, device="cuda").to(d), torch.rand(n, device="cuda").to(d))
            more = (None,) if loss == "binary_cross_entropy" else ()
            yield f"pair {loss} 64M {name}", 2 * n * size, lambda f=getattr(aten, loss), pair=pair, more=more: (lambda xy=pair(): f(*xy, *more, 1))
        yield f"pair mse_loss 16K {name}", 2 * (n >> 12) * size, lambda d=dtype: (lambda x=randn(n >> 12, dtype=d), y=randn(n >> 12, dtype=d): aten.mse_loss(x, y, 1))
        yield f"pair mse_loss backward 64M {name}", 3 * n * size, lambda d=dtype: (
            lambda g=randn(1, dtype=d)[0], x=randn(n, dtype=d), y=randn(n, dtype=d): aten.mse_loss_backward(g, x, y, 1))
        for count, which in ((n, "64M"), (n >> 6, "1M")):
            yield f"draw dropout {which} {name}", count * (2 * size + 1), lambda d=dtype, c=count: (lambda x=randn(c, dtype=d): torch.native_dropout(x, 0.1, True))
            yield f"draw uniform_ {which} {name}", count * size, lambda d=dtype, c=count: (lambda x=randn(c, dtype=d): x.uniform_())
            yield f"draw normal_ {which} {name}", count * size, lambda d=dtype, c=count: (lambda x=randn(c, dtype=d): x.normal_())
            yield f"draw bernoulli_ {which} {name}", count * size, lambda d=dtype, c=count: (lambda x=randn(c, dtype=d): x.bernoulli_(0.5))


def llama(layers, hidden, inner, vocabulary):
    """The shapes of a model's parameters."""
    layer = [(hidden, hidden)] * 4 + [(inner, hidden)] * 2 + [(hidden, inner)] + [(hidden,)] * 2
    return [(vocabulary, hidden)] + layer * layers + [(hidden,), (vocabulary, hidden)]


def optimizer_step(dtype, shapes, name, **options):
    weights = [randn(*s, dtype=dtype).requires_grad_() for s in shapes]
    for w in weights:
        w.grad = torch.randn_like(w)
    optimizer = getattr(torch.optim, name)(weights, lr=1e-4, **options)
    optimizer.step()
    return optimizer.step


def lists():
    """Lists of tensors and optimizers: the parameters of a Llama of 1.1 billion, and many small tensors."""
    large, small = llama(22, 2048, 5632, 32000), [(4096,)] * 200
    for dtype in (torch.float32, torch.bfloat16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        for shapes, which in ((large, "llama"), (small, "200x4096")):
            count = sum(s[0] * (s[1] if len(s) > 1 else 1) for s in shapes)
            make = lambda s=shapes, d=dtype: [randn(*one, dtype=d) for one in s]
            yield f"list AdamW fused {which} {name}", 7 * count * size, lambda s=shapes, d=dtype: optimizer_step(d, s, "AdamW", fused=True)
            yield f"list AdamW foreach {which} {name}", 7 * count * size, lambda s=shapes, d=dtype: optimizer_step(d, s, "AdamW", foreach=True)
            yield f"list SGD fused {which} {name}", 5 * count * size, lambda s=shapes, d=dtype: optimizer_step(d, s, "SGD", fused=True, momentum=0.9)
            yield f"list mul_ number {which} {name}", 2 * count * size, lambda make=make: (lambda x=make(): torch._foreach_mul_(x, 1.0))
            yield f"list add_ {which} {name}", 3 * count * size, lambda make=make: (lambda x=make(), y=make(): torch._foreach_add_(x, y, alpha=0.0))
            yield f"list addcmul_ {which} {name}", 4 * count * size, lambda make=make: (lambda x=make(), y=make(): torch._foreach_addcmul_(x, y, y, 0.0))
            yield f"list sqrt {which} {name}", 2 * count * size, lambda make=make: (lambda x=make(): torch._foreach_sqrt(x))
            if dtype == torch.float32:
                yield f"list unscale {which} {name}", 2 * count * size, lambda make=make: (
                    lambda x=make(), f=torch.zeros((), device="cuda"), s=torch.ones((), device="cuda"): torch._amp_foreach_non_finite_check_and_unscale_(x, f, s))
def moves():
    """Copies, joined rows, fills, ranges and triangles."""
    n, side = 1 << 26, 8192
    for dtype in (torch.float32, torch.bfloat16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        matrix = lambda rows=side, cols=side, d=dtype: randn(rows, cols, dtype=d)
        yield f"move clone {name}", 2 * n * size, lambda m=matrix: (lambda x=m(): x.clone())
        yield f"move clone transposed {name}", 2 * n * size, lambda m=matrix: (lambda x=m(): x.t().clone(memory_format=torch.contiguous_format))
        yield f"move cat rows {name}", 2 * n * size, lambda m=matrix: (lambda x=m(side // 2), y=m(side // 2): torch.cat([x, y]))
        yield f"move cat columns {name}", 2 * n * size, lambda m=matrix: (lambda x=m(side, side // 4), y=m(side, 3 * side // 4): torch.cat([x, y], 1))
        yield f"move cat halves of 64 {name}", 2 * n * size, lambda m=matrix: (lambda x=m(n // 128, 64), y=m(n // 128, 64): torch.cat([x, y], 1))
        yield f"move cat odd columns {name}", 2 * side * 8191 * size, lambda m=matrix: (lambda x=m(side, 4095), y=m(side, 4096): torch.cat([x, y], 1))
        yield f"move cat 16 of 1M {name}", n // 2 * size, lambda m=matrix: (lambda x=[m(1024, 1024) for _ in range(16)]: torch.cat(x, 1))
        yield f"move cat 40 small {name}", 2 * 40 * 4096 * size, lambda m=matrix: (lambda x=[m(64, 64) for _ in range(40)]: torch.cat(x))
        yield f"move cat transposed {name}", 2 * n * size, lambda m=matrix: (lambda x=m(side, side // 2), y=m(side // 2, side): torch.cat([x, y.t()], 1))
        yield f"move stack last {name}", 2 * n * size, lambda m=matrix: (lambda x=m(side, side // 2), y=m(side, side // 2): torch.stack([x, y], -1))
        yield f"move roll {name}", 2 * n * size, lambda m=matrix: (lambda x=m(): x.roll(5, 1))
        yield f"move flip columns {name}", 2 * n * size, lambda m=matrix: (lambda x=m(): x.flip(1))
        yield f"move repeat {name}", n * size, lambda m=matrix: (lambda x=m(side // 4, side // 4): x.repeat(4, 4))
        yield f"move pad {name}", 2 * n * size, lambda m=matrix: (lambda x=m(): torch.nn.functional.pad(x, (1, 1)))
        yield f"move pad both {name}", 2 * n * size, lambda m=matrix: (lambda x=m(): torch.nn.functional.pad(x, (8, 8, 8, 8)))
        yield f"move slice backward {name}", n * size, lambda m=matrix: (lambda x=m(side, side // 2): torch.ops.aten.slice_backward(x, [side, side], 1, 100, 100 + side // 2, 1))
        yield f"create fill {name}", n * size, lambda m=matrix: (lambda x=m(): x.fill_(1.5))
        yield f"create zeros_like {name}", n * size, lambda m=matrix: (lambda x=m(): torch.zeros_like(x))
        yield f"create tril {name}", 3 * n // 2 * size, lambda m=matrix: (lambda x=m(): x.tril())
        yield f"create triu_ odd {name}", 8191 * 8191 * size, lambda m=matrix: (lambda x=m(8191, 8191): x.triu_())
    yield "create arange 64M i64", 8 * n, lambda: (lambda: torch.arange(n, device="cuda"))
    yield "create linspace 64M", 4 * n, lambda: (lambda: torch.linspace(0, 1, n, device="cuda"))
    yield "create isin 16M i64", 9 * n // 4, lambda: (lambda x=randn(n // 4, dtype=torch.int64), y=randn(10, dtype=torch.int64): torch.isin(x, y))


def indexed():
    """Reads and writes through indices; a language model's embedding among them."""
    n = 1 << 26
    places = lambda shape, most: torch.randint(0, most, shape if isinstance(shape, tuple) else (shape,), device="cuda")
    for dtype in (torch.float32, torch.bfloat16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        matrix = lambda rows, cols, d=dtype: randn(rows, cols, dtype=d)
        for rows, cols, count in ((32000, 4096, 8192), (30522, 384, 65536), (1 << 20, 64, 1 << 20), (100000, 100, 1 << 19)):
            shape, moved = f"{count} of {rows}x{cols} {name}", 2 * count * cols * size
            yield f"index embedding {shape}", moved, lambda m=matrix, r=rows, c=cols, k=count: (lambda x=m(r, c), i=places(k, r): torch.embedding(x, i))
            yield f"index index_add {shape}", moved + count * cols * size, lambda m=matrix, r=rows, c=cols, k=count: (
                lambda x=m(r, c), i=places(k, r), y=m(k, c): x.index_add_(0, i, y))
            yield f"index index_copy {shape}", moved, lambda m=matrix, r=rows, c=cols, k=count: (lambda x=m(r, c), i=places(k, r), y=m(k, c): x.index_copy_(0, i, y))
            yield f"index put {shape}", moved, lambda m=matrix, r=rows, c=cols, k=count: (lambda x=m(r, c), i=places(k, r), y=m(k, c): x.index_put_((i,), y))
            yield f"index embedding backward {shape}", (rows + count) * cols * size, lambda m=matrix, r=rows, c=cols, k=count: (
                lambda g=m(k, c), i=places(k, r): torch.ops.aten.embedding_dense_backward(g, i, r, -1, False))
        side = 8192
        yield f"index select columns {name}", n * 2 * size, lambda m=matrix: (lambda x=m(side, side), i=places(side, side): x.index_select(1, i))
        yield f"index gather last {name}", n // 4 * (8 + 2 * size), lambda m=matrix: (lambda x=m(side, side // 4), i=places((side, side // 4), side // 4): x.gather(1, i))
        yield f"index gather first {name}", n // 4 * (8 + 2 * size), lambda m=matrix: (lambda x=m(side, side // 4), i=places((side, side // 4), side): x.gather(0, i))
        yield f"index two tensors {name}", n // 4 * (16 + 2 * size), lambda m=matrix: (lambda x=m(side, side), i=places(n // 4, side), j=places(n // 4, side): x[i, j])
        yield f"index scatter last {name}", n // 4 * (8 + 2 * size), lambda m=matrix: (
            lambda x=m(side, side // 4), i=places((side, side // 4), side // 4), y=m(side, side // 4): x.scatter_(1, i, y))
        yield f"index scatter_add last {name}", n // 4 * (8 + 3 * size), lambda m=matrix: (
            lambda x=m(side, side // 4), i=places((side, side // 4), side // 4), y=m(side, side // 4): x.scatter_add_(1, i, y))
        yield f"index fill columns {name}", side * side // 8 * size, lambda m=matrix: (lambda x=m(side, side), i=places(side // 8, side): x.index_fill_(1, i, 2))
        yield f"index take {name}", n // 4 * (8 + 2 * size), lambda m=matrix: (lambda x=m(side, side), i=places(n // 4, n): x.take(i))


def orders():
    for dtype in (torch.float32, torch.bfloat16):
        size, name = torch.empty(0, dtype=dtype).element_size(), str(dtype)[6:]
        for rows, cols, k in ((8192, 64, 8), (65536, 128, 2), (8192, 256, 8), (64, 1024, 32), (4096, 1024, 8), (1, 100, 5), (16384, 1000, 32), (64, 128256, 50)):
            yield f"sort topk {k} of {rows}x{cols} {name}", rows * (cols * size + k * (size + 8)), lambda d=dtype, r=rows, c=cols, k=k: (
                lambda x=randn(r, c, dtype=d): x.topk(k))


def host_cases():
    """(name, call on about 64 elements)."""
    x, y = randn(64), randn(64)
    out = torch.empty_like(x)
    yield "add", lambda: torch.add(x, y)
    yield "x * 2", lambda: x * 2.0
    yield "exp", lambda: torch.exp(x)
    yield "add_", lambda: x.add_(y, alpha=0.0)
    yield "add out", lambda: torch.add(x, y, out=out)
    yield "gelu", lambda: torch.nn.functional.gelu(x)
    xs = [randn(64) for _ in range(200)]
    ys, zs, ws = ([randn(64) for _ in range(200)] for _ in range(3))
    yield "list mul_ of 200", lambda: torch._foreach_mul_(xs, 1.0)
    yield "list add_ of 200", lambda: torch._foreach_add_(xs, ys, alpha=0.0)
    yield "list sqrt of 200", lambda: torch._foreach_sqrt(xs)
    steps = [torch.full((), 9.0, device="cuda") for _ in xs]
    yield "AdamW of 200", lambda: torch._fused_adamw_(xs, ys, zs, ws, [], steps, lr=0.0, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
                                                      amsgrad=False, maximize=False)
    z, w, t = randn(8, 8), randn(8), torch.randint(0, 8, (8,), device="cuda")
    _, mean, rstd = torch.native_layer_norm(z, [8], w, w, 1e-5)
    yield "softmax", lambda: torch.softmax(z, -1)
    yield "layer_norm", lambda: torch.native_layer_norm(z, [8], w, w, 1e-5)
    yield "layer_norm backward", lambda: torch.ops.aten.native_layer_norm_backward(z, z, [8], mean, rstd, w, w, [True] * 3)
    yield "rms_norm", lambda: torch.ops.aten._fused_rms_norm(z, [8], w, 1e-5)
    yield "nll", lambda: torch.ops.aten.nll_loss_forward(z, t, None, 1, -100)
    yield "sum", lambda: x.sum()
    yield "sum dim 0", lambda: z.sum(0)
    yield "max.dim", lambda: z.max(1)
    yield "var", lambda: z.var(0)
    yield "any", lambda: z.any()
    yield "cumsum", lambda: z.cumsum(0)
    i, whole = torch.arange(8, device="cuda"), torch.zeros(8, 8, device="cuda")
    yield "move clone", lambda: z.clone()
    yield "move copy_", lambda: out.copy_(x)
    yield "move to bf16", lambda: x.to(torch.bfloat16)
    yield "move contiguous of transposed", lambda: z.t().contiguous()
    yield "move cat", lambda: torch.cat([z, z])
    yield "move cat of 32", lambda: torch.cat([w] * 32)
    yield "move cat transposed", lambda: torch.cat([z, z.t()], 1)
    yield "move stack", lambda: torch.stack([x, y])
    yield "move roll", lambda: x.roll(3, 0)
    yield "move flip", lambda: x.flip(0)
    yield "move repeat", lambda: z.repeat(2, 2)
    yield "move pad", lambda: torch.nn.functional.pad(z, (1, 1))
    yield "move pad both", lambda: torch.nn.functional.pad(z, (1, 1, 1, 1))
    yield "move slice backward", lambda: torch.ops.aten.slice_backward(z, [8, 16], 1, 2, 10, 1)
    yield "move select backward", lambda: torch.ops.aten.select_backward(w, [8, 8], 0, 2)
    yield "move diag_embed", lambda: torch.diag_embed(w)
    yield "create zeros", lambda: torch.zeros(64, device="cuda")
    yield "create zeros_like", lambda: torch.zeros_like(x)
    yield "create full", lambda: torch.full((64,), 1.5, device="cuda")
    yield "create fill_", lambda: out.fill_(1.5)
    yield "create fill_ of a tensor", lambda: out.fill_(w[0])
    yield "create arange", lambda: torch.arange(64, device="cuda")
    yield "create linspace", lambda: torch.linspace(0, 1, 64, device="cuda")
    yield "create eye", lambda: torch.eye(8, device="cuda")
    yield "create tril", lambda: z.tril()
    yield "create isin", lambda: torch.isin(t, i)
    yield "index embedding", lambda: torch.embedding(z, t)
    yield "index embedding backward", lambda: torch.ops.aten.embedding_dense_backward(z, t, 8, -1, False)
    yield "index select", lambda: z.index_select(0, t)
    yield "index gather", lambda: z.gather(0, t[None].expand(8, 8))
    yield "index rows", lambda: z[t]
    yield "index two tensors", lambda: z[t, i]
    yield "index put", lambda: whole.index_put_((i,), z)
    yield "index put of a number", lambda: whole.__setitem__(i, 1.0)
    yield "index put adding whole numbers", lambda: t.index_put_((i,), i * 0, accumulate=True)
    yield "index scatter", lambda: whole.scatter(0, t[None].expand(8, 8), z)
    yield "index scatter_", lambda: whole.scatter_(0, t[None].expand(8, 8), z)
    yield "index scatter_add", lambda: whole.scatter_add_(0, t[None].expand(8, 8), z)
    yield "index add", lambda: whole.index_add_(0, t, z)
    yield "index copy", lambda: whole.index_copy_(0, i, z)
    yield "index fill", lambda: whole.index_fill_(0, i, 1.0)
    yield "index take", lambda: z.take(t)
    yield "sort topk", lambda: z.topk(2)
