"""`difference.difference_map` of pictures that lie on a device, computed there: the same bits."""

from __future__ import annotations

import torch
from torch import Tensor

from r2l_core.images.difference import DifferenceKind, map_of_floats, map_of_levels


def difference_on_device(kind: DifferenceKind, a: Tensor, b: Tensor) -> Tensor:
    """The difference of `a` against `b`, a quick kind: float32 (H, W), on their device.

    a, b: (H, W, 3), both uint8, or both float32, finite and in [0, 1].
    """
    if a.dtype is torch.uint8 and kind is DifferenceKind.RELATIVE:
        a, b = _share(a), _share(b)
    values: Tensor
    if a.dtype is torch.uint8:
        values = map_of_levels(kind, a, b, _share, torch)
    else:
        values = map_of_floats(kind, a, b, torch)
    return values


def _share(levels: Tensor) -> Tensor:
    """uint8 [0, 255] to float32 [0, 1]."""
    # By a tensor: on GPUs torch multiplies by the reciprocal of a number, which is not the same.
    return levels.to(torch.float32) / torch.full((), 255.0, device=levels.device)
