"""Does an engine really calculate in integers with one scale per ray? Ask it, without a clock.

Eight bits with one scale turn the activations [127, 0.4, 0.4, ...] and [127, 0, 0, ...] into the
same integers, so an integer engine must give exactly the same colour for both; floating point does
not. Rays cannot set activations, but weights can: the probing networks ignore their ray and give
the pattern as the head's bias.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from r2l_core.engines.base import Engine
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.arithmetic import quantize_rows
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from r2l_core.model.quantized import Quantization, QuantizedLinear, body_layers

_LEAST_WIDTH = 16


def runs_integers(build: Callable[[LightField], Engine], width: int) -> bool:
    """Whether engines from `build` quantise activations to 8 bits per ray at this width.

    At least 16 channels: over fewer, the small activations can also vanish in the rounding of
    bfloat16, and a single one is exact in eight bits.
    """
    if width < _LEAST_WIDTH:
        raise ValueError(f"{width} channels are too few to tell, at least {_LEAST_WIDTH} needed")
    quiet = torch.zeros(width)
    quiet[0] = 127.0
    noisy = torch.full((width,), 0.4)
    noisy[0] = 127.0
    colors = [_colors(build(_probe(pattern))) for pattern in (quiet, noisy)]
    return torch.equal(*colors)


def _colors(engine: Engine) -> Tensor:
    rays = torch.zeros(engine.tile_rays, 3)
    return engine.shade(rays, rays).colors


def _probe(pattern: Tensor) -> LightField:
    """One block whose first layer adds up its inputs; the tail reads a channel that starts at zero
    in both patterns' residual, so that only the products tell them apart."""
    width = len(pattern)
    config = NetworkConfig(depth=4, width=width, n_sample=2, n_frequencies=0, use_residual=False)
    random = torch.Generator().manual_seed(width)
    tensors = {name: torch.zeros(shape) for name, shape in config.tensor_shapes().items()}
    tensors["head.0.bias"] = pattern
    # Positive weights, so that the small activations cannot cancel and the ReLU lets all through.
    tensors["body.0.body.0.weight"] = torch.rand(width, width, generator=random) + 0.5
    tensors["body.0.body.2.weight"] = torch.rand(width, width, generator=random) - 0.5
    # Channel 0 is the same in both residuals; its sum with the products stays within the sigmoid.
    tensors["tail.0.weight"][:, 0] = 1e-3
    # Of their own, so that both patterns meet the same integers.
    layers = {
        name: QuantizedLinear(quantize_rows(tensors[f"{name}.weight"]))
        for name in body_layers(config)
    }
    quantization = Quantization("int8", layers)
    return LightField("probe", config, SceneSpec("probe"), tensors, quantization=quantization)
