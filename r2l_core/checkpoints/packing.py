"""Quantised layers to the tensors of a file and back; see checkpoint for the names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from r2l_core.json_fields import parse_json
from r2l_core.model.arithmetic import QuantizedRows
from r2l_core.model.network import NetworkConfig
from r2l_core.model.quantized import Quantization, QuantizedLinear, Recipe, stood_for
from r2l_core.model.turning import TURN_SIGNS, are_turn_signs

_STORED_TYPE = {"weights-bf16": torch.bfloat16}
"""What a weight-only recipe is stored in; the other recipes' floats stay float32."""


def packed(tensors: Mapping[str, Tensor], quantization: Quantization | None) -> dict[str, Tensor]:
    """The tensors to write: 8-bit layers as integers with their scales, the rest as they are."""
    layers = {} if quantization is None else quantization.layers
    dtype = None if quantization is None else _STORED_TYPE.get(quantization.recipe)
    result = {
        name: (t if dtype is None else t.to(dtype)).contiguous() for name, t in tensors.items()
    }
    for name, layer in layers.items():
        result[f"{name}.weight"] = layer.weight.values.contiguous()
        result[f"{name}.weight_scale"] = layer.weight.scale.contiguous()
        if layer.input_amax is not None:
            result[f"{name}.input_amax"] = torch.tensor(layer.input_amax, dtype=torch.float32)
        if layer.smooth is not None:
            result[f"{name}.smooth"] = layer.smooth.contiguous()
        if layer.center is not None:
            result[f"{name}.input_center"] = layer.center.contiguous()
        if layer.bias is not None:
            result[f"{name}.bias"] = layer.bias.contiguous()
    if quantization is not None and quantization.turn_signs is not None:
        result[TURN_SIGNS] = quantization.turn_signs.contiguous()
    return result


def unpacked(
    network: NetworkConfig, stored: Mapping[str, Tensor], description: str | None
) -> tuple[dict[str, Tensor], Quantization | None]:
    """State-dict tensors, 8-bit layers turned back into float32, and the quantisation they carry.

    Raises ValueError where they do not fit together.
    """
    tensors = dict(stored)
    if description is None:
        return tensors, None
    values = parse_json(description, nan=True)
    if not isinstance(values, dict) or values.get("recipe") not in get_args(Recipe):
        raise ValueError("the header names no known recipe")
    layers: dict[str, QuantizedLinear] = {}
    for key in [key for key in stored if key.endswith(".weight_scale")]:
        name = key.removesuffix(".weight_scale")
        layer = _layer(name, tensors)
        _check_recipe(name, layer, values["recipe"])
        layers[name] = layer
    signs = tensors.pop(TURN_SIGNS, None)
    if signs is not None:
        eight_bits = values["recipe"] == "int8" and signs.dtype is torch.int8
        if not eight_bits or not are_turn_signs(signs.numpy(), network):
            raise ValueError(f"{TURN_SIGNS} do not turn the stream of this network")
        layers = {name: _behind_turn(network, name, layers[name], tensors) for name in layers}
    settings = values.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    quantization = Quantization(values["recipe"], layers, settings, signs)
    return stood_for(network, tensors, quantization), quantization


def _layer(name: str, tensors: dict[str, Tensor]) -> QuantizedLinear:
    weight, scale = tensors.get(f"{name}.weight"), tensors.pop(f"{name}.weight_scale")
    if weight is None or weight.dtype is not torch.int8 or weight.ndim != 2:
        raise ValueError(f"{name}.weight is not an int8 matrix")
    if tuple(scale.shape) != (weight.shape[0], 1) or not _positive(scale, or_zero=True):
        raise ValueError(f"{name}.weight_scale does not fit its weight")
    amax, smooth = tensors.pop(f"{name}.input_amax", None), tensors.pop(f"{name}.smooth", None)
    center = tensors.pop(f"{name}.input_center", None)
    if amax is not None and (amax.numel() != 1 or not _positive(amax, or_zero=True)):
        raise ValueError(f"{name}.input_amax is not a range")
    if smooth is not None and (
        tuple(smooth.shape) != (weight.shape[1],) or not _positive(smooth, or_zero=False)
    ):
        raise ValueError(f"{name}.smooth does not fit its weight")
    if center is not None and (
        tuple(center.shape) != (weight.shape[1],) or not torch.isfinite(center.float()).all()
    ):
        raise ValueError(f"{name}.input_center does not fit its weight")
    return QuantizedLinear(
        QuantizedRows(weight, scale.to(torch.float32)),
        None if amax is None else float(amax),
        None if smooth is None else smooth.to(torch.float32),
        None if center is None else center.to(torch.float32),
    )


def _check_recipe(name: str, layer: QuantizedLinear, recipe: Recipe) -> None:
    # What runs is decided by the layer and labelled by the recipe, so the two must not differ.
    if not name.startswith("body."):
        raise ValueError(f"{name} is in eight bits, and only body layers can be")
    if recipe not in ("int8", "int8-static"):
        raise ValueError(f"{name} is in eight bits, and {recipe} has no such layers")
    if recipe == "int8" and (layer.input_amax is not None or layer.smooth is not None):
        raise ValueError(f"{name} has a fixed range, and {recipe} has none")
    if recipe == "int8-static" and layer.center is not None:
        raise ValueError(f"{name} has a centre, and {recipe} has none")
    if recipe == "int8-static" and layer.input_amax is None:
        raise ValueError(f"{name}.input_amax is missing")


def _behind_turn(
    network: NetworkConfig, name: str, layer: QuantizedLinear, tensors: Mapping[str, Tensor]
) -> QuantizedLinear:
    """The layer with its own bias, which is turned as its integers are."""
    width, bias = network.width, tensors.get(f"{name}.bias")
    if layer.weight.values.shape != (width, width) or bias is None or bias.shape != (width,):
        raise ValueError(f"{name} does not fit {TURN_SIGNS}")
    return replace(layer, bias=bias.to(torch.float32))


def _positive(values: Tensor, or_zero: bool) -> bool:
    values = values.to(torch.float32)
    above = values >= 0 if or_zero else values > 0
    return bool(torch.isfinite(values).all()) and bool(above.all())
