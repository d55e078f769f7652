"""How fine a picture can be in the time it has: pure functions of what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from r2l_core.render.frames import STRIDES

HYSTERESIS = 0.1
"""A stride finer than the last one has to fit with this share of the time to spare, and one that
was good enough may exceed it by as much: the resolution does not flicker between two."""


FINE_STRIDE = 2
"""Up to here, a preview is a whole grid."""


@dataclass(frozen=True)
class Speed:
    """How fast a source computes pixels.

    rays_per_s: measured, padding included; 0 before the first measurement. call_rays: how many rays
    one call may compute, ascending; a call for other numbers is filled up. Empty where any number
    will do.
    """

    rays_per_s: float
    call_rays: tuple[int, ...] = ()

    def seconds(self, n_rays: float) -> float:
        """Time that `n_rays` are going to take."""
        if n_rays <= 0:
            return 0.0
        return n_rays / self.rays_per_s if self.rays_per_s > 0 else math.inf

    def computed(self, n_rays: int) -> int:
        """Rays that are computed, padding included, when `n_rays` are asked for."""
        if not self.call_rays:
            return n_rays
        calls, rest = divmod(n_rays, self.call_rays[-1])
        last = next(n for n in self.call_rays if n >= rest) if rest else 0
        return calls * self.call_rays[-1] + last

    def within(self, budget_rays: int) -> int:
        """The most rays that are computed, padding included, without exceeding `budget_rays`."""
        if not self.call_rays:
            return budget_rays
        calls, rest = divmod(budget_rays, self.call_rays[-1])
        return calls * self.call_rays[-1] + max((n for n in self.call_rays if n <= rest), default=0)

    def room(self, n_rays: int, budget_rays: int) -> int:
        """How many rays may join `n_rays`, about within the budget or in the same calls."""
        most, above = self.within(budget_rays), self.computed(budget_rays)
        # Calls have few sizes, and a slightly late picture wastes less than a half empty one.
        if above - budget_rays < min(budget_rays - most, HYSTERESIS * budget_rays):
            most = above
        return max(most, self.computed(n_rays)) - n_rays


def time_for_pixels(target_s: float, overhead_s: float) -> float:
    """Seconds of `target_s` that go to computing pixels: at least half, however slow the rest."""
    return max(target_s - overhead_s, 0.5 * target_s)


def finest_stride(
    seconds_at: Callable[[int], float], available_s: float, last_stride: int | None
) -> int:
    """The finest of STRIDES whose pixels fit the time, or else the coarsest.

    seconds_at: predicted time of a stride. last_stride: of the picture before; None where there was
    none.
    """
    for stride in reversed(STRIDES):
        margin = 1.0
        if last_stride is not None:
            margin += HYSTERESIS if stride >= last_stride else -HYSTERESIS
        if seconds_at(stride) <= margin * available_s:
            return stride
    return STRIDES[0]


def base_stride(affordable: int, carries: bool) -> int:
    """The grid that a preview completes where it could afford a finer one: pixels say more where
    something is to be seen, and most where a carried picture does not say it already. With most of
    the pixels affordable, there is little to choose."""
    coarser = (4 if carries else 2) * affordable
    return affordable if affordable <= FINE_STRIDE else min(coarser, STRIDES[0])


def extra_rays(work: Sequence[tuple[Speed, int]], available_s: float) -> int:
    """How many rays more each source may be asked about, all of them as many.

    work: speed and number of rays of each source that computes. available_s: time for all together.
    """
    if not work or any(speed.rays_per_s <= 0 for speed, _ in work):
        return 0
    left_s = available_s - sum(speed.seconds(n_rays) for speed, n_rays in work)
    more = left_s / sum(speed.seconds(1) for speed, _ in work)
    return max(0, min(speed.room(n, max(0, math.floor(n + more))) for speed, n in work))
