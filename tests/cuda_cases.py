"""Random residual blocks and networks for the tests of the CUDA engine, on a GPU or without."""

from __future__ import annotations

import sys

import pytest
import torch

from r2l_core.engines.choice import shade_all
from r2l_core.engines.cuda.fusion import TritonBlocks
from r2l_core.engines.simulated import SimulatedEngine
from r2l_core.errors import EngineUnavailable
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.model.arithmetic import quantize_rows
from r2l_core.render import sources
from r2l_core.types import Precision
from tests.triton_interpreter import N_RAYS

RUNS = (Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8)

needs_triton = pytest.mark.skipif(
    sys.platform != "linux", reason="Triton is published for Linux only"
)

NETWORKS = {
    "published-encoding": {"depth": 6, "width": 64, "n_sample": 16, "n_frequencies": 10},
    "width-40": {"depth": 4, "width": 40},
    "width-181": {"depth": 6, "width": 181},
    "width-1": {"width": 1},
    "depth-2": {"depth": 2},
    "no-skip-res-scale": {"width": 64, "use_residual": False, "res_scale": -0.4},
}
LEAST_PSNR_DB = {Precision.FP32: 80.0, Precision.FP16: 50.0, Precision.BF16: 32.0}


def colors_psnr_db(colors: torch.Tensor, expected: torch.Tensor) -> float:
    return psnr_db(mse(colors.numpy(), expected.numpy()))


def int8_twin(light_field, rays) -> torch.Tensor:
    return shade_all(SimulatedEngine(light_field, Precision.INT8_SIM), *rays)


def launch(dtype: torch.dtype, width: int) -> dict[str, int]:
    from r2l_core.engines.cuda.triton_kernels import launch_shape

    return launch_shape(dtype, width)


def random_layers(depth: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights and biases of a body and its input, of about the size that trained ones have."""
    generator = torch.Generator().manual_seed(depth * width)
    weights = torch.randn(depth - 2, width, width, generator=generator) * 0.7 / width**0.5
    biases = torch.randn(depth - 2, width, generator=generator) * 0.2
    return weights, biases, torch.randn(N_RAYS, width, generator=generator) * 3


def int8_blocks(weights, biases) -> TritonBlocks:
    rows = [quantize_rows(weight) for weight in weights]
    return TritonBlocks(
        torch.stack([row.values for row in rows]),
        biases,
        torch.stack([row.scale[:, 0] for row in rows]),
        launch(torch.int8, biases.shape[1]),
    )


class RaysOnly:
    """An engine that is not asked for pictures: the processor makes the rays."""

    def __init__(self, engine) -> None:
        self.info, self.shade, self.tile_rays = engine.info, engine.shade, engine.tile_rays

    small_tiles = ()
    any_rays = False
    quiet_torch = False


def rays_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources make rays with torch, as a device does; native code may differ by a last bit."""

    def missing(_):
        raise EngineUnavailable("The fused engine cannot run here", "not in this test")

    monkeypatch.setattr(sources, "level_for", missing)
