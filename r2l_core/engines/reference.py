"""The slow readable renderer. Every fast path is tested against it; it is never optimised."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded, failures_of
from r2l_core.model.encoding import RayCoordinates, encode_reference
from r2l_core.model.light_field import LightField
from r2l_core.types import Availability, EngineInfo, Precision


class ReferenceEngine:
    """The computation as published: float32, sin and cos of every argument, nn.Module."""

    tile_rays = 4096
    small_tiles: tuple[int, ...] = ()
    any_rays = False
    quiet_torch = False

    def __init__(self, light_field: LightField) -> None:
        self._light_field = light_field
        self._module = light_field.module()
        self.info = EngineInfo(
            engine="reference",
            precision=Precision.FP32,
            device="cpu",
            weight_type="float32",
            arithmetic="float32",
            kernel=f"torch {torch.__version__}, unfused",
            weight_bytes=sum(t.numel() * 4 for t in light_field.tensors.values()),
        )

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        with failures_of(self.info):
            return self._shade(origins, directions)

    def _shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        network = self._light_field.network
        start = time.perf_counter()
        coordinates = RayCoordinates(network, self._light_field.scene)
        features = encode_reference(coordinates(origins, directions), network.n_frequencies)
        encoded = time.perf_counter()
        colors = self._module(features)
        done = time.perf_counter()
        return Shaded(colors, (encoded - start) * 1e3, (done - encoded) * 1e3)


class ReferenceFactory:
    """Builds the reference engine."""

    def available(self, precision: Precision, device: str) -> Availability:
        """float32 on the CPU, and nothing else."""
        if precision is not Precision.FP32 or device != "cpu":
            return Availability(False, "the reference engine runs fp32 on the CPU only")
        return Availability(True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> ReferenceEngine:
        """See EngineFactory.build."""
        return ReferenceEngine(light_field)
