# SPDX-License-Identifier: Apache-2.0
"""Arguments for every overload by itself: what the operator database's samples pass to it, forward and backward, on the
way down; an in-place or out= form that no sample calls gets those of its functional form."""

import collections
import functools
import warnings

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

import carat
import samples
import sweep

KEEP = 8  # calls of an overload in samples, each with other dtypes


def name_of(overload):
    base = overload._schema.name.removeprefix("aten::")
    return f"{base}.{overload._overloadname}" if overload._overloadname != "default" else base


def find(name):
    """The torch.ops object of an overload's name, None if this PyTorch has none."""
    base, _, overload = name.partition(".")
    namespace, _, base = base.rpartition("::")
    return getattr(getattr(getattr(torch.ops, namespace or "aten"), base, None), overload or "default", None)


class Recorder(TorchDispatchMode):
    """Keeps calls: all of them (`every`), or those of a kind not seen before."""

    def __init__(self):
        super().__init__()
        self.every = True
        self.calls = collections.defaultdict(list)
        self.kinds = collections.defaultdict(set)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = name_of(function)
        kind = tuple((t.dtype, t.dim() > 0) for t in sweep.leaves((args, kwargs)) if torch.is_tensor(t))[:2]
        if len(self.calls[name]) < (3 * KEEP if self.every else KEEP) and (self.every or kind not in self.kinds[name]):
            self.kinds[name].add(kind)
            self.calls[name].append(tree_map(sweep.detached, (args, kwargs)))
        return function(*args, **kwargs)


def _optimizers():
    """The operators of optimizers, which the database doesn't have."""
    for options in ({"fused": True}, {"fused": True, "lr": torch.tensor(0.1)}, {"foreach": True}, {"foreach": False}):
        for kind in (torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD, torch.optim.Adagrad):
            weights = [torch.linspace(-1, 1, n).requires_grad_() for n in (7, 64)]
            optimizer = kind(weights, **{"lr": 0.1, "weight_decay": 0.1, **options})
            for _ in range(2):
                for weight in weights:
                    weight.grad = weight.detach().cos()
                optimizer.step()
            torch.nn.utils.clip_grad_norm_(weights, 0.5)
    for found in (0.0, 1.0):
        scale, grown, bad = torch.tensor(8.0), torch.tensor(1, dtype=torch.int32), torch.tensor(found)
        torch._amp_foreach_non_finite_check_and_unscale_([torch.linspace(-1, 1, 7), torch.ones(2, 3)], bad, torch.tensor(0.25))
        torch._amp_update_scale_(scale, grown, bad, 2.0, 0.5, 2)


def _numbers():
    """Forms with plain numbers, which the database's samples seldom have."""
    aten = torch.ops.aten
    floats, ints, bools = torch.linspace(-3, 3, 12), torch.arange(12).reshape(3, 4), torch.arange(12) % 3 == 0
    for x in (ints, bools):
        for op in (aten.bitwise_and, aten.bitwise_or, aten.bitwise_xor):
            op.Scalar(x, 1), op.Scalar_Tensor(1, x)
    aten.bitwise_left_shift.Tensor_Scalar(ints, 2), aten.bitwise_right_shift.Tensor_Scalar(ints, 2)
    for x in (floats, ints):
        for op in (aten.fmod, aten.remainder, aten.floor_divide, aten.clamp_min, aten.clamp_max):
            getattr(op, "Scalar", op.default if "default" in op.overloads() else None)(x, 2)
        aten.remainder.Scalar_Tensor(7, x.abs() + 1)
        for mode in ("floor", "trunc", None):
            aten.div.Scalar_mode(x, 2, rounding_mode=mode)
        aten.isin.Tensor_Scalar(x, 3), aten.isin.Scalar_Tensor(3, x), aten.fill.Tensor(x, x.flatten()[0])
    for op in (aten.lt_, aten.le_, aten.gt_, aten.ge_, aten.eq_, aten.ne_):
        op.Scalar(bools.clone(), True), op.Tensor(bools.clone(), ~bools)
    tensors = [floats, floats.reshape(3, 4)]
    for name in ("add", "sub", "mul", "div", "clamp_min", "clamp_max", "maximum", "minimum"):
        op = getattr(aten, f"_foreach_{name}")
        op.Scalar(tensors, 1.5), op.ScalarList(tensors, [1.5, -2.0])
    for x in (floats, floats.bfloat16(), ints):
        like = x.float() if x is ints else x
        for op, self_out, other_out in ((aten.xlogy, aten.xlogy.OutScalar_Self, aten.xlogy.OutScalar_Other),
                                        (aten.special_xlog1py, aten.special_xlog1py.self_scalar_out, aten.special_xlog1py.other_scalar_out)):
            of_self, of_other = (op.Scalar_Self, op.Scalar_Other) if op is aten.xlogy else (op.self_scalar, op.other_scalar)
            of_self(2, x), of_other(x, 0.5), self_out(2, x, out=like.clone()), other_out(x, 0.5, out=like.clone())
    aten.xlogy_.Scalar_Other(floats.clone(), 0.5)
    aten._foreach_lerp.Scalar(tensors, [t.exp() for t in tensors], 0.25)


