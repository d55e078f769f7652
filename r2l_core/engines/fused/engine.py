"""The fused engine: the whole network for a tile of rays in cache, in our own native code.

Rays go in and colours come out of one C function, compiled for every instruction set that helps
(docs/cpu.md). A colour depends on its ray alone, bit for bit, so that calls may have any number of
rays.
"""

from __future__ import annotations

import ctypes
import threading
import time

import numpy as np
import torch
from torch import Tensor

from r2l_core.engines.base import Shaded
from r2l_core.engines.fused.library import Call, Level, Spent, level_for
from r2l_core.engines.fused.packing import PackedNetwork, why_not
from r2l_core.engines.fused.workers import work_together
from r2l_core.engines.processor import this_processor
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import described
from r2l_core.quantization.mix import quantized_layers
from r2l_core.quantization.simulation import linear_in
from r2l_core.quantization.walk import colors_of, features_of, walk
from r2l_core.torch_threads import one_torch_thread
from r2l_core.types import Availability, EngineInfo, Precision

PRECISIONS = (Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8)

_CALL_TILES = 16
"""Tiles in a call for each thread: long enough to lose little at its end."""

_CHECK_RAYS = 13
_CHECK_FLOOR_DB = {Precision.FP32: 80.0, Precision.BF16: 35.0, Precision.FP16: 45.0}
_CHECK_FLOOR_INT8_DB = 40.0

_ARITHMETIC = {
    Precision.FP32: "float32",
    Precision.BF16: "bfloat16 products, float32 sums, residual and tail",
    Precision.FP16: "float32",
    Precision.INT8: "int8 x int8 -> int32, one scale per ray; float32 residual, head and tail",
}
_SPLIT_HEAD = "; the head's float32 as three bfloat16 products"


class FusedEngine:
    """fp32, bf16, fp16 or int8 of one light field. See Engine for the contract.

    Calls from several threads wait for each other. `n_threads`: torch's number by default.
    """

    any_rays = True
    small_tiles: tuple[int, ...] = ()
    quiet_torch = True

    def __init__(
        self,
        light_field: LightField,
        precision: Precision,
        level: Level,
        n_threads: int | None = None,
    ) -> None:
        quantized = quantized_layers(light_field, precision)
        self._packed = PackedNetwork(light_field, precision, quantized, level)
        self._level = level
        self._threads = torch.get_num_threads() if n_threads is None else n_threads
        self.tile_rays = level.tile * _CALL_TILES * self._threads
        self._network = ctypes.addressof(self._packed.structure)
        n_bytes = level.scratch_bytes(self._network, level.tile)
        self._memory = [np.zeros(n_bytes + 64, np.uint8) for _ in range(self._threads)]
        self._scratch = [m.ctypes.data + -m.ctypes.data % 64 for m in self._memory]
        self._spent = [Spent() for _ in range(self._threads)]
        self._call: Call | None = None
        self._busy = threading.Lock()
        self.info = _info(light_field, precision, level, self._threads)

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade; any number of rays. Raises EngineError where `cancel` ended it."""
        rays = [_checked(x) for x in (origins, directions)]
        n = len(rays[0])
        if len(rays[1]) != n:
            raise ValueError(f"{n} origins do not go with {len(rays[1])} directions")
        colors = torch.empty(n, 3)
        with self._busy:
            start = time.perf_counter()
            for spent in self._spent:
                spent[0] = spent[1] = 0
            call = Call(
                n=n,
                tile=self._tile(n),
                origins=rays[0].data_ptr(),
                directions=rays[1].data_ptr(),
                colors=colors.data_ptr(),
            )
            self._call = call
            address = ctypes.addressof(call)

            def work(number: int) -> None:
                self._level.run(self._network, address, self._scratch[number], self._spent[number])

            work_together(self._threads, work)
            self._call = None
            encoding, everything = (sum(spent[i] for spent in self._spent) for i in range(2))
            whole_ms = (time.perf_counter() - start) * 1e3
        if call.cancelled:
            raise EngineError("The picture was not finished", "it was cancelled")
        encode_ms = whole_ms * encoding / max(everything, 1)
        return Shaded(colors, encode_ms, whole_ms - encode_ms)

    def cancel(self) -> None:
        """End the call that another thread waits for, within a fraction of a tile."""
        call = self._call
        if call is not None:
            call.cancelled = 1

    def _tile(self, n_rays: int) -> int:
        """Rays of a tile, so that all threads have equal work."""
        grain = self._level.grain
        turns = max(-(-n_rays // (self._level.tile * self._threads)), 1)
        share = -(-n_rays // (turns * self._threads))
        return min(max(-(-share // grain) * grain, grain), self._level.tile)


def _checked(rays: Tensor) -> Tensor:
    """Contiguous float32 (n, 3) in this machine's memory, for code that trusts what it gets."""
    if rays.dim() != 2 or rays.shape[1] != 3:
        raise ValueError(f"rays are (n, 3), not {tuple(rays.shape)}")
    if rays.dtype is not torch.float32 or rays.device.type != "cpu":
        raise ValueError(f"rays are float32 on the CPU, not {rays.dtype} on {rays.device}")
    return rays.contiguous()


