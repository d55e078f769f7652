"""What each precision computes in a layer, for any number of rays, readable and unhurried.

The three recipes of the public R2L-quant scripts run in float32 there and here: they show what
rounding does to the picture, not its speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.model.arithmetic import LEVELS, TINY, fake_quantize
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import QuantizedLinear
from r2l_core.model.turning import turned
from r2l_core.quantization.mix import quantized_layers, stream_turn
from r2l_core.quantization.walk import TURN, Layers
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


Layer = Callable[[Tensor], Tensor]


def simulated_layer(
    layer: QuantizedLinear, bias: Tensor, product: Layer, rounding: bool = True
) -> Layer:
    """An eight-bit layer in float32. bias: the light field's own, turned where layers are. product:
    the levels (N, in) times the layer's integers.

    `rounding` off leaves activations as they are: for tests that must tell rounding from none.
    """
    weight_scale = layer.weight.scale.reshape(1, -1)
    bias = layer.bias_at_center(bias).to(bias.dtype)
    fixed = None if layer.input_amax is None else torch.tensor(layer.input_amax)

    def run(x: Tensor) -> Tensor:
        if layer.smooth is not None:
            x = x / layer.smooth
        if layer.center is not None:
            x = x - layer.center
        amax = x.abs().amax(dim=1, keepdim=True) if fixed is None else fixed
        scale = torch.where(amax <= TINY, 0.0, amax / LEVELS)
        levels = x / torch.where(scale == 0, 1.0, scale)
        if rounding:
            levels = levels.round().clamp_(-LEVELS, LEVELS)
        return product(levels) * (scale * weight_scale) + bias

    return run


def layers_in(light_field: LightField, precision: Precision) -> Layers:
    """The layers as `precision` computes them on a processor, for `walk` with published features.

    `int8` is its simulation, `fp16` is rounded weights in float32, as on processors without that
    arithmetic. The batch that `dynamic-int8-fake` takes its scale from is the one it is given.
    Raises QuantizationError where a static range cannot be found.
    """
    tensors = light_field.tensors
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    if precision in (Precision.FP16, Precision.WEIGHTS_BF16, Precision.WEIGHTS_INT8_FAKE):
        tensors = rounded_tensors(precision, tensors)
    quantized, turn = quantized_layers(light_field, precision), stream_turn(light_field, precision)
    tensors = turned(light_field.network, tensors, turn)

    def layer(name: str) -> Layer:
        weight, bias = tensors[f"{name}.weight"].to(dtype), tensors[f"{name}.bias"].to(dtype)
        if precision is Precision.DYNAMIC_INT8_FAKE:
            rounded = fake_rows(weight)
            return lambda x: functional.linear(fake_batch(x), rounded, bias)
        if name in quantized:
            integers = quantized[name].weight.values.to(torch.float32)
            return simulated_layer(
                quantized[name], bias, partial(functional.linear, weight=integers)
            )
        return lambda x: functional.linear(x.to(dtype), weight, bias)

    layers = {
        name.removesuffix(".weight"): layer(name.removesuffix(".weight"))
        for name in tensors
        if name.endswith(".weight")
    }
    if turn is not None:
        layers[TURN] = partial(functional.linear, weight=turn)
    return Layers(lambda name, x: layers[name](x), turn)
