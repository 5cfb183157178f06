# SPDX-License-Identifier: Apache-2.0
"""One operator's sample on ATen and on Carat: forward, backward, in place, out=, non-contiguous, with equal outcomes."""

import warnings

import torch
from torch.utils._pytree import tree_map

import carat
import samples
from compare import Difference, check, leaves

OFF = carat.use(only=[])  # for results to compare with, whatever the process does
ON = carat.use()


class Outcome:
    """A result, or the exception that came instead."""

    def __init__(self, function, seed=0):
        self.value = self.failure = None
        samples.seed(seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.value = function()
        except Exception as failure:
            self.failure = failure
        self.random_state = torch.get_rng_state()


UNSTABLE = ("sort", "argsort", "sort.values", "topk", "topk.values")


def settle(name, args, kwargs, result):
    """A result that both sides must agree on: which of several equal values an unstable sort puts first, or topk takes, is
    not settled. The values are, and that their indices are distinct."""
    if name not in UNSTABLE or kwargs.get("stable") or torch.is_tensor(result) and result.is_floating_point():
        return result
    place = 2 if name.startswith("topk") else 1
    dim = kwargs.get("dim", args[place] if len(args) > place else -1)
    indices = result if torch.is_tensor(result) else result[1]
    if args[0].dim() == 0:
        return [result]
    distinct = bool(indices.sort(dim)[0].diff(dim=dim).ne(0).all())
    return [*([] if torch.is_tensor(result) else [result[0]]), args[0].detach().gather(dim, indices), distinct, indices.shape,
            indices.stride(), indices.dtype]


def compare(on, off, what, truths=None, chain=False):
    if off.failure is not None or on.failure is not None:
        ours, atens = repr(on.failure), repr(off.failure)
        if type(on.failure) is not type(off.failure) or str(on.failure) != str(off.failure):
            raise Difference(f"{what}: {ours}, not {atens}")
        return
    check(on.value, off.value, what, truths, chain)
    if not torch.equal(on.random_state, off.random_state):
        raise Difference(f"{what}: the random generator is in another state")


def choose(only):
    """Narrows what Carat takes over in this run."""
    global ON
    ON = carat.use(only)


def run_both(make, what, truths=None, chain=False):
    """Compares make()() on both sides: make prepares fresh inputs, its result is what is run. Returns ATen's outcome."""
    function = make()
    with OFF:
        off = Outcome(function)
    function = make()
    with ON:
        on = Outcome(function)
    compare(on, off, what, truths, chain)
    return off


def promoted(value):
    """The same in double precision; None where that could change what is computed."""
    kinds = {torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.float32: torch.float64,
             torch.complex64: torch.complex128, torch.complex32: torch.complex128}
    if torch.is_tensor(value) and value.dtype in kinds:
        return value.detach().to(kinds[value.dtype]).requires_grad_(value.requires_grad)
    return kinds.get(value, value) if isinstance(value, torch.dtype) else value


def in_double(function, sample):
    """The truth by ATen: a function without arguments, for check()."""
    def truths():
        args = tree_map(promoted, (sample.input, sample.args, sample.kwargs))
        with OFF:
            outcome = Outcome(lambda: function(args[0], *args[1], **args[2]))
        return outcome.value
    return truths


def gradients(op, sample, seeds):
    """A function that runs forward and backward and gives the gradients of all inputs that want one."""
    def run():
        result = op(sample.input, *sample.args, **sample.kwargs)
        if sample.output_process_fn_grad is not None:
            result = sample.output_process_fn_grad(result)
        outputs = [t for t in leaves(result) if torch.is_tensor(t) and t.requires_grad]
        wanted = [t for t in leaves((sample.input, sample.args, sample.kwargs)) if torch.is_tensor(t) and t.requires_grad]
        if not outputs or not wanted:
            return None
        generator = torch.Generator().manual_seed(seeds)
        upstream = [torch.randn(t.shape, dtype=t.dtype if t.is_complex() else torch.float32, generator=generator).to(t.device, t.dtype)
                    for t in outputs]
        return torch.autograd.grad(outputs, wanted, upstream, allow_unused=True)
    return run


def check_forward(op, sample, what):
    def run():
        args = (sample.input, *sample.args)
        return settle(op.name, args, sample.kwargs, op(*args, **sample.kwargs))
    return run_both(lambda: run, what, None if op.name in UNSTABLE else in_double(op, sample))


def check_backward(op, sample, what):
    def truths():
        double = type("Sample", (), {})()
        double.input, double.args, double.kwargs = tree_map(promoted, (sample.input, sample.args, sample.kwargs))
        double.output_process_fn_grad = sample.output_process_fn_grad
        with OFF:
            return Outcome(gradients(op, double, 7)).value
    run_both(lambda: gradients(op, sample, 7), f"{what} backward", truths, chain=True)


def detached(value):
    """A copy, so that a call changes nothing of what it's made from."""
    if isinstance(value, torch.Generator):
        return value.clone_state()
    return value.detach().clone() if torch.is_tensor(value) else value


def same_layout(value):
    """A copy with the strides of the original, also where those leave holes."""
    if not torch.is_tensor(value) or value.layout is not torch.strided or value.is_conj() or value.is_neg():
        return detached(value)
    value = value.detach()
    if 0 in value.stride():
        return value.clone()
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device).copy_(value)


