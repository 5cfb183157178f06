# SPDX-License-Identifier: Apache-2.0
"""Carat's own operators in PyTorch: schemas, what runs where Carat's kernels step aside, shapes for tracing, and autograd.

They are called by name (from carat.nn), so Carat serves them whether or not it is enabled; carat.use([]) doesn't.
"""

import torch

_REDUCTIONS = ("none", "mean", "sum")  # by at::Reduction's numbers

_library = torch.library.Library("carat", "FRAGMENT")
_library.define("cross_entropy(Tensor scores, Tensor target, Tensor? weight, int reduction, int ignore_index, float label_smoothing, bool wide) "
                "-> (Tensor loss, Tensor tops, Tensor total)")
_library.define("cross_entropy_backward(Tensor grad, Tensor scores, Tensor target, Tensor? weight, int reduction, int ignore_index, "
                "float label_smoothing, Tensor tops, Tensor total) -> Tensor")


def _arithmetic(dtype):
    return torch.float64 if dtype == torch.float64 else torch.float32


def _torch_loss(scores, target, weight, reduction, ignore_index, label_smoothing):
    return torch.nn.functional.cross_entropy(scores, target, weight, ignore_index=ignore_index, reduction=_REDUCTIONS[reduction],
                                             label_smoothing=label_smoothing)


def _weights_of(target, weight, ignore_index, dtype):
    """Of each target, 0 of those left out."""
    counts = target != ignore_index
    return counts.to(dtype) if weight is None else weight.to(dtype)[target.where(counts, 0)] * counts


def _cross_entropy(scores, target, weight, reduction, ignore_index, label_smoothing, wide):
    dtype = _arithmetic(scores.dtype)
    x, of_classes = scores.to(dtype), None if weight is None else weight.to(dtype)
    top = x.amax(1)
    loss = _torch_loss(x, target, of_classes, reduction, ignore_index, label_smoothing)
    total = x.new_zeros(()) if reduction == 0 else _weights_of(target, weight, ignore_index, dtype).sum()
    weights = x.new_full((), x.shape[1] if label_smoothing else 0) if of_classes is None else of_classes.sum() * bool(label_smoothing)
    return loss.to(dtype if wide else scores.dtype), torch.stack([top, torch.logsumexp(x - top[:, None], 1)], 1), torch.stack([total, weights])


def _cross_entropy_backward(grad, scores, target, weight, reduction, ignore_index, label_smoothing, tops, total):
    dtype = _arithmetic(scores.dtype)
    grad = (grad.to(dtype) / total[0] if reduction == 1 else grad.to(dtype)).expand_as(target)
    of_classes = torch.ones_like(scores[0], dtype=dtype) if weight is None else weight.to(dtype)
    hit = grad * (1 - label_smoothing) * _weights_of(target, weight, ignore_index, dtype)
    counts = target != ignore_index
    smooth = torch.where(counts, grad * label_smoothing / scores.shape[1], 0)
    slope = (scores.to(dtype) - tops[:, :1] - tops[:, 1:]).exp() * (hit + smooth * of_classes.sum())[:, None] - smooth[:, None] * of_classes
    slope.scatter_add_(1, target.where(counts, 0)[:, None], -hit[:, None])
    return slope.where(counts[:, None], 0).to(scores.dtype)


_library.impl("cross_entropy", _cross_entropy, "CompositeExplicitAutograd")
_library.impl("cross_entropy_backward", _cross_entropy_backward, "CompositeExplicitAutograd")


@torch.library.register_fake("carat::cross_entropy", lib=_library)
def _(scores, target, weight, reduction, ignore_index, label_smoothing, wide):
    dtype = _arithmetic(scores.dtype)
    loss = scores.new_empty(target.shape if reduction == 0 else (), dtype=dtype if wide else scores.dtype)
    return loss, scores.new_empty((*target.shape, 2), dtype=dtype), scores.new_empty((2,), dtype=dtype)


@torch.library.register_fake("carat::cross_entropy_backward", lib=_library)
def _(grad, scores, *_):
    return scores.new_empty(scores.shape)


def _save(ctx, inputs, output):
    scores, target, weight, *ctx.numbers, ctx.wide = inputs
    ctx.save_for_backward(scores, target, weight, *output[1:])
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _gradient(ctx, grad, *_):
    if grad is None:
        return (None,) * 7
    scores, target, weight, tops, total = ctx.saved_tensors
    if torch.is_grad_enabled():  # to be differentiated again, for which there is no kernel
        alias = scores.view_as(scores)  # the hooks of the caller's tensor are for its whole gradient
        loss = _torch_loss(alias.float() if ctx.wide and alias.dtype != torch.float64 else alias, target, weight, *ctx.numbers)
        made = torch.autograd.grad(loss, alias, grad, create_graph=True)[0]
    else:
        made = torch.ops.carat.cross_entropy_backward(grad.contiguous(), scores, target, weight, *ctx.numbers, tops, total)
    return made, None, None, None, None, None, None


torch.library.register_autograd("carat::cross_entropy", _gradient, setup_context=_save, lib=_library)
