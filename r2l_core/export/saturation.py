"""Eight-bit weights whose products add up right on processors without 8-bit dot products.

Such processors (x86 before AVX-VNNI and AVX-512-VNNI) multiply unsigned by signed bytes with
`vpmaddubsw`, which adds two neighbouring products in 16 bits and saturates. Runtimes shift signed
activations to [0, 255] for it, so two weights of 127 can ask for 2 * 255 * 127 = 64,770, and the
sum stays at 32,767. Measured with networks of this kind: OpenVINO 2026.4 is off by up to 0.27 of
full scale in AVX2 code, ONNX Runtime 1.32 by up to 0.08. No sum can saturate where
255 * (|w1| + |w2|) <= 32,767 for each two weights that meet neighbouring inputs, which both
runtimes pair as (0, 1), (2, 3), ...
"""

from __future__ import annotations

from dataclasses import replace

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from r2l_core.model.arithmetic import LEVELS, QuantizedRows
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import Quantization, QuantizedLinear
from r2l_core.quantization.mix import quantized_layers
from r2l_core.types import Precision

PAIR_LIMIT = 128
"""Most that two neighbouring weights may add up to in magnitude: 32,767 // 255."""


def pair_sums(values: Tensor) -> Tensor:
    """The largest |w1| + |w2| over neighbouring inputs in each row: integers (out, in) -> int32
    (out, 1)."""
    n_out, n_in = values.shape
    magnitudes = torch.zeros(n_out, n_in + n_in % 2, dtype=torch.int32)
    magnitudes[:, :n_in] = values.to(torch.int32).abs()
    return (magnitudes[:, ::2] + magnitudes[:, 1::2]).amax(1, keepdim=True)


def without_saturation(light_field: LightField) -> LightField:
    """The light field whose `int8-static-sim` has no pair of weights above the limit.

    Rows that keep to it stay as they are; others are rounded to a coarser step, at worst to seven
    bits. Raises QuantizationError where a static range cannot be found.
    """
    layers = quantized_layers(light_field, Precision.INT8_STATIC_SIM)
    safe = {
        name: _within_limit(layer, light_field.tensors[f"{name}.weight"])
        for name, layer in layers.items()
    }
    return replace(light_field, quantization=Quantization("int8-static", safe))


def largest_pair_sum(model: onnx.ModelProto) -> int:
    """The largest |w1| + |w2| of neighbouring inputs in any eight-bit matrix of an ONNX graph; 0
    where it has none."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    sums = [0]
    for node in model.graph.node:
        tensor = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if tensor is not None:
            # Stored (in, out), as MatMul wants it.
            integers = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            sums.append(int(pair_sums(integers.T).max()))
    return max(sums)


def _within_limit(layer: QuantizedLinear, weight: Tensor) -> QuantizedLinear:
    """weight: float32 (out, in), what the layer's integers were rounded from, or stand for."""
    values, scale = layer.weight.values, layer.weight.scale
    if layer.smooth is not None:
        weight = weight * layer.smooth
    # Ranges from other libraries may clip weights; they stay clipped.
    weight = weight.clamp(-LEVELS * scale, LEVELS * scale)
    # Again where rounding lifts a pair above the limit.
    while ((sums := pair_sums(values)) > PAIR_LIMIT).any():
        too_large = sums > PAIR_LIMIT
        scale = torch.where(too_large, scale * sums / (PAIR_LIMIT - 0.5), scale)
        values = torch.where(too_large, (weight / scale).round().to(torch.int8), values)
    return replace(layer, weight=QuantizedRows(values, scale))
