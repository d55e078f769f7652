"""`quantize`: a light field and a recipe to a quantised light field, ready to save."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from r2l_core.checkpoint import LightField
from r2l_core.errors import QuantizationError
from r2l_core.output import write_json
from r2l_core.quantization.calibration import CalibrationConfig, ImportedRange, calibrated
from r2l_core.quantization.dynamic import ROUNDING_RAYS, quantize_dynamic
from r2l_core.quantization.model import (
    LayerPrecision,
    Quantization,
    Recipe,
    chosen_layers,
)
from r2l_core.quantization.published import rounded_tensors
from r2l_core.types import Precision


def quantized(
    light_field: LightField,
    recipe: Recipe,
    config: CalibrationConfig | None = None,
    mix: Mapping[str, LayerPrecision] | None = None,
    imported: Mapping[str, ImportedRange] | None = None,
) -> LightField:
    """The light field in `recipe`. `config`, `imported`: for `int8-static` alone; `mix`: for it
    and `int8`. Raises QuantizationError where they do not fit."""
    if light_field.quantization is not None:
        raise QuantizationError(
            f"The light field {light_field.name} is quantised already",
            f"it holds the recipe {light_field.quantization.recipe}",
            "Quantise the original.",
        )
    tensors = light_field.tensors
    if recipe == "int8":
        layers = quantize_dynamic(light_field, chosen_layers(light_field.network, mix))
        quantization = Quantization(recipe, layers, {"rounding_rays": ROUNDING_RAYS})
    elif recipe == "int8-static":
        quantization = calibrated(light_field, config, mix, imported)
    else:
        # dynamic-int8-fake rounds while it runs; its file says so and keeps the weights.
        if recipe != "dynamic-int8-fake":
            tensors = rounded_tensors(Precision(recipe), tensors)
        quantization = Quantization(recipe, {})
    # As after reopening the file: `tensors` holds what the integers stand for.
    tensors = dict(tensors)
    for name, layer in quantization.layers.items():
        tensors[f"{name}.weight"] = layer.effective_weight()
        if layer.bias is not None:
            tensors[f"{name}.bias"] = layer.bias
    provenance = {
        **light_field.provenance,
        "quantized_from_sha256": light_field.sha256,
    }
    return replace(
        light_field,
        tensors=tensors,
        quantization=quantization,
        provenance=provenance,
        sha256="",  # of the original's file, and this is another light field
    )


def load_mix(path: Path) -> dict[str, LayerPrecision]:
    """A layer mix: JSON object of layer name to "int8" or "fp32". Raises QuantizationError."""
    try:
        mix = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(mix, dict):
            raise ValueError("it is not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise QuantizationError(
            f"The layer mix {path} cannot be read",
            str(error),
            'Write a JSON object such as {"body.0.body.0": "fp32"}.',
        ) from error
    return mix


def save_mix(path: Path, mix: Mapping[str, LayerPrecision]) -> None:
    """Write what `load_mix` reads. Raises RecordingError."""
    write_json(path, dict(mix))


def load_ranges(path: Path) -> dict[str, ImportedRange]:
    """Ranges saved by pytorch-quantization or nvidia-modelopt.

    Reads the `_amax` entries of a state dict (`.pth`, `.pt`: through torch's weights-only loader,
    which runs no code; or `.safetensors`). Their names end in `input_quantizer._amax` and
    `weight_quantizer._amax`, with or without a leading underscore. Raises QuantizationError.
    """
    entries = _entries(path)
    inputs: dict[str, float] = {}
    weights: dict[str, Tensor] = {}
    for key, stored in entries.items():
        if key.endswith("_quantizer._pre_quant_scale"):
            raise _bad_ranges(
                path,
                f"{key} smooths its layer's inputs, so the ranges do not fit this light field",
                "Calibrate without smoothing and import again; --smooth-alpha smooths here.",
            )
        if not key.endswith("_quantizer._amax"):
            continue
        owner, _, quantizer = key.removesuffix("._amax").rpartition(".")
        name = owner.removeprefix("module.")
        if not stored.is_floating_point():
            raise _bad_ranges(path, f"{key} is of type {stored.dtype}, not floating")
        # Converted first: what float32 cannot hold is no range here.
        value = stored.to(torch.float32)
        if not torch.isfinite(value).all() or (value < 0).any():
            raise _bad_ranges(path, f"{key} is not a range: {value.flatten()[:3].tolist()}")
        if quantizer.lstrip("_") == "input_quantizer":
            if value.numel() != 1:
                raise _bad_ranges(path, f"{key} has {value.numel()} values; one per layer is read")
            inputs[name] = float(value)
        elif quantizer.lstrip("_") == "weight_quantizer":
            weights[name] = value
    if not inputs:
        raise _bad_ranges(path, "it holds no entry that ends in input_quantizer._amax")
    return {name: ImportedRange(amax, weights.get(name)) for name, amax in inputs.items()}


def _entries(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise _bad_ranges(path, f"it cannot be read ({error})") from error
    except Exception as error:
        # torch reports foreign files and refused pickles through many kinds of exception, in many
        # lines, and recommends to load the latter without protection: not to be repeated here.
        raise _bad_ranges(
            path, "it is damaged, or holds more than tensors, which is not read: it could run code"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict):
        raise _bad_ranges(path, "it is not a state dict")
    return {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}


def _bad_ranges(
    path: Path,
    why: str,
    remedy: str = "Save the calibrated model's state_dict() with torch.save.",
) -> QuantizationError:
    return QuantizationError(f"The ranges {path} cannot be imported", why, remedy)
