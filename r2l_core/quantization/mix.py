"""Which layers of a light field run in eight bits, and a way to change that while it is open.

Every eight-bit engine asks `quantized_layers`. What it finds is kept as long as the light field or
a mix of it lives, so that trying another mix neither rounds nor calibrates again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from weakref import WeakKeyDictionary

from torch import Tensor

from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import (
    QuantizedLinear,
    Recipe,
    body_layers,
    chosen_layers,
)
from r2l_core.quantization.calibration import calibrated
from r2l_core.quantization.dynamic import quantize_dynamic, turn_of
from r2l_core.types import Precision

_RECIPES: dict[Precision, Recipe] = {
    Precision.INT8: "int8",
    Precision.INT8_SIM: "int8",
    Precision.INT8_STATIC_SIM: "int8-static",
}

_found: WeakKeyDictionary[LightField, dict[Recipe, Mapping[str, QuantizedLinear]]] = (
    WeakKeyDictionary()
)
"""All layers of a recipe. A light field and its mixes share one entry."""


def quantized_layers(
    light_field: LightField, precision: Precision
) -> Mapping[str, QuantizedLinear]:
    """The layers that run in eight bits, by name; none for precisions other than eight bits of
    ours. The file's own scales where it brings those of this recipe, otherwise found now.

    Raises QuantizationError where a static range cannot be found.
    """
    recipe = _RECIPES.get(precision)
    if recipe is None:
        return {}
    found = _found.setdefault(light_field, {})
    if recipe not in found:
        found[recipe] = _layers(light_field, recipe)
    left_alone = light_field.layers_in_fp32
    return {name: layer for name, layer in found[recipe].items() if name not in left_alone}


def stream_turn(light_field: LightField, precision: Precision) -> Tensor | None:
    """By what the residual stream is turned where it meets these layers: float32 (width, width), or
    None where it stays as it is."""
    recipe, own = _RECIPES.get(precision), light_field.quantization
    if recipe is None or not quantized_layers(light_field, precision):
        return None
    if own is not None and own.recipe == recipe:
        return own.turn()
    return turn_of(light_field.network) if recipe == "int8" else None


def with_mix(light_field: LightField, layers_in_fp32: Iterable[str]) -> LightField:
    """The light field with these body layers, and no others, left in float32 by `int8`, `int8-sim`
    and `int8-static-sim`. Without any it renders as before, bit for bit.

    A light field whose file is quantised has only rounded weights left: there, such a layer keeps
    its inputs from being rounded. Raises QuantizationError for names that are no body layer.
    """
    mixed = replace(light_field, layers_in_fp32=frozenset(layers_in_fp32))
    chosen_layers(light_field.network, dict.fromkeys(mixed.layers_in_fp32, "fp32"))
    _found[mixed] = _found.setdefault(light_field, {})
    return mixed


def _layers(light_field: LightField, recipe: Recipe) -> Mapping[str, QuantizedLinear]:
    own = light_field.quantization
    if own is not None and own.recipe == recipe:
        return own.layers
    if recipe == "int8-static":
        return calibrated(light_field).layers
    return quantize_dynamic(light_field, body_layers(light_field.network))
