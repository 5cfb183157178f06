# SPDX-License-Identifier: Apache-2.0
"""Modules that fuse what PyTorch's make of several operators; drop-ins for those of torch.nn.

    loss = carat.nn.CrossEntropyLoss()      # no log-softmax in memory: half of the peak, a third of the time
"""

import torch

from . import functional

__all__ = ["CrossEntropyLoss", "functional"]


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss by carat.nn.functional.cross_entropy, which says where they differ. Not for torch.jit.script."""

    def forward(self, input, target):
        return functional.cross_entropy(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
                                        label_smoothing=self.label_smoothing)
