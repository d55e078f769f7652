"""Training of a radiance field on photographs: coarse to fine, within a time, resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.datasets import Dataset
from r2l_core.errors import R2LError
from r2l_core.geometry.rays import image_rays
from r2l_core.images.metrics import psnr_db
from r2l_core.model.radiance.field import RadianceField
from r2l_core.model.radiance.grid import Grid
from r2l_core.model.radiance.space import Space
from r2l_core.training.arithmetic import DTYPES
from r2l_core.training.radiance.config import TeachConfig, TeachProgress
from r2l_core.training.radiance.growth import Hull, full_grid, grown_field
from r2l_core.training.radiance.photographs import Photographs, live_pixels
from r2l_core.training.radiance.spaces import extent_of, view_noise
from r2l_core.training.runs import (
    Speed,
    Stopwatch,
    TellDone,
    counted_off,
    loaded_state,
    save_state,
    tell_nobody,
    views_digest,
)
from r2l_core.training.sampling import RayBatch

_CHUNK_RAYS = 4096
_HELD_OUT_VIEWS = 4
_HELD_OUT_RAYS = 40_000
"""Of the held-out views together: enough for a tenth of a dB, little enough for every minute."""

_GPU_BATCH = 8
"""Times the rays of a step that a processor takes: a GPU takes no longer for them."""

_FEWEST_BATCHES = 32
"""In all pixels: of few, large batches would only see the same again."""

_SMOOTHED_CELLS = 2048
_DENSITY_SHARE = 0.02
"""Raw densities differ more than features, and may."""

_SETTLING_STEPS = 150
"""Of each grid, before it is judged which of its cells are empty."""

_PRUNING_RAYS = 400_000
"""By which the weights of cells are told before empty ones are dropped."""


class TeachTrainer:
    """One training run. Iterate `run()`; call `save()` any time between its steps.

    photographs: the training views, with at least as many as a scene needs to be told. held_out:
    views that are only ever measured against, or None. tell: is told what is done before the first
    step, and where the grid becomes finer. arithmetic: the numbers that colours are learned in, a
    name of DTYPES; a state may be resumed in others.
    """

    def __init__(
        self,
        photographs: Dataset,
        held_out: Dataset | None,
        config: TeachConfig,
        state_path: Path,
        device: torch.device | str = "cpu",
        tell: TellDone = tell_nobody,
        arithmetic: str = "bf16",
    ) -> None:
        self.config = config
        self.arithmetic = arithmetic
        self.tell = tell
        self.state_path = state_path
        self.dataset = photographs
        self._device = torch.device(device)
        self._photographs = Photographs(photographs, self._device, tell)
        self._held_out = _held_out_views(held_out)
        self._extent = extent_of(photographs)
        self._view_noise = view_noise(photographs.cameras)
        self.elapsed_s, self.rays = 0.0, 0
        self.held_out_psnr_db: float | None = None
        self.curve: list[tuple[float, float]] = []
        self._draw = torch.Generator(self._device).manual_seed(config.seed)
        torch.manual_seed(config.seed)
        grid = full_grid(self._extent, config.coarseness, self._device)
        self._hull = Hull(photographs, tell) if grid.space.kind == "box" else None
        if self._hull is not None:
            grid = self._hull.carved(grid)
            if not len(grid.cells):
                raise _learns_nothing(photographs, "no place shows something in every photograph")
        self._use(RadianceField(grid, photographs.scene.background_rgb), 0)

    def _use(self, radiance: RadianceField, grown: int) -> None:
        """Learn this field from now on, which has become finer so many times."""
        radiance.training_dtype = DTYPES[self.arithmetic]
        groups = [
            {"params": [radiance.density, radiance.features]},
            {"params": list(radiance.color.parameters())},
        ]
        optimizer = torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-15, fused=True)
        pixels = live_pixels(self._photographs, radiance.grid, self.tell)
        if not len(pixels):
            raise _learns_nothing(self.dataset, "no camera sees the place where the scene must be")
        # Last, and without a call in between: who is stopped here saves what belongs together.
        self.field, self._optimizer = radiance, optimizer
        self._pixels, self._grown, self._steps = pixels, grown, 0

    @property
    def progress(self) -> float:
        """Share of the training time that is used up, 0 to 1."""
        return min(1.0, self.elapsed_s / (self.config.minutes * 60.0))

    def run(self) -> Iterator[TeachProgress]:
        """Train until the time is used up, yielding after every step; measures and saves every
        minute. Raises R2LError where nothing can be learned."""
        last_save_s, mse, speed = self.elapsed_s, math.nan, Speed()
        while self.progress < 1.0:
            watch = Stopwatch(time.perf_counter, time.process_time)
            grew = self._grow_if_due()
            new_mse, n_rays = self._step()
            if not math.isfinite(new_mse):
                raise _learns_nothing(self.dataset, f"the error became {new_mse}")
            self.rays += n_rays
            due = self.elapsed_s - last_save_s >= self.config.save_every_s
            if due:
                self.measure()
            taken = watch.taken()
            # Neither a growth nor a measurement has a usual speed, and a pause may lie in either.
            other = grew or due
            self.elapsed_s += taken.uninterrupted_s if other else speed.seconds(n_rays, taken)
            mse = new_mse if math.isnan(mse) else 0.98 * mse + 0.02 * new_mse
            if due:
                self.save()
                last_save_s = self.elapsed_s
            yield TeachProgress(
                share=self.progress,
                elapsed_s=self.elapsed_s,
                rays=self.rays,
                n_rows=self.field.grid.n_rows,
                train_psnr_db=psnr_db(mse),
                krays_per_s=speed.rays_per_s / 1e3,
                held_out_psnr_db=self.held_out_psnr_db,
                arithmetic=self.arithmetic,
            )
        self.measure()
        self.save()

    def _step(self) -> tuple[float, int]:
        """Learn from one batch: mean squared error, and rays."""
        config = self.config
        n = config.growths[self._grown - 1].batch_rays if self._grown else config.batch_rays
        n = n if self._device.type == "cpu" else _GPU_BATCH * n
        n = min(n, max(1, self._photographs.n_counted // _FEWEST_BATCHES))
        fall = 0.1**self.progress
        for group, peak in zip(
            self._optimizer.param_groups, (config.grid_lr, config.color_lr), strict=True
        ):
            group["lr"] = peak * fall
        pixels = self._drawn(n)
        origins, directions = self._photographs.rays(pixels)
        jitter = torch.rand(n, device=self._device, generator=self._draw)
        noise = torch.randn(n, 3, device=self._device, generator=self._draw)
        rendered = self.field(origins, directions, jitter, self._view_noise * noise)
        truth = self._photographs.colors(pixels)
        error = functional.mse_loss(rendered.colors, truth)
        # Every sample for itself should look like its pixel: that clears fog (Sun et al. 2022).
        apart = (rendered.sample_rgb - truth[rendered.sample_ray]).square().sum(-1)
        loss = error + config.sample_share * (rendered.sample_weight * apart).sum() / (3 * n)
        loss = loss + self._roughness()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self._steps += 1
        return float(error.detach()), n

    def _roughness(self) -> Tensor:
        """How much values differ within some random cells, weighed by how few pixels a cell has:
        where the photographs say little, it should be as next to it."""
        grid = self.field.grid
        cells = torch.randint(
            len(grid.cells), (_SMOOTHED_CELLS,), device=self._device, generator=self._draw
        )
        rows = grid.corners[cells].long()
        share = self.config.smoothness * len(grid.cells) / len(self._pixels)
        features, density = (
            _variance(self.field.features[rows]),
            _variance(self.field.density[rows]),
        )
        return share * (features + _DENSITY_SHARE * density)

    def _drawn(self, n: int) -> Tensor:
        """Random pixels that can show something, int64 (n,)."""
        rows = torch.randint(len(self._pixels), (n,), device=self._device, generator=self._draw)
        return self._pixels[rows].long()

    def _grow_if_due(self) -> bool:
        growths = self.config.growths
        if (
            self._grown == len(growths)
            or self.progress < growths[self._grown].start
            or self._steps < _SETTLING_STEPS
        ):
            return False
        growth = growths[self._grown]
        grown = grown_field(
            self.field,
            self._cell_weights(),
            growth.least,
            self._extent,
            growth.coarseness,
            self._hull,
        )
        if grown is None:
            raise _learns_nothing(self.dataset, "the radiance field is empty everywhere")
        self._use(grown, self._grown + 1)
        return True

    @torch.no_grad()
    def _cell_weights(self) -> Tensor:
        """The largest weight that a ray of the photographs gives any sample of each cell."""
        result = torch.zeros(len(self.field.grid.cells), device=self._device)
        chunks = range(0, min(_PRUNING_RAYS, 4 * len(self._pixels)), _CHUNK_RAYS)
        for _ in counted_off("looking for empty cells", chunks, len(chunks), self.tell):
            samples = self.field.grid.samples(*self._photographs.rays(self._drawn(_CHUNK_RAYS)))
            result.scatter_reduce_(0, samples.cell, self.field.weights(samples)[0], "amax")
        return result

    def measure(self) -> None:
        """Compare with rays of some held-out views, spread evenly."""
        if not self._held_out:
            return
        self.field.eval()
        scores = []
        for view in self._held_out:
            colors = self.colors(view.origins, view.directions)
            scores.append(psnr_db(float(functional.mse_loss(colors.cpu(), view.colors))))
        self.field.train()
        self.held_out_psnr_db = sum(scores) / len(scores)
        self.curve.append((round(self.elapsed_s, 1), round(self.held_out_psnr_db, 3)))

    @torch.no_grad()
    def colors(self, origins: Tensor, directions: Tensor) -> Tensor:
        """What the field answers to rays, float32 (N, 3) each, on the trainer's device."""
        rays = zip(*(torch.split(one, _CHUNK_RAYS) for one in (origins, directions)), strict=True)
        place = self._device
        return torch.cat([self.field(o.to(place), d.to(place)).colors for o, d in rays])

    def save(self) -> None:
        """Write everything needed to go on, whole or not at all, to `state_path`.

        Raises CheckpointError where it cannot be written.
        """
        grid = self.field.grid
        state = {
            "space": self._extent.space.to_dict(),
            "photographs": views_digest(self.dataset),
            "box": [grid.low, grid.high, grid.shape],
            "cells": grid.cells,
            "weights": self.field.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "elapsed_s": self.elapsed_s,
            "rays": self.rays,
            "grown": self._grown,
            "steps": self._steps,
            "curve": self.curve,
        }
        save_state(self.state_path, state)

    def resume(self) -> None:
        """Go on from `state_path`. Raises CheckpointError where that cannot be."""
        other = "set of photographs, or to these at another size"
        with loaded_state(self.state_path, self._device, self._belongs, other) as state:
            low, high, shape = (tuple(values) for values in state["box"])
            grid = Grid(self._extent.space, low, high, shape, state["cells"])
            radiance = RadianceField(grid, self.field.background_rgb)
            radiance.load_state_dict(state["weights"])
            self._use(radiance, int(state["grown"]))
            self._optimizer.load_state_dict(state["optimizer"])
            self._steps = int(state.get("steps", 0))  # which older states do not hold
            self.elapsed_s, self.rays = float(state["elapsed_s"]), int(state["rays"])
            self.curve = list(state["curve"])
        self.held_out_psnr_db = self.curve[-1][1] if self.curve else None
        # A resumed run draws other rays than the ones it has seen.
        self._draw.manual_seed(self.config.seed + self.rays)

    def _belongs(self, state: Mapping[str, Any]) -> bool:
        own = views_digest(self.dataset)  # which older states do not name
        same = state.get("photographs", own) == own
        return same and Space.from_mapping(state["space"]) == self._extent.space


