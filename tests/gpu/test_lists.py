# SPDX-License-Identifier: Apache-2.0
"""Operators over lists of tensors and fused optimizers on CUDA: many tensors of many sizes, forms of arguments, what the device alone knows."""

import itertools

import pytest
import torch

import carat
from test_cuda import both, sample, several

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
floats = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: str(d)[6:])
SIZES = [(), (1,), (7,), (0,), (1024,), (1025,), (33, 5), (256, 513), (4096, 3), (70000,)]
UNARY = """abs neg sqrt rsqrt reciprocal exp expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh erf erfc sigmoid floor
ceil trunc round""".split()


def tensors(dtype, seed=0, sizes=SIZES):
    made = [sample(s, dtype, seed + i) for i, s in enumerate(sizes)]
    return made + [sample((40, 64), dtype, seed + 90).t(), sample((4097,), dtype, seed + 91)[1:], sample((2, 3, 4, 5), dtype, 5).contiguous(memory_format=torch.channels_last)]


def in_place(name, first, *rest):
    """The changed lists: what an operator that returns nothing has written."""
    def run():
        copy = [t.clone() for t in first]
        (getattr(torch, name) if isinstance(name, str) else name)(copy, *rest)
        return copy
    return run


@floats
def test_unary(dtype):
    x = tensors(dtype)
    for name in UNARY:
        both(lambda: getattr(torch, f"_foreach_{name}")(x), f"_foreach_{name}")
        both(in_place(f"_foreach_{name}_", x), f"_foreach_{name}_")


@floats
def test_with_lists_and_numbers(dtype):
    x, y, z = tensors(dtype), tensors(dtype, 100), [t.abs() + 0.5 for t in tensors(dtype, 200)]
    numbers = [0.5 + i / 4 for i in range(len(x))]
    for name in ("add", "sub", "mul", "div", "maximum", "minimum", "clamp_min", "clamp_max"):
        for other, kind in ((z, "List"), (0.3, "Scalar"), (2, "Scalar"), (numbers, "ScalarList")):
            both(lambda: getattr(torch, f"_foreach_{name}")(x, other), f"_foreach_{name}.{kind}")
            both(in_place(f"_foreach_{name}_", x, other), f"_foreach_{name}_.{kind}")
    both(lambda: torch._foreach_add(x, y, alpha=0.3), "_foreach_add.List")
    for name in ("add", "mul", "div"):
        tensor = torch.full((), 1.7, device="cuda", dtype=dtype)
        both(lambda: getattr(torch.ops.aten, f"_foreach_{name}").Tensor(x, tensor), f"_foreach_{name}.Tensor")
        both(in_place(getattr(torch.ops.aten, f"_foreach_{name}_").Tensor, x, tensor), f"_foreach_{name}_.Tensor")
    for name in ("addcmul", "addcdiv"):
        for value, kind in ((0.3, "Scalar"), (numbers, "ScalarList")):
            both(lambda: getattr(torch, f"_foreach_{name}")(x, y, z, value), f"_foreach_{name}.{kind}")
            both(in_place(f"_foreach_{name}_", x, y, z, value), f"_foreach_{name}_.{kind}")
    for weight, kind in ((z, "List"), (0.3, "Scalar"), (numbers, "ScalarList")):
        both(lambda: torch._foreach_lerp(x, y, weight), f"_foreach_lerp.{kind}")
        both(in_place("_foreach_lerp_", x, y, weight), f"_foreach_lerp_.{kind}")


def test_more_tensors_than_a_launch_has_room_for():
    x = [sample((n % 300,), torch.float32, n) for n in range(1000)]
    both(lambda: torch._foreach_mul(x, 3.0), "_foreach_mul.Scalar")
    both(in_place("_foreach_addcmul_", x, x, x, 0.5), "_foreach_addcmul_.Scalar")


def test_other_lists_are_left_to_aten():
    x = tensors(torch.float32)
    mixed = [t.double() if i % 2 else t for i, t in enumerate(x)]
    both(lambda: torch._foreach_add(mixed, x))
    both(lambda: torch._foreach_add([t.int() for t in x], 2))
    both(lambda: torch._foreach_mul(x, 1 + 2j))
    both(lambda: torch._foreach_add([x[7].t()], [x[7].t().contiguous()]))
    both(lambda: torch._foreach_mul([x[7][:, ::2]], 2.0))
    both(lambda: torch._foreach_add([x[7]], [x[7][:, :1]]))
    both(lambda: torch._foreach_mul(x, torch.tensor(2.0)))
    for bad in ((x, x[:2]), ([], 1.0), (x, [1.0])):
        for on in (None, []):
            with carat.use(on), pytest.raises(RuntimeError):
                torch._foreach_add(*bad)


# ---- optimizers

def parameters(dtype, lists, sizes=SIZES):
    made = [tensors(dtype, 100 * i, sizes) for i in range(lists)]
    return made[:2] + [[t.abs() for t in one] for one in made[2:]]


def step_of(name, lists, stepped, steps=3.0, double=False, **options):
    """The lists after one step on copies of them."""
    def run():
        copies = [[t.clone() for t in one] for one in lists]
        given = list(copies)
        if name.startswith("_fused_adam"):
            given[4:] = [copies[4] if len(lists) > 4 else []]
        elif name == "_fused_sgd_" and len(lists) == 2:
            given.append([])
        if stepped:
            given.append([torch.full((), steps + i, device="cuda", dtype=torch.float64 if double else torch.float32) for i in range(len(lists[0]))])
        getattr(torch, name)(*given, **options)
        return [t for one in copies for t in one]
    return run


