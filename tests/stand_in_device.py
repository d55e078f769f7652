"""A processor in the place of a GPU: the CUDA engine with only the device exchanged."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode

NOT_IN_A_GRAPH = (
    # They wait for the device, or bring along values of the host.
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::nonzero",
    "aten::masked_select",
    "aten::lift_fresh",
    "aten::equal",
    "aten::is_nonzero",
)


class CaptureError(RuntimeError):
    """Something a CUDA graph cannot hold."""


class _Capturing(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name().split(".")[0] in NOT_IN_A_GRAPH:
            raise CaptureError(f"{func.name()} in a graph")
        return func(*args, **(kwargs or {}))


class StandInMark:
    """Reached as soon as it is recorded: a processor has no queue."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def record(self) -> None:
        self._seconds = time.perf_counter()

    def synchronize(self) -> None:
        assert self._seconds > 0, "waited for before it was recorded"

    def elapsed_time(self, end: StandInMark) -> float:
        return (end._seconds - self._seconds) * 1e3


class StandInDevice:
    """See r2l_core.engines.cuda.device.Device. Refuses in graphs what CUDA refuses there."""

    torch_device = torch.device("cpu")
    name = "stand-in"

    def __init__(self, capability: tuple[int, int] = (9, 0)) -> None:
        self.capability = capability
        self.replays = 0
        self.graphs = 0

    def host_memory(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.empty(*shape, dtype=dtype)

    def mark(self) -> StandInMark:
        return StandInMark()

    def working(self):
        return nullcontext()

    def captured(self, run: Callable[[], None], warm_ups: int = 3) -> Callable[[], None]:
        """Capturing runs it once, where CUDA only records. Without warm-ups, what it does counts:
        it takes the place of the first replay."""
        if warm_ups:
            run()
        with _Capturing():
            run()
        self.graphs += 1
        done = warm_ups == 0

        def replay() -> None:
            nonlocal done
            self.replays += 1
            if not done:
                run()
            done = False

        return replay