def check_inplace(op, sample, what):
    """On a copy of the input; the result must be that very tensor."""
    def make():
        target = tree_map(detached, sample.input)

        def run():
            result = op.inplace_variant(target, *sample.args, **sample.kwargs)
            return [target, leaves(result)[0] is leaves(target)[0] if leaves(result) else None]
        return run
    run_both(make, f"{what} in place", lambda: [in_double(op, sample)(), True])


def outs_like(results, how):
    """Tensors for out=: as the results are, with holes, or of a wrong size."""
    def make(t):
        if how == "strided":
            return torch.full([*t.shape, 2], 3, dtype=t.dtype, device=t.device)[..., 0]
        if how == "wrong":
            return torch.empty([1, *t.shape], dtype=t.dtype, device=t.device).fill_(3)
        return torch.empty_like(t).fill_(3)
    return [make(t) for t in results]


def check_out(op, sample, result, what, hows):
    results = leaves(result)
    if not results or not all(torch.is_tensor(t) and t.layout is torch.strided for t in results):
        return
    arguments = tree_map(detached, (sample.input, sample.args, sample.kwargs))
    for how in hows:
        def make():
            outs = outs_like(results, how)
            given = outs[0] if torch.is_tensor(result) else tuple(outs)

            def run():
                op(arguments[0], *arguments[1], **arguments[2], out=given)
                return outs
            return run
        run_both(make, f"{what} out= ({how})", lambda: leaves(in_double(op, sample)()))


def check_sample(op, sample, what, thorough):
    """Everything about one sample."""
    off = check_forward(op, sample, what)
    wants_gradient = any(torch.is_tensor(t) and t.requires_grad for t in leaves((sample.input, sample.args, sample.kwargs)))
    ties = op.name in (*UNSTABLE, "msort") and sample.input.element_size() < 4  # their gradients go where the indices point
    if wants_gradient and off.failure is None and not ties:
        check_backward(op, sample, what)
    if op.inplace_variant is not None and leaves(sample.input):
        check_inplace(op, sample, what)
    if getattr(op, "supports_out", False) and off.failure is None and op.name not in UNSTABLE:
        check_out(op, sample, off.value, what, ("same", "strided", "wrong") if thorough else ("same", "strided"))


def non_contiguous(sample):
    """The sample with holes in its tensors; None where it can't have any (sparse tensors)."""
    try:
        return sample.noncontiguous()
    except RuntimeError:
        return None


def check_errors(op):
    """Bad input: the same exception with the same words."""
    for index, error in enumerate(op.error_inputs(samples.DEVICE)):
        sample = error.sample_input
        run_both(lambda: lambda: op(sample.input, *sample.args, **sample.kwargs), f"{op.name}, error input {index}")
