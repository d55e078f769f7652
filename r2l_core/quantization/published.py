"""The three recipes of the public R2L-quant scripts, with their semantics.

They run in float32 there and here: they show what rounding does to the picture, not its speed.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from r2l_core.model.arithmetic import fake_quantize
from r2l_core.types import Precision


def rounded_tensors(precision: Precision, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights and biases after a weight-only rounding, float32.

    `weights-bf16` (precision_change_16.py): every tensor cast to bfloat16.
    `weights-int8-fake` (precision_changer.py): every tensor, biases too, rounded to 255 levels of
    its own largest magnitude. `fp16`: every tensor cast to float16, for processors that store but
    do not calculate in it.
    """
    if precision is Precision.WEIGHTS_BF16:
        return {name: t.to(torch.bfloat16).float() for name, t in tensors.items()}
    if precision is Precision.FP16:
        return {name: t.to(torch.float16).float() for name, t in tensors.items()}
    if precision is Precision.WEIGHTS_INT8_FAKE:
        return {name: fake_quantize(t, t.abs().max()) for name, t in tensors.items()}
    raise ValueError(f"{precision} is not a weight-only rounding")


def fake_rows(weight: Tensor) -> Tensor:
    """The weight of `dynamic-int8-fake`: (out, in), every output row rounded in its own range."""
    return fake_quantize(weight, weight.abs().amax(dim=1, keepdim=True))


def fake_batch(x: Tensor) -> Tensor:
    """The inputs of `dynamic-int8-fake` (`quant_modules.initialize()`, a QuantLinear without
    calibration): the whole batch (N, in) shares its own largest magnitude as range."""
    return fake_quantize(x, x.abs().max())
