"""Why does a pixel differ? Its ray's activations in two precisions, layer by layer.

Each precision goes its own way from the encoded ray on, so the errors are those that have added
up until then. A handful of rays takes a few tens of milliseconds: this can follow the mouse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import canonicalise, pixel_rays
from r2l_core.model.light_field import LightField
from r2l_core.quantization.simulation import linear_in
from r2l_core.quantization.walk import exact_linear, features_of, walk
from r2l_core.types import Precision, RayMode

_REMARKS = {
    Precision.INT8: "int8 is shown by its twin int8-sim, which rounds to the same integers",
    Precision.FP16: "fp16 weights, calculated in float32",
    Precision.DYNAMIC_INT8_FAKE: "its scale is that of the probed rays, not of a whole batch",
}


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
    [0, 1]. remark: what stands in for what on a screen, or nothing.
    """

    precision: Precision
    layers: tuple[LayerDivergence, ...]
    colors_fp32: tuple[tuple[float, float, float], ...]
    colors: tuple[tuple[float, float, float], ...]
    remark: str = ""


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
    network, linear = light_field.network, linear_in(light_field, precision)
    rows: list[LayerDivergence] = []
    for exact, other in zip(
        walk(network, exact_linear(light_field), features),
        walk(network, linear, features),
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
        remark=_REMARKS.get(precision, ""),
    )


def _relative_error(exact: Tensor, other: Tensor) -> float:
    length, error = float(exact.norm()), float((other.float() - exact).norm())
    if length == 0:
        return 0.0 if error == 0 else math.inf
    return error / length


def _triples(colors: Tensor) -> tuple[tuple[float, float, float], ...]:
    return tuple((r, g, b) for r, g, b in colors.tolist())
