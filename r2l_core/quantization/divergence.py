"""Activations of some rays, layer by layer: how two precisions part, and how the residual grows.

Each precision goes its own way from the encoded ray on, so the errors are those that have added
up until then. A handful of rays takes a few tens of milliseconds: this can follow the mouse. That
the residual stream grows from block to block is what makes eight bits difficult.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import canonicalise, pixel_rays
from r2l_core.model.light_field import LightField
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.simulation import layers_in
from r2l_core.quantization.walk import block_of, exact_layers, features_of, walk
from r2l_core.types import Precision, RayMode


@dataclass(frozen=True)
class LayerDivergence:
    """One layer, over all probed rays. fp32_rms: root mean square of its output in fp32, after the
    activation. relative_error: the length of the difference over that of the fp32 output; infinite
    where only the latter is zero. stream_relative_error: the same of the residual stream that
    leaves the layer, or None within a block and at the tail.
    """

    name: str
    fp32_rms: float
    relative_error: float
    stream_relative_error: float | None


@dataclass(frozen=True)
class Divergence:
    """A probe's result. layers: head, body and tail in order. colors_fp32, colors: each ray's, in
    [0, 1].
    """

    precision: Precision
    layers: tuple[LayerDivergence, ...]
    colors_fp32: tuple[tuple[float, float, float], ...]
    colors: tuple[tuple[float, float, float], ...]


def probe_pixel(
    light_field: LightField,
    precision: Precision,
    camera: Camera,
    column: int,
    row: int,
    ray_mode: RayMode = "plain",
) -> Divergence:
    """`probe_rays` for one pixel of a camera's image. Raises ValueError for pixels outside it."""
    if not (0 <= column < camera.width_px and 0 <= row < camera.height_px):
        raise ValueError(f"({column}, {row}) is outside {camera.width_px} x {camera.height_px}")
    origins, directions = pixel_rays(camera, torch.tensor([column]), torch.tensor([row]))
    if ray_mode == "canonical":
        origins, directions = canonicalise(origins, directions, light_field.scene)
    return probe_rays(light_field, precision, origins, directions)


@torch.inference_mode()
def probe_rays(
    light_field: LightField, precision: Precision, origins: Tensor, directions: Tensor
) -> Divergence:
    """Compare fp32 with `precision` on a few rays; float32 (N, 3) each, as the network gets them.

    Raises QuantizationError where a static range cannot be found.
    """
    features = features_of(light_field, origins, directions)
    network, layers = light_field.network, layers_in(light_field, precision)
    rows: list[LayerDivergence] = []
    for exact, other in zip(
        walk(network, exact_layers(light_field, layers.turn), features),
        walk(network, layers, features),
        strict=True,
    ):
        stream_error = None
        if exact.stream is not None and other.stream is not None:
            stream_error = _relative_error(exact.stream, other.stream)
        rows.append(
            LayerDivergence(
                name=exact.name,
                fp32_rms=float(exact.output.square().mean().sqrt()),
                relative_error=_relative_error(exact.output, other.output),
                stream_relative_error=stream_error,
            )
        )
    return Divergence(
        precision=precision,
        layers=tuple(rows),
        colors_fp32=_triples(exact.output),
        colors=_triples(other.output),
    )


def _relative_error(exact: Tensor, other: Tensor) -> float:
    length, error = float(exact.norm()), float((other.float() - exact).norm())
    if length == 0:
        return 0.0 if error == 0 else math.inf
    return error / length


def _triples(colors: Tensor) -> tuple[tuple[float, float, float], ...]:
    return tuple((r, g, b) for r, g, b in colors.tolist())


_SEED = 1
"""Other rays than those that ranges and roundings are found on."""


@dataclass(frozen=True)
class StreamSize:
    """The residual stream in fp32 as it leaves the head or a block, over all rays and channels.

    after: `head`, `body.0`, `body.1` and so on. rms: root mean square. max_abs: largest magnitude.
    ray_max_abs_median: the median over rays of each one's largest magnitude; where it stays behind,
    few rays grow. The ratios are to the head's, or None where that is zero.
    """

    after: str
    rms: float
    max_abs: float
    ray_max_abs_median: float
    rms_ratio_to_head: float | None
    max_abs_ratio_to_head: float | None


@torch.inference_mode()
def residual_stream_sizes(light_field: LightField, n_rays: int) -> list[StreamSize]:
    """The stream after the head and after each block, on random rays of the scene's cameras.

    The global skip, which is added after the last block, is not part of it.
    """
    rays = calibration_rays(light_field.scene, n_rays, _SEED, light_field.ray_mode())
    features = features_of(light_field, *rays)
    sizes: list[StreamSize] = []
    for call in walk(light_field.network, exact_layers(light_field), features):
        if call.stream is None:
            continue
        rms = float(call.stream.double().square().mean().sqrt())
        largest = call.stream.abs().amax(dim=1)
        max_abs = float(largest.max())
        head = sizes[0] if sizes else None
        sizes.append(
            StreamSize(
                after="head" if head is None else f"body.{block_of(call.name)}",
                rms=rms,
                max_abs=max_abs,
                ray_max_abs_median=float(largest.median()),
                rms_ratio_to_head=_ratio(rms, rms if head is None else head.rms),
                max_abs_ratio_to_head=_ratio(max_abs, max_abs if head is None else head.max_abs),
            )
        )
    return sizes


def _ratio(value: float, first: float) -> float | None:
    return value / first if first > 0 else None
