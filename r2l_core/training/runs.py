"""What all trainings share: the time that counts, what is told before a step, and the file that a
stopped one goes on from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from r2l_core.datasets import Dataset
from r2l_core.errors import CheckpointError, first_line
from r2l_core.files import replacing

_STALL = 0.05
"""A step at less than this share of the usual speed was interrupted."""

_AFRESH = "Start without --resume."

TellDone = Callable[[str, int, int], None]
"""Is told what is done before a step, such as "reading photographs", how many parts of it are done,
and how many there are."""

_Part = TypeVar("_Part")


def tell_nobody(_what: str, _done: int, _total: int) -> None:
    """Where nobody wants to know."""


def counted_off(what: str, parts: Iterable[_Part], total: int, tell: TellDone) -> Iterator[_Part]:
    """The parts, one after the other, of which is told how many are done."""
    for done, part in enumerate(parts):
        tell(what, done, total)
        yield part
    tell(what, total, total)


@dataclass(frozen=True)
class Taken:
    """What a step took. worked_s: of it, by this process on all processors."""

    measured_s: float
    worked_s: float

    @property
    def uninterrupted_s(self) -> float:
        """Without what the process or the machine slept, where no usual speed tells."""
        return min(self.measured_s, self.worked_s)


class Stopwatch:
    """Measures from when it is made, by a clock and by one that only goes on while we work."""

    def __init__(self, now_s: Callable[[], float], worked_s: Callable[[], float]) -> None:
        self._clocks = now_s, worked_s
        self._began_s = now_s(), worked_s()

    def taken(self) -> Taken:
        """Since the beginning."""
        measured_s, worked_s = (
            clock() - began for clock, began in zip(self._clocks, self._began_s, strict=True)
        )
        return Taken(measured_s, worked_s)


@dataclass
class Speed:
    """Rays a second, smoothed, so that time in which the machine slept is no training time."""

    rays_per_s: float = math.nan

    def seconds(self, n_rays: int, taken: Taken) -> float:
        """Training time of a step."""
        measured_s = taken.measured_s
        if math.isnan(self.rays_per_s):
            measured_s = taken.uninterrupted_s or measured_s
        rate = n_rays / measured_s
        if math.isnan(self.rays_per_s):
            self.rays_per_s = rate
        if rate < _STALL * self.rays_per_s:
            return n_rays / self.rays_per_s
        self.rays_per_s += 0.05 * (rate - self.rays_per_s)
        return measured_s


def views_digest(dataset: Dataset) -> str:
    """Tells photographs from others, wherever they lie: by names, sizes, lenses and poses."""
    views = [
        [view.name, c.width_px, c.height_px, c.focal_px, c.fy_px, c.T_world_camera.tolist()]
        for view, c in zip(dataset.views, dataset.cameras, strict=True)
    ]
    return hashlib.sha256(json.dumps(views).encode()).hexdigest()


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training's state, whole or not at all. Raises CheckpointError where it cannot be."""
    what = f"The training state {path} could not be written"
    remedy = "Name a place you can write to with --state."
    try:
        with replacing(path, CheckpointError, what, remedy) as new:
            torch.save(state, new)
    except RuntimeError as error:  # torch's own, where the disk is full
        raise CheckpointError(what, first_line(error), remedy) from error


@contextmanager
def loaded_state(
    path: Path,
    place: torch.device,
    belongs: Callable[[Mapping[str, Any]], bool],
    to_another: str,
) -> Iterator[Mapping[str, Any]]:
    """A training's state, with tensors on a device, for what goes on from it.

    belongs: whether it is of the training at hand, and not `to_another`, such as "scene".

    Raises CheckpointError where it does not belong, or where the file or, in the body, one of its
    values is not what it should be.
    """
    what = f"The training state {path} cannot be resumed"
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location=place)
        same = belongs(state)
    except Exception as error:
        # torch reports foreign files and refused pickles through many kinds of exception.
        why = f"it is not a state of this program ({first_line(error)})"
        raise CheckpointError(what, why, _AFRESH) from error
    if not same:
        remedy = f"{_AFRESH[:-1]}, or give the same options as before."
        raise CheckpointError(what, f"it belongs to another {to_another}", remedy)
    try:
        yield state
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise CheckpointError(what, "it is damaged", _AFRESH) from error