def _out_forms():
    """Operators whose functional form computes above the backend, and those that a functional form never calls."""
    aten, x, ints = torch.ops.aten, torch.linspace(-3, 3, 12).reshape(3, 4), torch.arange(12).reshape(3, 4) % 3
    aten._to_copy.out(x, out=torch.empty(3, 4, dtype=torch.float64))
    aten.arange.start_out(1, 9, 2, out=torch.empty(0)), aten.linspace.out(0, 1, 7, out=torch.empty(0))
    aten.eye.out(5, out=torch.empty(0)), aten.eye.m_out(5, 3, out=torch.empty(0))
    aten._logcumsumexp(x, 1), aten._logcumsumexp.out(x, 1, out=torch.empty(3, 4))
    for helper in (aten._cummax_helper, aten._cummin_helper):
        helper(x, torch.empty_like(x), torch.empty(3, 4, dtype=torch.int64), 1)
    for how in ("add", "multiply"):
        aten.scatter.reduce(x, 1, ints, x, reduce=how), aten.scatter_.reduce(x.clone(), 1, ints, x, reduce=how)
        aten.scatter.value_reduce(x, 1, ints, 2.0, reduce=how), aten.scatter_.value_reduce(x.clone(), 1, ints, 2.0, reduce=how)
    for how in ("sum", "amax"):
        aten.scatter_reduce.two(x, 1, ints, x, how), aten.scatter_reduce_.two(x.clone(), 1, ints, x, how)
    aten._unique2(x, True, True, True), aten.binary_cross_entropy(x.sigmoid(), ints / 2, None, 0)
    aten.roll(torch.arange(24.).reshape(4, 6), [2], [1])
    aten._index_put_impl_(x.clone(), [ints[:, 0]], x, False, False)
    planes = torch.linspace(-1, 1, 2 * 8 * 32 * 32).reshape(2, 8, 32, 32).requires_grad_()
    weight, bias = torch.ones(8, requires_grad=True), torch.zeros(8, requires_grad=True)
    torch.nn.functional.group_norm(planes, 2, weight, bias).square().sum().backward()


def _norms():
    """In training with enough elements a channel, and the forms that no functional one calls."""
    aten, x = torch.ops.aten, torch.linspace(-2, 3, 4 * 3 * 20).reshape(4, 3, 20).cos()
    ones, zeros = torch.ones(3), torch.zeros(3)
    for training in (True, False):
        statistics = zeros.clone(), ones.clone()
        for op in (aten.native_batch_norm, aten._native_batch_norm_legit):
            result = op(x, ones, zeros, *statistics, training, 0.1, 1e-5)
        for op in (aten.native_batch_norm_backward, aten.batch_norm_backward):
            rest = (torch.empty(0, dtype=torch.uint8),) if op is aten.batch_norm_backward else ()
            op(x, x, ones, *statistics, *result[1:], training, 1e-5, [True] * 3, *rest)
    weight, norms = aten._weight_norm_interface(x, x[:, :1, :1].exp(), 0)
    aten._weight_norm_interface_backward(weight, x, x[:, :1, :1].exp(), norms, 0)
    aten._native_batch_norm_legit.no_stats(x, ones, zeros, True, 0.1, 1e-5)
    for op in (aten._native_batch_norm_legit_no_training, aten._batch_norm_no_update):
        op(x, ones, zeros, zeros.clone(), ones.clone(), 0.1, 1e-5)
    update = x, ones, zeros, zeros.clone(), ones.clone(), 0.1, 1e-5
    results = aten._batch_norm_with_update(*update)
    aten._batch_norm_with_update.out(*update, **dict(zip(("out", "save_mean", "save_invstd", "reserve"), map(torch.empty_like, results))))


