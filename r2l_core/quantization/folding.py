"""A network as engines run it, with what eight bits need folded into its weights and biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import QuantizedLinear, body_layers
from r2l_core.model.turning import turned
from r2l_core.quantization.mix import quantized_layers, stream_turn
from r2l_core.types import Precision


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A light field's numbers for one precision, float32 and not yet padded.

    turn: (width, width), by which the head's output is multiplied before it enters the body and the
    skip, or None. tensors: by state-dict name, as they are behind a turned stream; integers: the
    layers in eight bits, by name, of which `tensors` has no weight. Neither has `res_scale` folded
    in. biases: of all body layers, (out,), those of a block's last layer times `res_scale`; with
    them no centre is subtracted anywhere.
    """

    turn: Tensor | None
    tensors: Mapping[str, Tensor]
    integers: Mapping[str, QuantizedLinear]
    biases: Mapping[str, Tensor]

    def weight_bytes(self, wide: int) -> int:
        """Bytes of all numbers, those that are not in eight bits in `wide` bytes each."""
        floats = [*self.tensors.values(), *([] if self.turn is None else [self.turn])]
        integers = sum(layer.weight.values.numel() for layer in self.integers.values())
        return integers + wide * sum(tensor.numel() for tensor in floats)


def folded(light_field: LightField, precision: Precision) -> FoldedNetwork:
    """Raises QuantizationError where a static range cannot be found."""
    integers = quantized_layers(light_field, precision)
    turn = stream_turn(light_field, precision)
    network = light_field.network
    # Those in eight bits bring weights and biases that are turned already.
    floats = [name for name in (*body_layers(network), "tail.0") if name not in integers]
    tensors = turned(network, light_field.tensors, turn, floats)
    biases = _biases(light_field, tensors, integers)
    for name in integers:
        del tensors[f"{name}.weight"]
    return FoldedNetwork(turn, tensors, integers, biases)


def _biases(
    light_field: LightField, tensors: Mapping[str, Tensor], integers: Mapping[str, QuantizedLinear]
) -> dict[str, Tensor]:
    """For a residual stream that is less by the centre of the layer it enters next."""
    network = light_field.network
    zero = torch.zeros(network.width, dtype=torch.float64)

    def shift(block: int) -> Tensor:
        layer = None
        if block < network.n_blocks:
            layer = integers.get(network.block_layers(block)[0])
        return zero if layer is None or layer.center is None else layer.center.double()

    result: dict[str, Tensor] = {}
    for block in range(network.n_blocks):
        *_, last = names = network.block_layers(block)
        for name in names:
            bias, layer = tensors[f"{name}.bias"], integers.get(name)
            folded = bias.double() if layer is None else layer.bias_at_center(bias)
            if name == last:
                folded = folded * network.res_scale + shift(block) - shift(block + 1)
            result[name] = folded.float()
    return result
