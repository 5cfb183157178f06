# SPDX-License-Identifier: Apache-2.0
"""Functions of carat.nn. What their kernels don't take goes to the function of torch.nn.functional with the same name."""

import torch

from .. import _control, _operators

_control.install_own()
_REDUCTIONS = {name: number for number, name in enumerate(_operators._REDUCTIONS)}
_WIDENED = {torch.float32, torch.bfloat16, torch.float16}
# (scores, classes): with fewer, PyTorch's two operators cost less than one that brings its gradient from Python. A CPU's kernel
# wants rows of some length.
_LEAST = {"cpu": (1 << 16, 64), "cuda": (1 << 20, 1)}


def _is_plain(*tensors):
    """Nothing that wants more of an operator than values and gradients: subclasses, torch.func transforms, forward-mode gradients."""
    if torch.overrides.has_torch_function(tensors) or torch._C._are_functorch_transforms_active():
        return False
    return torch.autograd.forward_ad._current_level < 0 and all(t.device.type in ("cpu", "cuda") for t in tensors)


def _takes_together(scores, weight):
    """Whether PyTorch's function takes these dtypes: one, or such as autocast widens to one."""
    if weight.dtype == scores.dtype:
        return True
    return torch.is_autocast_enabled(scores.device.type) and {weight.dtype, scores.dtype} <= _WIDENED


def _takes_classes(scores, target, weight, reduction, label_smoothing):
    """Whether scores are a matrix with a class number for each row."""
    if scores.ndim != 2 or target.ndim != 1 or target.dtype != torch.int64 or not scores.is_floating_point():
        return False
    least, least_classes = _LEAST[scores.device.type]
    if scores.numel() < least or scores.shape[1] < least_classes:
        return False
    if target.shape[0] != scores.shape[0] or reduction not in _REDUCTIONS or not 0 <= label_smoothing <= 1:
        return False
    return weight is None or (weight.shape == scores.shape[1:] and not weight.requires_grad and _takes_together(scores, weight))


def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):
    """torch.nn.functional.cross_entropy. Of a large matrix of scores with class numbers nothing is kept but two numbers a row,
    from which the backward pass makes the gradient (unless that is to be differentiated again); probabilities as targets and other
    shapes go to PyTorch's own. The backward pass reads the scores again, so changing them in place after this raises in it. Of a row
    that ignore_index leaves out the gradient is 0, whatever its scores; PyTorch's is NaN if one of them is."""
    given = (input, target) if weight is None else (input, target, weight)
    if size_average is not None or reduce is not None or not _is_plain(*given) or not _takes_classes(input, target, weight, reduction, label_smoothing):
        return torch.nn.functional.cross_entropy(input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing)
    wide = torch.is_autocast_enabled(input.device.type)  # where PyTorch's loss is in single precision
    return torch.ops.carat.cross_entropy(input, target, weight, _REDUCTIONS[reduction], ignore_index, label_smoothing, wide)[0]
