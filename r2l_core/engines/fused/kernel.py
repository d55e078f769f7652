"""The native kernel with one network's weights: numpy arrays in and out, and no torch.

`engine` makes an Engine of it. A viewer's first picture uses it as it is, while torch, which
takes seconds to load, is still on its way.
"""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import dataclass

import numpy as np

from r2l_core.engines.fused.library import Array, Call, Level, Spent
from r2l_core.engines.fused.packing import PackedNetwork, Weights
from r2l_core.engines.fused.workers import work_together
from r2l_core.errors import EngineError
from r2l_core.model.quantized import described
from r2l_core.types import EngineInfo, Precision

_CALL_TILES = 16
"""Tiles in a call for each thread: long enough to lose little at its end."""

_ARITHMETIC = {
    Precision.FP32: "float32",
    Precision.BF16: "bfloat16 products, float32 sums, residual and tail",
    Precision.FP16: "float32",
    Precision.INT8: "int8 x int8 -> int32, one scale per ray; float32 residual, head and tail",
}
_SPLIT_HEAD = "; the head's float32 as three bfloat16 products"


@dataclass(frozen=True)
class Spell:
    """How long one call took, in milliseconds."""

    encode_ms: float
    network_ms: float


class FusedKernel:
    """Rays to colours on `n_threads` threads. Calls from several threads wait for each other."""

    def __init__(
        self, weights: Weights, precision: Precision, level: Level, n_threads: int
    ) -> None:
        self._packed = PackedNetwork(weights, precision, level)
        self._level = level
        self._threads = n_threads
        self.call_rays = level.tile * _CALL_TILES * n_threads
        """Rays of a call that loses little at its end."""
        self._network = ctypes.addressof(self._packed.structure)
        n_bytes = level.scratch_bytes(self._network, level.tile)
        self._memory = [np.zeros(n_bytes + 64, np.uint8) for _ in range(n_threads)]
        self._scratch = [m.ctypes.data + -m.ctypes.data % 64 for m in self._memory]
        self._spent = [Spent() for _ in range(n_threads)]
        self._call: Call | None = None
        self._busy = threading.Lock()
        self.info = _info(weights, precision, level, n_threads)

    def shade(self, origins: Array, directions: Array, colors: Array) -> Spell:
        """Write the colours of rays into `colors`; contiguous float32 (n, 3) each.

        Raises ValueError for other arrays, and EngineError where `cancel` ended it.
        """
        n = len(origins)
        for array in (origins, directions, colors):
            if array.shape != (n, 3) or array.dtype != np.float32 or not array.flags.c_contiguous:
                raise ValueError(f"rays and colours are contiguous float32 ({n}, 3)")
        with self._busy:
            start = time.perf_counter()
            for spent in self._spent:
                spent[0] = spent[1] = 0
            call = Call(
                n=n,
                tile=self._tile(n),
                origins=origins.ctypes.data,
                directions=directions.ctypes.data,
                colors=colors.ctypes.data,
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
        return Spell(encode_ms, whole_ms - encode_ms)

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


def emulated(precision: Precision, level: Level) -> str | None:
    """What stands in for an arithmetic that is not there; None where it is."""
    name = {Precision.BF16: "bf16", Precision.FP16: "fp16"}.get(precision)
    if name is None or (precision is Precision.BF16 and level.bf16):
        return None
    return f"weights and inputs of layers rounded to {name}, calculated in float32: no speed-up"


def _info(weights: Weights, precision: Precision, level: Level, n_threads: int) -> EngineInfo:
    integers, stand_in = weights.integers, emulated(precision, level)
    weight_type = {Precision.BF16: "bfloat16", Precision.FP16: "float16"}.get(precision, "float32")
    arithmetic = _ARITHMETIC[Precision.FP32 if stand_in else precision]
    if precision is Precision.INT8:
        weight_type = "int8" if integers else "float32"
        arithmetic = described(arithmetic, weights.network, integers)
        arithmetic += _SPLIT_HEAD if integers and level.amx else ""
    return EngineInfo(
        engine="fused",
        precision=precision,
        device="cpu",
        weight_type=f"{weight_type} values in float32" if stand_in else weight_type,
        arithmetic=arithmetic,
        kernel=f"fused, {level.name}, {n_threads} thread{'s' * (n_threads > 1)}",
        weight_bytes=_weight_bytes(
            weights,
            narrow=precision is Precision.BF16 and not stand_in,
        ),
        emulated=stand_in,
    )


def _weight_bytes(weights: Weights, narrow: bool) -> int:
    def n_bytes(name: str) -> int:
        if name.removesuffix(".weight") in weights.integers:
            return 1
        return 2 if narrow and name.endswith(".weight") and name != "tail.0.weight" else 4

    shapes = weights.network.tensor_shapes()
    turn = 0 if weights.turn is None else weights.turn.nbytes
    return turn + sum(int(np.prod(shape)) * n_bytes(name) for name, shape in shapes.items())
