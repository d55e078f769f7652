"""In which numbers networks learn: bfloat16 where products of it are faster than of float32.

They are on GPUs and on processors with a matrix unit. A processor that has to take bfloat16 apart
needs many times as long for it: twenty with AVX2 alone. Weights are kept in float32 either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
"""By the names that are shown."""

_ROWS, _WIDTH = 512, 256
_TRIES = 5


def training_arithmetic(place: torch.device | str) -> str:
    """A name of DTYPES for a device: of the faster ones, which a processor shows by a trial."""
    return "bf16" if torch.device(place).type != "cpu" else _of_this_processor()


@cache
def _of_this_processor() -> str:
    return faster(_seconds)


def faster(seconds: Callable[[torch.dtype], float]) -> str:
    """The name of the numbers whose fastest of several trials takes the least time.

    seconds: of one trial, which is made of each in turn; the first of each only warms up.
    """
    tries = [{name: seconds(dtype) for name, dtype in DTYPES.items()} for _ in range(_TRIES)]
    return min(DTYPES, key=lambda name: min(taken[name] for taken in tries[1:]))


def _seconds(dtype: torch.dtype) -> float:
    """Of the three products that one layer takes to learn."""
    rays = torch.ones(_ROWS, _WIDTH, dtype=dtype)
    weights = torch.ones(_WIDTH, _WIDTH, dtype=dtype)
    start = time.perf_counter()
    after = rays @ weights.t()
    _ = after @ weights, after.t() @ rays
    return time.perf_counter() - start
