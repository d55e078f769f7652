"""Rays of photographs among those of a teacher: fine-tuning on what was really seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from r2l_core.datasets import Dataset
from r2l_core.geometry.rays import canonicalise, hits_bounds
from r2l_core.geometry.scene import SceneSpec
from r2l_core.training.camera_rays import CameraRays
from r2l_core.training.radiance.photographs import Photographs, near_marked
from r2l_core.training.runs import TellDone, counted_off, tell_nobody
from r2l_core.training.sampling import DrawnAhead, RayBatch, RaySampler, RaySource, SamplingConfig
from r2l_core.training.teachers import Teacher

_TEACHER_RAYS = 2**14
"""That a teacher is asked for together: its tables are walked in many small operations."""

_FRESH = 0.125
"""Share of a teacher's rays in a batch that are new; the others were asked for before: a teacher
takes longer to answer than a shallow network to learn."""

_KEPT_RAYS = 2**20
_FIRST_BATCHES = 16
"""Asked for before anything is learned: the rays of one would be used many times."""

_ENOUGH_PIXELS = 1e6
"""Fewer are soon known by heart, and the network forgets what lies between the photographs."""

_RIM_PX = 4
"""Background as near to something as this is where an outline is told, and always kept."""

_TRIES = 50


def fine_tuning_rays(
    photographs: Dataset,
    scene: SceneSpec,
    teacher: Teacher,
    place: torch.device | str,
    tell: TellDone = tell_nobody,
) -> Callable[[int], RaySource]:
    """Rays of the teacher where cameras can be, and those of photographs, from a seed."""
    pool = Photographs(photographs, place, tell)

    def new_rays(seed: int) -> RaySource:
        if scene.origin_radius is None:
            cameras = photographs.cameras
            of_teacher: RaySource = CameraRays(cameras, teacher, SamplingConfig(), seed, place)
        else:
            sampler = RaySampler(scene, teacher, SamplingConfig(), seed, place)
            of_teacher = DrawnAhead(sampler, _TEACHER_RAYS, seed)
        return MixedRays(of_teacher, pool, scene, seed, tell)

    return new_rays


class MixedRays(RaySource):
    """Rays of a teacher, and as many of photographs as `config.photographs` says.

    Of photographs with few pixels, fewer. A teacher's rays are used about eight times, in other
    company every time.
    Where the scene has a sphere of origins, the photographs' rays are re-based to it, as they will
    be when the light field is rendered, and those that miss the scene are left out, as are pixels
    that do not count. Of plain background away from outlines `config.background_keep` is kept.
    """

    def __init__(
        self,
        teacher_rays: RaySource,
        photographs: Photographs,
        scene: SceneSpec,
        seed: int,
        tell: TellDone = tell_nobody,
    ) -> None:
        self._teacher_rays = teacher_rays
        self._photographs = photographs
        self._scene = scene
        self.config = teacher_rays.config
        self._kept: _Kept | None = None
        self._generator = torch.Generator(photographs.device).manual_seed(seed)
        self._tell = tell

    def prepare(self, n_rays: int) -> None:
        """See RaySource.prepare: look for outlines, and ask the teacher for its first rays."""
        n_photographs = self._n_photographs(n_rays)
        self._teacher_rays.config = self.config
        if n_photographs:
            _ = self._telling
        if n_photographs < n_rays:
            self._asked_before(n_rays - n_photographs)

    def batch(self, n_rays: int) -> RayBatch:
        """See RaySource.batch."""
        n_photographs = self._n_photographs(n_rays)
        self._teacher_rays.config = self.config
        if not n_photographs:
            return self._of_teacher(n_rays)
        own = self._of_photographs(n_photographs)
        if n_photographs == n_rays:
            return own
        return _together(own, self._of_teacher(n_rays - n_photographs))

    def _n_photographs(self, n_rays: int) -> int:
        """How many of a batch's rays are those of photographs."""
        share = self.config.photographs * min(1.0, self._photographs.n_counted / _ENOUGH_PIXELS)
        return round(share * n_rays)

    @cached_property
    def _telling(self) -> Tensor:
        return _telling(self._photographs, self._scene, self._tell)

    def _asked_before(self, n_rays: int) -> _Kept:
        """Rays of the teacher to be used again; the first of them are asked for in batches of
        `n_rays`."""
        if self._kept is None:
            n_batches = max(1, min(_KEPT_RAYS // n_rays, _FIRST_BATCHES))
            batches = counted_off("asking the teacher", range(n_batches), n_batches, self._tell)
            first = _together(*(self._teacher_rays.batch(n_rays) for _ in batches))
            self._kept = _Kept(max(_KEPT_RAYS, len(first.colors)), first)
        return self._kept

    def _of_teacher(self, n_rays: int) -> RayBatch:
        kept = self._asked_before(n_rays)
        fresh = self._teacher_rays.batch(max(1, round(_FRESH * n_rays)))
        kept.add(fresh)
        return _together(fresh, kept.some(n_rays - len(fresh.colors), self._generator))

    def _of_photographs(self, n_rays: int) -> RayBatch:
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        place, draw = self._photographs.device, self._generator
        # Few tries are enough for many rays; rows of a view may all miss a small scene.
        for _ in range(_TRIES):
            pixels = torch.randint(
                len(self._photographs), (4 * n_rays,), generator=draw, device=place
            )
            lucky = torch.rand(len(pixels), generator=draw, device=place)
            telling = self._telling[pixels] | (lucky < self.config.background_keep)
            pixels = pixels[telling & self._photographs.that_count(pixels)]
            origins, directions = self._photographs.rays(pixels)
            kept = hits_bounds(origins, directions, self._scene)
            rays = canonicalise(origins[kept], directions[kept], self._scene)
            parts.append((*rays, self._photographs.colors(pixels[kept])))
            if sum(len(part[2]) for part in parts) >= n_rays:
                break
        columns = (torch.cat(column) for column in zip(*parts, strict=True))
        return RayBatch(*(column[:n_rays] for column in columns))


class _Kept:
    """The newest rays of many, in memory that is taken once: what grows by copying takes as long as
    a step."""

    def __init__(self, most: int, first: RayBatch) -> None:
        self._rays = RayBatch(*(part.new_empty(most, 3) for part in _parts(first)))
        self._most, self._n_rays, self._next = most, 0, 0
        self.add(first)

    def add(self, rays: RayBatch) -> None:
        """Keep these, in the place of the oldest where there is no other."""
        n_rays = len(rays.colors)
        rows = torch.arange(self._next, self._next + n_rays, device=rays.colors.device)
        rows %= self._most
        for new, kept in zip(_parts(rays), _parts(self._rays), strict=True):
            kept[rows] = new
        self._next = (self._next + n_rays) % self._most
        self._n_rays = min(self._n_rays + n_rays, self._most)

    def some(self, n_rays: int, generator: torch.Generator) -> RayBatch:
        """As many random ones, some of them more than once."""
        device = self._rays.colors.device
        rows = torch.randint(self._n_rays, (n_rays,), generator=generator, device=device)
        return RayBatch(*(part[rows] for part in _parts(self._rays)))


def _telling(photographs: Photographs, scene: SceneSpec, tell: TellDone) -> Tensor:
    """Pixels that show something, or have it next to them: bool, one a pixel of all views."""
    background = torch.tensor(scene.background_rgb, device=photographs.device)
    result = torch.empty(len(photographs), dtype=torch.bool, device=photographs.device)
    views, doing = photographs.sparse(1), "looking for outlines"
    for view, camera, pixels in counted_off(doing, views, photographs.n_views, tell):
        all_pixels = pixels.view(-1)
        something = (photographs.colors(all_pixels) - background).abs().amax(-1) > 1e-3
        something &= photographs.that_count(all_pixels)
        near = near_marked(something.view(-1, camera.width_px), _RIM_PX)
        result[view.start : view.stop] = near.view(-1)
    return result


def _parts(batch: RayBatch) -> tuple[Tensor, Tensor, Tensor]:
    return batch.origins, batch.directions, batch.colors


def _together(*batches: RayBatch) -> RayBatch:
    return RayBatch(*map(torch.cat, zip(*map(_parts, batches), strict=True)))
