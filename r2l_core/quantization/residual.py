"""How the residual stream grows from block to block: what makes eight bits difficult."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from r2l_core.model.light_field import LightField
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.walk import block_of, exact_linear, features_of, walk

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
def residual_growth(light_field: LightField, n_rays: int) -> list[StreamSize]:
    """The stream after the head and after each block, on random rays of the scene's cameras.

    The global skip, which is added after the last block, is not part of it.
    """
    rays = calibration_rays(light_field.scene, n_rays, _SEED, light_field.ray_mode())
    features = features_of(light_field, *rays)
    sizes: list[StreamSize] = []
    for call in walk(light_field.network, exact_linear(light_field), features):
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