def _own():
    """Carat's own, which nothing of PyTorch's calls."""
    own, scores, target = torch.ops.carat, torch.linspace(-3, 3, 15 * 8).reshape(15, 8).sin(), torch.arange(15) % 8
    for dtype in (torch.float32, torch.bfloat16):
        x = scores.to(dtype)
        for weight, reduction, smoothing in ((None, 1, 0.0), (x[0].abs(), 2, 0.1), (None, 0, 0.2)):
            how = target, weight, reduction, 3, smoothing
            loss, tops, total = own.cross_entropy(x, *how, False)
            own.cross_entropy_backward(loss.cos(), x, *how, tops, total)


def _random():
    """Enough elements for Carat to draw them."""
    x = torch.empty(20, 30)
    x.bernoulli_(0.4), x.uniform_(-1, 2), x.normal_(1, 2), x.exponential_(2), x.random_(), x.random_(50), x.random_(-3, 50)
    x.uniform_().bernoulli(), torch.empty(20, 30).bernoulli_(x), torch.native_dropout(x, 0.3, True)
    torch.normal(x, x), torch.normal(x, 2.0), torch.normal(-1.0, x)
    torch.randperm(700)
    torch.ops.aten.randperm.generator_out(700, generator=torch.Generator(), out=torch.empty(0, dtype=torch.int64))


def _record_sample(op, sample):
    if isinstance(sample.input, torch.Tensor) and sample.input.requires_grad:
        sweep.gradients(op, sample, 7)()
    else:
        op(sample.input, *sample.args, **sample.kwargs)


def _record_samples(recorder, op, dtype):
    chosen = samples.few(op, dtype, 3)
    with recorder:
        for sample in chosen:
            try:
                _record_sample(op, sample)
            except Exception:  # an outcome for the sweep, not for us
                pass


@functools.cache
def calls():
    """{overload name: [(args, kwargs)]} of what the samples call."""
    recorder = Recorder()
    with carat.use(only=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with recorder:
            _optimizers(), _numbers(), _out_forms(), _norms(), _own(), _random()
        recorder.every = False
        for op, dtype in samples.pairs(samples.FAST):
            _record_samples(recorder, op, dtype)
    return recorder.calls


def _types(arguments):
    return [str(a.type) for a in arguments if not a.is_out]


# Their functional forms write to arguments too: the running statistics.
WRITES_ANYWAY = {f"{name}.out": name for name in ("_batch_norm_with_update", "_native_batch_norm_legit")}


def functional_form(overload):
    """The overload that computes the same without writing to its arguments; None if there is none."""
    if name_of(overload) in WRITES_ANYWAY:
        return find(WRITES_ANYWAY[name_of(overload)])
    base = overload._schema.name.removeprefix("aten::")
    for candidate in (base, base.removesuffix("_")):
        packet = getattr(torch.ops.aten, candidate, None)
        for other in packet.overloads() if packet else ():
            form = getattr(packet, other)
            if not form._schema.is_mutable and _types(form._schema.arguments) == _types(overload._schema.arguments):
                return form
    return None


def arguments(name):
    """[(args, kwargs)] to call an overload with, without its out= tensors."""
    overload = find(name)
    own = calls().get(name, ())
    if own:
        outs = {a.name for a in overload._schema.arguments if a.is_out}
        return [(args, {k: v for k, v in kwargs.items() if k not in outs}) for args, kwargs in own]
    form = functional_form(overload)
    return calls().get(name_of(form), []) if form else []