def scalings(dtype):
    yield {}
    yield {"grad_scale": torch.full((), 4.0, device="cuda")}
    yield {"grad_scale": torch.full((), 4.0, device="cuda"), "found_inf": torch.zeros((), device="cuda")}
    yield {"grad_scale": torch.full((), 4.0, device="cuda"), "found_inf": torch.ones((), device="cuda")}


def near(run, name, dtype):
    theirs = run()
    carat.stats(reset=True)
    with carat.use():
        mine = run()
    assert sum(stat.calls for key, stat in carat.stats().items() if key.split(".")[0] == name) == 1, carat.stats()
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype.itemsize == 2 else {"rtol": 2e-5, "atol": 2e-6} if dtype == torch.float32 else {}
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)  # halves are ATen's
@pytest.mark.parametrize("name", ["_fused_adam_", "_fused_adamw_"])
def test_adam(name, dtype):
    for amsgrad, maximize, decay, scaling in itertools.product((False, True), (False, True), (0.0, 0.1), scalings(dtype)):
        options = dict(beta1=0.9, beta2=0.99, weight_decay=decay, eps=1e-6, amsgrad=amsgrad, maximize=maximize, **scaling)
        for lr in (0.01, torch.full((), 0.01, device="cuda"), torch.tensor(0.01)):
            near(step_of(name, parameters(dtype, 5 if amsgrad else 4), True, lr=lr, **options), name, dtype)


@floats
def test_sgd(dtype):
    for momentum, nesterov, maximize, first, scaling in itertools.product((0.0, 0.9), (False, True), (False, True), (False, True), scalings(dtype)):
        if nesterov and not momentum:
            continue
        options = dict(weight_decay=0.1, momentum=momentum, lr=0.01, dampening=0.0 if nesterov else 0.2, nesterov=nesterov, maximize=maximize, is_first_step=first)
        near(step_of("_fused_sgd_", parameters(dtype, 3 if momentum else 2), False, **options, **scaling), "_fused_sgd_", dtype)


@floats
def test_adagrad(dtype):
    if not torch._C._dispatch_has_kernel_for_dispatch_key("aten::_fused_adagrad_", "CUDA"):
        pytest.skip("this PyTorch has none for CUDA")
    for maximize, decay in itertools.product((False, True), (0.0, 0.1)):
        near(step_of("_fused_adagrad_", parameters(dtype, 3), True, lr=0.01, lr_decay=0.1, weight_decay=decay, eps=1e-6, maximize=maximize),
             "_fused_adagrad_", dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=lambda d: str(d)[6:])
def test_unscale(dtype):
    for bad in (None, float("inf"), float("-inf"), float("nan")):
        x = tensors(dtype)
        if bad is not None:
            x[-4][60000] = bad

        def run():
            copy, found = [t.clone() for t in x], torch.zeros((), device="cuda")
            torch._amp_foreach_non_finite_check_and_unscale_(copy, found, torch.full((), 0.25, device="cuda"))
            return copy + [found]
        mine = both(run, "_amp_foreach_non_finite_check_and_unscale_")
        assert float(mine[-1]) == (bad is not None)


def test_loss_scale():
    for scale, tracker, found in ((8.0, 0, 0.0), (8.0, 2, 0.0), (8.0, 2, 1.0), (3e38, 2, 0.0)):
        def run():
            state = [torch.full((), scale, device="cuda"), torch.full((), tracker, device="cuda", dtype=torch.int32)]
            torch._amp_update_scale_(*state, torch.full((), found, device="cuda"), 2.0, 0.5, 3)
            return state
        both(run, "_amp_update_scale_")


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"fused": True, "amsgrad": True}, {"foreach": True, "capturable": True}], ids=str)
def test_training(options):
    """Several steps as torch.optim takes them, against the loop over tensors in double precision."""
    sizes = [(64, 33), (129,), (1000, 7)]

    def train(dtype, **options):
        weights = [sample(s, torch.float64, i).to(dtype).requires_grad_() for i, s in enumerate(sizes)]
        optimizer = torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1, **options)
        for step in range(20):
            for i, weight in enumerate(weights):
                weight.grad = (weight.detach() * (i + 1) + step).cos()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
        return [w.detach() for w in weights]
    truth = train(torch.float64, foreach=False, amsgrad=options.get("amsgrad", False))
    carat.stats(reset=True)
    with carat.use():
        mine = train(torch.float32, **options)
    for one, exact in zip(mine, truth, strict=True):
        torch.testing.assert_close(one, exact.float(), rtol=1e-4, atol=1e-5)
    assert any(stat.calls for name, stat in carat.stats().items() if name.startswith("_fused_adamw_" if "fused" in options else "_foreach_"))


def test_capture():
    lists = parameters(torch.float32, 4)
    steps = [torch.zeros((), device="cuda") for _ in lists[0]]

    def step():
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(*lists, [], steps, lr=0.01, beta1=0.9, beta2=0.999, weight_decay=0.1, eps=1e-8, amsgrad=False, maximize=False)
    start = [[t.clone() for t in one] for one in lists]
    with carat.use():
        for _ in range(4):
            step()
        wanted = [t.clone() for one in lists for t in one]
        for one, first in zip(lists, start):
            for t, f in zip(one, first):
                t.copy_(f)
        for s in steps:
            s.zero_()
        graph = torch.cuda.CUDAGraph()
        carat.stats(reset=True)
        with torch.cuda.graph(graph):
            step()
        assert carat.stats()["_fused_adamw_"].calls == 1
        for _ in range(4):
            graph.replay()
    for mine, theirs in zip((t for one in lists for t in one), wanted):
        assert torch.equal(mine, theirs)
