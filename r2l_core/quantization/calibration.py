"""Static ranges: one fixed scale per layer, found on rays of the scene's own cameras.

This is what published 8-bit networks usually do. On 88 residual layers whose activations differ
from ray to ray it costs decibels, and `int8-static-sim` is here to show that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from r2l_core.errors import QuantizationError
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import canonicalise, pixel_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.arithmetic import LEVELS, TINY, QuantizedRows, quantize_rows
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import (
    LayerPrecision,
    Quantization,
    QuantizedLinear,
    body_layers,
    chosen_layers,
)
from r2l_core.quantization.walk import exact_layers, features_of, walk
from r2l_core.types import RayMode

Calibrator = Literal["max", "percentile", "mse", "entropy"]
CALIBRATORS: tuple[Calibrator, ...] = ("max", "percentile", "mse", "entropy")
PERCENTILE = 99.99
CALIBRATION_RAYS = 8192
_BINS = 2048
_BATCH = 2048
_SMOOTH_FLOOR = 1e-5


@dataclass(frozen=True)
class CalibrationConfig:
    """smooth_alpha: SmoothQuant's exponent in [0, 1], or None for no equalisation."""

    calibrator: Calibrator = "max"
    smooth_alpha: float | None = None
    n_rays: int = CALIBRATION_RAYS
    seed: int = 0


@dataclass(frozen=True)
class ImportedRange:
    """Ranges another library has calibrated for one layer: of the inputs, and of the weight's rows
    (float32, broadcastable to (out, 1)), or None where it saved none."""

    input_amax: float
    weight_amax: Tensor | None = None


def calibrated(
    light_field: LightField,
    config: CalibrationConfig | None = None,
    mix: Mapping[str, LayerPrecision] | None = None,
    imported: Mapping[str, ImportedRange] | None = None,
) -> Quantization:
    """The `int8-static` recipe. `imported` ranges replace calibration for the layers they name;
    those of layers that stay in float32 (head, tail and by `mix`) are left aside.

    Raises QuantizationError where a range or the mix cannot be used.
    """
    config = config or CalibrationConfig()
    imported = imported or {}
    layers = chosen_layers(light_field.network, mix)
    # Both libraries quantise every linear layer, so their files name head and tail as well.
    known = {"head.0", "tail.0", *body_layers(light_field.network)}
    if unknown := sorted(set(imported) - known):
        raise QuantizationError(
            f"The imported ranges name '{unknown[0]}'",
            "the network has no such layer",
            "Import ranges that were calibrated on this light field.",
        )
    imported = {name: imported[name] for name in layers if name in imported}
    open_layers = [name for name in layers if name not in imported]
    smooth = _smoothing(light_field, open_layers, config)
    ranges = _input_ranges(light_field, open_layers, smooth, config)
    result: dict[str, QuantizedLinear] = {}
    for name in layers:
        weight = light_field.tensors[f"{name}.weight"]
        if name in imported:
            given = imported[name]
            if given.weight_amax is not None and given.weight_amax.numel() not in (1, len(weight)):
                raise QuantizationError(
                    f"The imported weight range of {name} cannot be used",
                    f"it has {given.weight_amax.numel()} values for {len(weight)} rows",
                    "Import ranges that were calibrated on this light field.",
                )
            rows = _rows_with_range(weight, given.weight_amax)
            result[name] = QuantizedLinear(rows, given.input_amax)
        else:
            divisor = smooth.get(name)
            scaled = weight if divisor is None else weight * divisor
            result[name] = QuantizedLinear(quantize_rows(scaled), ranges[name], divisor)
    settings = {
        "calibrator": config.calibrator,
        "smooth_alpha": config.smooth_alpha,
        "calibration_rays": config.n_rays,
        "imported_layers": len(imported),
    }
    return Quantization("int8-static", result, settings)


