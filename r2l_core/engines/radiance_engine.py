"""Radiance grids behind the engines' contract: rays in, colours out, deterministic."""

from __future__ import annotations

import copy
import time

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded, failures_of
from r2l_core.model.radiance.teacher import RadianceTeacher
from r2l_core.types import EngineInfo, Precision

_TILE_RAYS = 2048

_RAYS_AT_ONCE = {"cpu": _TILE_RAYS, "cuda": 2**16}
"""Of a teacher's rays: few stay in a processor's cache, many fill a GPU."""


class RadianceEngine:
    """float32 on a processor or GPU. See Engine for the contract."""

    tile_rays = _TILE_RAYS
    small_tiles: tuple[int, ...] = ()
    any_rays = True
    quiet_torch = False

    def __init__(self, teacher: RadianceTeacher, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._field = teacher.field
        if self._device.type != "cpu":
            self._field = copy.deepcopy(teacher.field).moved(self._device)
        on_gpu = self._device.type == "cuda"
        tensors = teacher.field.state_dict().values()
        self.info = EngineInfo(
            engine="radiance",
            precision=Precision.FP32,
            device=torch.cuda.get_device_name(self._device) if on_gpu else "cpu",
            weight_type="float32",
            arithmetic=f"float32, {teacher.short_name}",
            kernel=f"torch {torch.__version__}",
            weight_bytes=sum(tensor.numel() * 4 for tensor in tensors),
        )

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade. There is nothing to encode."""
        start = time.perf_counter()
        with failures_of(self.info):
            rays = origins.to(self._device), directions.to(self._device)
            colors = self._field(*rays).colors.cpu()
        return Shaded(colors, 0.0, (time.perf_counter() - start) * 1e3)

    @torch.inference_mode()
    def colors(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Colours of any number of rays, float32 (N, 3) each: a teacher to distil from."""
        at_once = _RAYS_AT_ONCE[self._device.type]
        parts = [
            self._field(o.to(self._device), d.to(self._device)).colors
            for o, d in zip(
                *(torch.split(rays, at_once) for rays in (origins, directions)), strict=True
            )
        ]
        return torch.cat(parts).to(origins.device)
