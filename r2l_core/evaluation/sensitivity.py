"""Which layers suffer most from eight bits, and which to keep in fp32 for the least loss.

Everything is measured against the fp32 network on random rays of the scene's own cameras.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from r2l_core.errors import QuantizationError
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.mix import quantized_layers, with_mix
from r2l_core.quantization.simulation import layers_in
from r2l_core.quantization.walk import (
    Linear,
    activated,
    block_of,
    colors_of,
    exact_layers,
    features_of,
    walk,
    walk_on,
)
from r2l_core.render.progressive_image import never
from r2l_core.types import Precision, Progress

SENSITIVITY_RAYS = 1024
_SEED = 1
"""Other rays than those that static ranges are calibrated on."""

_BATCH = 1024
_KEPT_VALUES = 2**24
"""Numbers of the residual stream that are kept for each of the two networks, 64 MiB of them."""


def _unheard(done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class LayerSensitivity:
    """One body layer; all in dB, greater is better, infinite where nothing is lost.

    sqnr_db: signal to quantisation noise of the layer's output, given fp32 inputs.
    accumulated_sqnr_db: the same with the inputs the whole quantised network gives it. only_db:
    PSNR of the final colours to fp32 with this layer alone in eight bits. kept_db: with this layer
    alone in fp32.
    """

    name: str
    sqnr_db: float
    accumulated_sqnr_db: float
    only_db: float
    kept_db: float


@dataclass(frozen=True)
class Sensitivity:
    """all_db: PSNR of the final colours to fp32 with every layer in eight bits. layers: those in
    eight bits, first to last."""

    precision: Precision
    n_rays: int
    all_db: float
    layers: tuple[LayerSensitivity, ...]

    def worst_first(self) -> list[str]:
        """Names of the layers, the one that costs the colours most first."""
        return [layer.name for layer in sorted(self.layers, key=lambda layer: layer.only_db)]


@dataclass(frozen=True)
class Kept:
    """Layers to keep in fp32, costliest first, and the PSNR of the colours to fp32 with them."""

    layers: tuple[str, ...]
    psnr_db: float


def analyse(
    light_field: LightField,
    precision: Precision,
    n_rays: int = SENSITIVITY_RAYS,
    progress: Progress = _unheard,
    cancelled: Callable[[], bool] = never,
) -> Sensitivity | None:
    """Measure every layer that `precision` runs in eight bits, or None where cancelled.

    `int8` is measured on its simulation; layers a mix leaves in fp32 stay there. W256 D88 takes
    about half a minute on two cores. Raises QuantizationError for other precisions, and for light
    fields whose fp32 weights are gone.
    """
    _require_original(light_field, precision)
    pair = _Pair(light_field, precision)
    sums = {name: _Sums() for name in pair.names}
    batches = list(_batches(light_field, n_rays))
    squared, done = 0.0, 0
    with torch.inference_mode():
        for origins, directions in batches:
            paths = pair.walk(features_of(light_field, origins, directions), sums, cancelled)
            if paths is None:
                return None
            squared += _squared(paths.colors, paths.rounded_colors)
            for name in pair.names:
                if cancelled():
                    return None
                only, kept = pair.colors_without(name, paths)
                sums[name].only += _squared(paths.colors, only)
                sums[name].kept += _squared(paths.colors, kept)
                done += 1
                progress(done, len(batches) * len(pair.names))
    layers = tuple(sums[name].result(name, 3 * n_rays) for name in pair.names)
    return Sensitivity(precision, n_rays, psnr_db(squared / (3 * n_rays)), layers)


def find_worst(
    light_field: LightField,
    sensitivity: Sensitivity,
    n: int | None = None,
    target_db: float | None = None,
) -> Kept:
    """The layers to keep in fp32: the `n` costliest, or as few of them as reach `target_db`, found
    by bisection.

    Squared errors of layers nearly add up, so that one order serves every `n`. A layer's own
    signal to noise says little about it: the noisiest layers may not reach the colours at all.
    Raises ValueError unless one of `n` and `target_db` is given.
    """
    if (n is None) == (target_db is None):
        raise ValueError("give either n or target_db")
    order = sensitivity.worst_first()
    precision, n_rays = sensitivity.precision, sensitivity.n_rays
    if n is not None:
        return Kept(tuple(order[:n]), mix_psnr_db(light_field, precision, order[:n], n_rays))
    fewest, enough, best_db = 0, len(order), math.inf
    while fewest < enough:
        middle = (fewest + enough) // 2
        db = mix_psnr_db(light_field, precision, order[:middle], n_rays)
        if target_db is not None and db >= target_db:
            enough, best_db = middle, db
        else:
            fewest = middle + 1
    return Kept(tuple(order[:enough]), best_db)


def mix_psnr_db(
    light_field: LightField,
    precision: Precision,
    layers_in_fp32: Iterable[str],
    n_rays: int,
) -> float:
    """PSNR of the final colours to fp32 with these layers kept in fp32."""
    mixed = with_mix(light_field, light_field.layers_in_fp32.union(layers_in_fp32))
    exact, rounded = exact_layers(light_field), layers_in(mixed, precision)
    squared = 0.0
    with torch.inference_mode():
        for origins, directions in _batches(light_field, n_rays):
            features = features_of(light_field, origins, directions)
            colors = [
                colors_of(walk(light_field.network, layers, features))
                for layers in (exact, rounded)
            ]
            squared += _squared(*colors)
    return psnr_db(squared / (3 * n_rays))


@dataclass(frozen=True, eq=False)
class _Paths:
    """What both networks make of a batch. streams: the residual stream (N, width) into each block
    and out of the last; the first is the head's output, which is fp32 in both."""

    streams: list[Tensor]
    rounded_streams: list[Tensor]
    colors: Tensor
    rounded_colors: Tensor