def _held_out_views(dataset: Dataset | None) -> list[RayBatch]:
    """Rays of some views, spread evenly, and what they should be; without views of which no pixel
    counts. Raises DatasetError."""
    if dataset is None:
        return []
    n_views, views = min(_HELD_OUT_VIEWS, len(dataset)), []
    for index in torch.linspace(0, len(dataset) - 1, n_views).long().tolist():
        truth = torch.from_numpy(dataset.image(index)).view(-1, 3)
        rows = torch.arange(0, len(truth), max(1, len(truth) * n_views // _HELD_OUT_RAYS))
        counted = dataset.counted(index)
        if counted is not None:
            rows = rows[torch.from_numpy(counted).view(-1)[rows]]
        if len(rows):
            origins, directions = image_rays(dataset.cameras[index])
            views.append(RayBatch(origins[rows], directions[rows], truth[rows]))
    return views


def _variance(values: Tensor) -> Tensor:
    """Mean over cells of the variance in each, (n, 8, k): as `values.var(1).mean()`, which takes a
    processor six times as long."""
    return (values - values.mean(1, keepdim=True)).square().mean() * (8.0 / 7.0)


def _learns_nothing(dataset: Dataset, why: str) -> R2LError:
    return R2LError(
        f"No radiance field can be learned from {dataset.name}",
        why,
        "Check the poses and the background of the photographs, or train longer.",
    )
