"""What the processor could do at best: multiplications alone, counted for a fifth of a second."""

from __future__ import annotations

import time

from r2l_core.engines.fused.library import Level
from r2l_core.engines.fused.packing import Kind
from r2l_core.engines.fused.workers import work_together
from r2l_core.types import Precision

PEAK_S = 0.2
_ROUNDS = 20_000
"""Of twelve vector instructions, or four of the matrix unit: less than a millisecond."""


def peak_gops(level: Level, precision: Precision, n_threads: int) -> float:
    """The most operations, additions and multiplications, that `n_threads` threads did in a
    millisecond or so, in 10^9 a second.

    They are those that `precision` is multiplied with at this level: 8-bit products for `int8`,
    bfloat16 ones for `bf16` where there are any, float32 ones for all others. Without 8-bit dot
    products an 8-bit product is half of vpmaddubsw, and its sum is of 16 bits.
    """
    kind = {Precision.INT8: Kind.BYTES, Precision.BF16: Kind.BF16}.get(precision, Kind.FLOAT)
    best = [0.0] * n_threads

    def work(number: int) -> None:
        end_s = time.perf_counter() + PEAK_S
        now_s = time.perf_counter()
        while now_s < end_s:
            start_s = now_s
            operations = level.multiply_only(kind, _ROUNDS)
            now_s = time.perf_counter()
            best[number] = max(best[number], operations / (now_s - start_s) / 1e9)

    work_together(n_threads, work)
    # A thread that came too late to measure is as fast as the others.
    done = [gops for gops in best if gops > 0]
    return sum(done) / len(done) * n_threads