@dataclass
class _Sums:
    """Sums of squares of one layer, over all batches."""

    signal: float = 0.0
    noise: float = 0.0
    accumulated_noise: float = 0.0
    only: float = 0.0
    kept: float = 0.0

    def result(self, name: str, n_values: int) -> LayerSensitivity:
        return LayerSensitivity(
            name=name,
            sqnr_db=_ratio_db(self.signal, self.noise),
            accumulated_sqnr_db=_ratio_db(self.signal, self.accumulated_noise),
            only_db=psnr_db(self.only / n_values),
            kept_db=psnr_db(self.kept / n_values),
        )


class _Pair:
    """The fp32 network and the quantised one. names: the layers in eight bits, first to last."""

    def __init__(self, light_field: LightField, precision: Precision) -> None:
        eight_bits = quantized_layers(light_field, precision)
        self.names = [name for name in body_layers(light_field.network) if name in eight_bits]
        self._network = light_field.network
        self._rounded = layers_in(light_field, precision)
        self._exact = exact_layers(light_field, self._rounded.turn)

    def walk(
        self, features: Tensor, sums: Mapping[str, _Sums], cancelled: Callable[[], bool]
    ) -> _Paths | None:
        """Both networks side by side, with each layer's noise added to its sums."""
        streams, rounded_streams = [], []
        for exact, rounded in zip(
            walk(self._network, self._exact, features),
            walk(self._network, self._rounded, features),
            strict=True,
        ):
            if cancelled():
                return None
            name = exact.name
            if exact.stream is not None and rounded.stream is not None:
                streams.append(exact.stream)
                rounded_streams.append(rounded.stream)
            if name in sums:
                alone = activated(self._network, name, self._rounded.linear(name, exact.inputs))
                sums[name].signal += float(exact.output.square().sum())
                sums[name].noise += _squared(exact.output, alone)
                sums[name].accumulated_noise += _squared(exact.output, rounded.output)
        return _Paths(streams, rounded_streams, exact.output, rounded.output)

    def colors_without(self, name: str, paths: _Paths) -> tuple[Tensor, Tensor]:
        """Colours (N, 3) with this layer alone in eight bits, and with it alone in fp32. Layers
        before its block are as they were, so only the rest is computed."""
        block, hidden = block_of(name), paths.streams[0]

        def colors(special: Linear, others: Linear, stream: Tensor) -> Tensor:
            def linear(layer: str, x: Tensor) -> Tensor:
                return special(layer, x) if layer == name else others(layer, x)

            return colors_of(walk_on(self._network, linear, hidden, stream, block))

        return (
            colors(self._rounded.linear, self._exact.linear, paths.streams[block]),
            colors(self._exact.linear, self._rounded.linear, paths.rounded_streams[block]),
        )


def _batches(light_field: LightField, n_rays: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rays, float32 (N, 3) each, in batches small enough to keep every block's inputs."""
    network = light_field.network
    size = max(1, min(_BATCH, _KEPT_VALUES // (network.width * max(1, network.n_blocks))))
    origins, directions = calibration_rays(light_field.scene, n_rays, _SEED, light_field.ray_mode())
    yield from zip(torch.split(origins, size), torch.split(directions, size), strict=True)


def _require_original(light_field: LightField, precision: Precision) -> None:
    if light_field.quantization is not None:
        raise QuantizationError(
            f"The layers of {light_field.name} cannot be weighed",
            f"it holds the recipe {light_field.quantization.recipe}, not the fp32 weights",
            "Choose the original.",
        )
    if precision not in (Precision.INT8, Precision.INT8_SIM, Precision.INT8_STATIC_SIM):
        raise QuantizationError(
            f"The layers of {light_field.name} cannot be weighed in {precision}",
            "only the eight-bit precisions int8, int8-sim and int8-static-sim choose per layer",
            "Choose one of them.",
        )


def _squared(exact: Tensor, other: Tensor) -> float:
    return float((other - exact).square().sum(dtype=torch.float64))


def _ratio_db(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0 else -math.inf
