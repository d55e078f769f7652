"""What a training run does when: stages, each with its rates, batches, depth and rays.

A schedule is a frozen value, and a JSON file can hold one: `checkpoints/demo-schedule.json` made
the demo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from r2l_core.errors import R2LError
from r2l_core.json_fields import Fields
from r2l_core.training.sampling import SamplingConfig

_MAX_STAGES = 100
_WARM_UP = 0.005
"""Share of a whole run in which the rates rise from near zero to where the first stage starts."""


@dataclass(frozen=True)
class Stage:
    """A stretch of a run.

    mrays: its length in million rays. rate_start, rate_end: factors on the peak learning rates;
    between them goes a straight line, or half a cosine wave where `cosine`. growth: (share of the
    stage, share of the final blocks) pairs at which the network grows; it never shrinks.
    """

    mrays: float
    rate_start: float = 1.0
    rate_end: float = 0.0
    cosine: bool = True
    batch_rays: int = 4096
    growth: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def rate(self, x: float) -> float:
        """Factor on the peak rates at `x` in [0, 1] of this stage."""
        fallen = 0.5 * (1.0 - math.cos(math.pi * x)) if self.cosine else x
        return self.rate_start + (self.rate_end - self.rate_start) * fallen

    def blocks(self, x: float, final_blocks: int) -> int:
        """Residual blocks the network should have at `x` of this stage, at least."""
        share = max(share for start, share in self.growth if x >= start)
        return max(min(final_blocks, 1), round(share * final_blocks))


@dataclass(frozen=True)
class Schedule:
    """Stages, one after the other."""

    stages: tuple[Stage, ...]

    @property
    def mrays(self) -> float:
        """Length of the whole, in million rays."""
        return sum(stage.mrays for stage in self.stages)

    def at(self, progress: float) -> tuple[Stage, float]:
        """The stage at `progress` in [0, 1] of the whole, and how far in it, 0 to 1."""
        place = min(1.0, progress) * self.mrays
        for stage in self.stages[:-1]:
            if place < stage.mrays:
                return stage, place / stage.mrays
            place -= stage.mrays
        return self.stages[-1], min(1.0, place / self.stages[-1].mrays)

    def rate(self, progress: float) -> float:
        """Factor on the peak learning rates at `progress` of the whole."""
        stage, x = self.at(progress)
        return min(1.0, (progress + 1e-4) / _WARM_UP) * stage.rate(x)

    def within(self, most_rays: int) -> Schedule:
        """The same with no batch larger than `most_rays`."""
        stages = (replace(s, batch_rays=min(s.batch_rays, most_rays)) for s in self.stages)
        return Schedule(tuple(stages))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `load_schedule` reads it back."""
        return asdict(self)


GROWING = Schedule((Stage(mrays=1.0, growth=((0.0, 0.25), (0.18, 0.5), (0.44, 1.0))),))
"""For runs of any length: shallow at first, which learns faster a second, one fall of the rates."""

_PHOTOGRAPHED = SamplingConfig(footprint_px=0.0, background_keep=0.06, outer_share=0.02)
"""Of a teacher that has learned whole pixels, which needs no averaging over them."""

FINE_TUNED = Schedule(
    (
        Stage(
            mrays=2.0,
            rate_start=0.6,
            rate_end=0.2,
            cosine=False,
            growth=((0.0, 0.25), (0.4, 0.5)),
            sampling=replace(_PHOTOGRAPHED, photographs=0.35),
        ),
        Stage(
            mrays=1.0,
            rate_start=0.2,
            cosine=False,
            batch_rays=8192,
            growth=((0.0, 0.5), (0.6, 1.0)),
            sampling=replace(_PHOTOGRAPHED, photographs=0.5),
        ),
    )
)
"""For a teacher and the photographs it comes from, of which the last third takes more. On the chair
a rate of 0.6 learned as much as 1.0 in two thirds of the time."""


def load_schedule(file: Path) -> Schedule:
    """Read a schedule. Raises R2LError naming the file and the field."""
    top = Fields.of_file(file, f"The schedule {file} cannot be used", R2LError)
    stages = tuple(_stage(entry) for entry in top.objects("stages", _MAX_STAGES))
    if not stages:
        top.refuse("stages", "is empty")
    return Schedule(stages)


def _stage(entry: Fields) -> Stage:
    growth = []
    for index, pair in enumerate(entry.values("growth", 50) if "growth" in entry else [[0.0, 1.0]]):
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_share, pair))):
            entry.refuse(f"growth[{index}]", "is not a pair of numbers from 0 to 1")
        growth.append((float(pair[0]), float(pair[1])))
    if not any(start == 0.0 for start, _ in growth):
        entry.refuse("growth", "says nothing about the stage's start (a pair with 0)")
    sampling = entry.inner("sampling") if "sampling" in entry else None
    return Stage(
        mrays=entry.number("mrays", low=1e-6, high=1e6),
        rate_start=entry.number("rate_start", 1.0, 0.0, 10.0),
        rate_end=entry.number("rate_end", 0.0, 0.0, 10.0),
        cosine=entry.boolean("cosine", True),
        batch_rays=int(entry.number("batch_rays", 4096, 1, 2**20)),
        growth=tuple(growth),
        sampling=SamplingConfig() if sampling is None else _sampling(sampling),
    )


def _sampling(entry: Fields) -> SamplingConfig:
    default = SamplingConfig()
    unknown = set(entry.mapping) - {f.name for f in fields(default)}
    if unknown:
        entry.refuse(min(unknown), "is unknown")
    limits: Mapping[str, tuple[float, float]] = {
        "footprint_samples": (1, 16),
        "footprint_px": (0.0, 10.0),
        "outer_slope": (0.0, 10.0),
    }
    values: dict[str, Any] = {
        f.name: entry.number(f.name, getattr(default, f.name), *limits.get(f.name, (0.0, 1.0)))
        for f in fields(default)
    }
    values["footprint_samples"] = int(values["footprint_samples"])
    return SamplingConfig(**values)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