def _info(
    light_field: LightField, precision: Precision, level: Level, n_threads: int
) -> EngineInfo:
    quantized = quantized_layers(light_field, precision)
    emulated = _emulated(precision, level)
    weight_type = {Precision.BF16: "bfloat16", Precision.FP16: "float16"}.get(precision, "float32")
    arithmetic = _ARITHMETIC[Precision.FP32 if emulated else precision]
    if precision is Precision.INT8:
        weight_type = "int8" if quantized else "float32"
        arithmetic = described(arithmetic, light_field.network, quantized)
        arithmetic += _SPLIT_HEAD if quantized and level.amx else ""

    def n_bytes(name: str) -> int:
        if name.removesuffix(".weight") in quantized:
            return 1
        narrow = precision is Precision.BF16 and not emulated
        return 2 if narrow and name.endswith(".weight") and name != "tail.0.weight" else 4

    return EngineInfo(
        engine="fused",
        precision=precision,
        device="cpu",
        weight_type=f"{weight_type} values in float32" if emulated else weight_type,
        arithmetic=arithmetic,
        kernel=f"fused, {level.name}, {n_threads} thread{'s' * (n_threads > 1)}",
        weight_bytes=sum(t.numel() * n_bytes(name) for name, t in light_field.tensors.items()),
        emulated=emulated,
    )


def _emulated(precision: Precision, level: Level) -> str | None:
    """What stands in for an arithmetic that is not there; None where it is."""
    name = {Precision.BF16: "bf16", Precision.FP16: "fp16"}.get(precision)
    if name is None or (precision is Precision.BF16 and level.bf16):
        return None
    return f"weights and inputs of layers rounded to {name}, calculated in float32: no speed-up"


class FusedFactory:
    """Says what the fused engine can do on this processor, and builds it."""

    def available(self, precision: Precision, device: str) -> Availability:
        """fp32, int8 and emulated 16 bits on every processor with AVX2 or NEON."""
        if device != "cpu":
            return Availability(False, "the fused engine runs on the CPU")
        if precision not in PRECISIONS:
            return Availability(False, "the fused engine runs fp32, bf16, fp16 and int8")
        try:
            level = level_for(this_processor())
        except EngineUnavailable as error:
            return Availability(False, f"{error.what[0].lower()}{error.what[1:]}: {error.why}")
        return Availability(True, emulated=_emulated(precision, level) is not None)

    def build(self, light_field: LightField, precision: Precision, device: str) -> FusedEngine:
        """See EngineFactory.build. Checked on rays of the light field before it is handed out."""
        if reason := why_not(light_field.network):
            raise EngineUnavailable(
                "The fused engine cannot run this network", reason, "Choose another engine."
            )
        engine = FusedEngine(light_field, precision, level_for(this_processor()))
        _check(engine, light_field, precision)
        return engine


def _check(engine: FusedEngine, light_field: LightField, precision: Precision) -> None:
    """Raise EngineError where it disagrees with the readable computation in the same precision."""
    from r2l_core.engines.choice import check_rays

    origins, directions = check_rays(light_field, _CHECK_RAYS)
    colors = engine.shade(origins, directions).colors
    with torch.inference_mode(), one_torch_thread():
        features = features_of(light_field, origins, directions)
        expected = colors_of(walk(light_field.network, linear_in(light_field, precision), features))
    agreement_db = psnr_db(float((colors - expected).square().mean()))
    floor_db = _CHECK_FLOOR_DB.get(precision, _CHECK_FLOOR_INT8_DB)
    if not agreement_db >= floor_db:
        raise EngineError(
            f"The fused engine was refused for {precision}",
            f"its colours are only {agreement_db:.1f} dB from the same computation in torch, "
            f"{floor_db:g} needed",
            "Choose another engine or precision.",
        )