def calibration_rays(
    scene: SceneSpec, n_rays: int, seed: int, ray_mode: RayMode | None = None
) -> tuple[Tensor, Tensor]:
    """Random pixels of random cameras such as the scene was photographed with, (n_rays, 3) each.

    `ray_mode`: None for the scene's own.
    """
    ray_mode = ray_mode or scene.ray_mode()
    random = np.random.default_rng(seed)
    per_camera = 512
    origins, directions = [], []
    lowest = math.sin(math.radians(max(scene.min_elevation_deg, 0.0)))
    for _ in range(-(-n_rays // per_camera)):
        elevation = math.degrees(math.asin(random.uniform(lowest, 1.0)))
        orbit = Orbit(random.uniform(-180, 180), elevation, scene.view_radius, scene.center)
        camera = orbit.camera(scene.width_px, scene.height_px, scene.focal_px(scene.width_px))
        columns = torch.from_numpy(random.integers(0, scene.width_px, per_camera))
        rows = torch.from_numpy(random.integers(0, scene.height_px, per_camera))
        o, d = pixel_rays(camera, columns, rows)
        if ray_mode == "canonical":
            o, d = canonicalise(o, d, scene)
        origins.append(o)
        directions.append(d)
    return torch.cat(origins)[:n_rays], torch.cat(directions)[:n_rays]


def _own_rays(light_field: LightField, config: CalibrationConfig) -> tuple[Tensor, Tensor]:
    return calibration_rays(light_field.scene, config.n_rays, config.seed, light_field.ray_mode())


def layer_inputs(
    light_field: LightField, origins: Tensor, directions: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Inputs of every body layer in float32, as (name, (N, width)), batch by batch."""
    layers = exact_layers(light_field)
    with torch.inference_mode():
        for start in range(0, len(origins), _BATCH):
            batch = slice(start, start + _BATCH)
            features = features_of(light_field, origins[batch], directions[batch])
            for call in walk(light_field.network, layers, features):
                if call.name.startswith("body."):
                    yield call.name, call.inputs


def _smoothing(
    light_field: LightField, layers: list[str], config: CalibrationConfig
) -> dict[str, Tensor]:
    """SmoothQuant's divisor of each input channel (Xiao et al. 2023, equation 4)."""
    if config.smooth_alpha is None or not layers:
        return {}
    wanted = set(layers)
    channel_max: dict[str, Tensor] = {}
    rays = _own_rays(light_field, config)
    for name, x in layer_inputs(light_field, *rays):
        if name in wanted:
            largest = x.abs().amax(0)
            channel_max[name] = torch.maximum(channel_max.get(name, largest), largest)
    alpha = config.smooth_alpha
    result = {}
    for name in layers:
        inputs = channel_max[name].clamp_min(_SMOOTH_FLOOR)
        weights = light_field.tensors[f"{name}.weight"].abs().amax(0).clamp_min(_SMOOTH_FLOOR)
        result[name] = (inputs**alpha / weights ** (1 - alpha)).clamp_min(_SMOOTH_FLOOR)
    return result


def _input_ranges(
    light_field: LightField,
    layers: list[str],
    smooth: Mapping[str, Tensor],
    config: CalibrationConfig,
) -> dict[str, float]:
    """The range of each layer's inputs by the chosen calibrator."""
    if not layers:
        return {}
    wanted = set(layers)
    rays = _own_rays(light_field, config)

    def magnitudes() -> Iterator[tuple[str, Tensor]]:
        for name, x in layer_inputs(light_field, *rays):
            if name in wanted:
                yield name, (x / smooth[name] if name in smooth else x).abs()

    largest: dict[str, float] = {}
    for name, x in magnitudes():
        in_batch = float(x.max())
        if not math.isfinite(in_batch):
            raise QuantizationError(
                f"{name} cannot be calibrated",
                "its inputs grow beyond what float32 holds",
                "Choose a light field whose fp32 picture is sound.",
            )
        largest[name] = max(largest.get(name, 0.0), in_batch)
    if config.calibrator == "max":
        return largest
    counts = {name: np.zeros(_BINS) for name in layers}
    for name, x in magnitudes():
        counts[name] += torch.histc(x, _BINS, 0.0, max(largest[name], 1e-12)).numpy()
    choose = {"percentile": _percentile, "mse": _least_squares, "entropy": _entropy}
    find = choose[config.calibrator]
    return {name: largest[name] * find(counts[name]) for name in layers}


def _percentile(counts: NDArray[np.float64]) -> float:
    """Share of the range below which `PERCENTILE` percent of the values lie."""
    cumulative = np.cumsum(counts) / counts.sum()
    return float(np.searchsorted(cumulative, PERCENTILE / 100) + 1) / len(counts)


def _least_squares(counts: NDArray[np.float64]) -> float:
    """Share of the range that quantises with the least squared error."""
    centers = (np.arange(len(counts)) + 0.5) / len(counts)
    shares = np.linspace(0.02, 1.0, 197)
    levels = np.clip(np.round(centers * LEVELS / shares[:, None]), 0, LEVELS)
    error = levels * shares[:, None] / LEVELS - centers
    return float(shares[np.argmin((error * error * counts).sum(1))])


def _entropy(counts: NDArray[np.float64]) -> float:
    """Share of the range that loses the least information: the Kullback-Leibler divergence between
    the clipped histogram and its rounding to 128 levels, as in TensorRT's calibration."""
    n_levels = LEVELS + 1
    best_share, best = 1.0, math.inf
    # A layer that is mostly zero would choose its range by the zeros alone.
    counts = counts.copy()
    counts[0] = counts[1]
    for end in range(n_levels, len(counts) + 1, 8):
        clipped = counts[:end].copy()
        clipped[-1] += counts[end:].sum()
        if clipped.sum() == 0:
            continue
        level = np.minimum((np.arange(end) * n_levels) // end, n_levels - 1)
        filled = counts[:end] > 0
        total = np.bincount(level, counts[:end], n_levels)
        members = np.bincount(level, filled, n_levels)
        spread = np.where(filled, (total / np.maximum(members, 1))[level], 0.0)
        if spread.sum() == 0:
            continue
        p, q = clipped / clipped.sum(), spread / spread.sum()
        seen = p > 0
        divergence = float((p[seen] * np.log(p[seen] / np.maximum(q[seen], 1e-12))).sum())
        if divergence < best:
            best_share, best = end / len(counts), divergence
    return best_share


def _rows_with_range(weight: Tensor, amax: Tensor | None) -> QuantizedRows:
    if amax is None:
        return quantize_rows(weight)
    rows = amax.reshape(-1, 1).to(torch.float32).expand(weight.shape[0], 1)
    scale = torch.where(rows <= TINY, 0.0, rows / LEVELS)
    safe = torch.where(scale == 0, 1.0, scale)
    values = (weight / safe).round().clamp(-LEVELS, LEVELS)
    return QuantizedRows(torch.where(scale == 0, 0.0, values).to(torch.int8), scale.contiguous())
