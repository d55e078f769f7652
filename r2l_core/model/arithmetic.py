"""Eight-bit arithmetic, written out: what every quantised engine and recipe is built from.

Symmetric and narrow: 255 levels from -127 to 127, zero is exact. `fake_quantize` has the semantics
of `fake_tensor_quant` in NVIDIA's pytorch-quantization (its `tensor_quant.py`); `quantize_rows`
those of its per-row weight quantiser and of the per-ray activations used here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEVELS = 127
"""Largest magnitude of a symmetric 8-bit integer."""

TINY = 2.0**-24
"""Ranges up to this quantise everything to zero, as pytorch-quantization has it."""


def fake_quantize(x: Tensor, amax: Tensor | float) -> Tensor:
    """`x` rounded to the 255 levels that span [-amax, amax], still floating.

    x: float, any shape. amax: largest magnitude represented, broadcastable to `x`, not negative.
    """
    amax = torch.as_tensor(amax, dtype=x.dtype, device=x.device)
    # A tensor, because torch turns `number / tensor` into a reciprocal, which is off by a bit.
    scale = torch.where(amax <= TINY, 0.0, x.new_tensor(LEVELS) / amax.clamp_min(TINY))
    levels = (x * scale).round().clamp(-LEVELS, LEVELS)
    return levels / torch.where(scale == 0, 1.0, scale)


@dataclass(frozen=True, eq=False)
class QuantizedRows:
    """values: int8 (N, K). scale: float32 (N, 1); row i means values[i] * scale[i]."""

    values: Tensor
    scale: Tensor

    def dequantized(self) -> Tensor:
        """The float32 matrix it stands for, (N, K)."""
        return self.values.to(torch.float32) * self.scale


def quantize_rows(x: Tensor) -> QuantizedRows:
    """Eight bits with one scale per row: float32 (N, K) -> QuantizedRows.

    A row of zeros has scale 0 and values 0.
    """
    amax = x.abs().amax(dim=1, keepdim=True)
    scale = torch.where(amax <= TINY, 0.0, amax / LEVELS)
    # Divide by the stored scale, so that what is rounded is what the scale will be applied to.
    values = (x / torch.where(scale == 0, 1.0, scale)).round().clamp(-LEVELS, LEVELS)
    return QuantizedRows(torch.where(scale == 0, 0.0, values).to(torch.int8), scale)
