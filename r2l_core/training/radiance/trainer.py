"""Training of a radiance field on photographs: coarse to fine, within a time, resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.datasets import Dataset
from r2l_core.model.radiance.field import RadianceField
from r2l_core.model.radiance.grid import Grid, Samples
from r2l_core.model.radiance.space import Space
from r2l_core.training.radiance.growth import full_grid, grown_field
from r2l_core.training.radiance.hull import carved
from r2l_core.training.radiance.photographs import Photographs

_STALL = 0.05


@dataclass(frozen=True)
class Growth:
    """start: share of the time at which the grid gets finer. n_cells: of its box from then on.
    least: weight below which a cell is dropped."""

    start: float
    n_cells: int
    least: float = 1e-3


@dataclass(frozen=True)
class TeachConfig:
    """minutes: training time in all. The rates fall to a tenth over it."""

    minutes: float = 30.0
    batch_rays: int = 4096
    first_cells: int = 100**3
    growths: tuple[Growth, ...] = (
        Growth(0.06, 150**3, 0.02),
        Growth(0.18, 230**3, 0.01),
        Growth(0.45, 250**3, 0.005),
    )
    grid_lr: float = 0.1
    color_lr: float = 2e-3
    save_every_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class TeachProgress:
    """share: of the whole run, 0 to 1. held_out_psnr_db: newest, None before the first."""

    share: float
    elapsed_s: float
    rays: int
    n_rows: int
    train_psnr_db: float
    krays_per_s: float
    held_out_psnr_db: float | None


class TeachTrainer:
    """One training run. Iterate `run()`; call `save()` any time between its steps."""

    def __init__(
        self,
        train: Dataset,
        photographs: Photographs,
        space: Space,
        box: tuple[Tensor, Tensor],
        background_rgb: tuple[float, float, float],
        held_out: Dataset | None,
        config: TeachConfig,
        state_path: Path,
    ) -> None:
        self.config = config
        self.state_path = state_path
        self._photographs = photographs
        self._held_out = held_out
        torch.manual_seed(config.seed)
        grid = full_grid(space, *box, config.first_cells)
        cells = carved(train, grid.cells, grid.cell_centers(), float(grid.cell_size.max()))
        grid = Grid(space, grid.low, grid.high, grid.shape, cells)
        self.field = RadianceField(grid, background_rgb)
        self.elapsed_s, self.rays, self._grown = 0.0, 0, 0
        self._optimizer = self._new_optimizer()
        self._pool: Tensor | None = None
        self.held_out_psnr_db: float | None = None
        self.curve: list[tuple[float, float]] = []

    @property
    def progress(self) -> float:
        """Share of the training time that is used up, 0 to 1."""
        return min(1.0, self.elapsed_s / (self.config.minutes * 60.0))

    def run(self) -> Iterator[TeachProgress]:
        """Train until the time is used up, yielding after every step; saves every minute."""
        last_save_s, mse, rate = self.elapsed_s, math.nan, math.nan
        while self.progress < 1.0:
            start = time.perf_counter()
            self._grow_if_due()
            new_mse, n_rays = self._step()
            if not math.isfinite(new_mse):
                raise FloatingPointError(f"the loss became {new_mse} after {self.rays} rays")
            self.rays += n_rays
            due = self.elapsed_s - last_save_s >= self.config.save_every_s
            if due:
                self.measure()
            seconds = time.perf_counter() - start
            if rate > 0 and n_rays / seconds < _STALL * rate:
                seconds = n_rays / rate
            self.elapsed_s += seconds
            mse = new_mse if math.isnan(mse) else 0.98 * mse + 0.02 * new_mse
            rate = n_rays / seconds if math.isnan(rate) else 0.95 * rate + 0.05 * n_rays / seconds
            if due:
                self.save()
                last_save_s = self.elapsed_s
            yield TeachProgress(
                self.progress, self.elapsed_s, self.rays, self.field.grid.n_rows,
                -10.0 * math.log10(max(mse, 1e-12)), rate / 1e3, self.held_out_psnr_db,
            )
        self.measure()
        self.save()

    def _step(self) -> tuple[float, int]:
        if self._pool is None:
            self._pool = self._live_pixels()
        fall = 0.1 ** self.progress
        since = 1.0
        for group, peak in zip(
            self._optimizer.param_groups, (self.config.grid_lr, self.config.color_lr), strict=True
        ):
            group["lr"] = peak * fall * since
        n = self.config.batch_rays // (4, 2, 1, 1)[self._grown]
        pixels = self._pool[torch.randint(len(self._pool), (n,))].long()
        origins, directions = self._photographs.rays(pixels)
        rendered, _ = self.field(origins, directions, torch.rand(n))
        loss = functional.mse_loss(rendered.colors, self._photographs.colors(pixels))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return float(loss.detach()), n

    def _new_optimizer(self) -> torch.optim.Optimizer:
        groups = [
            {"params": [self.field.density, self.field.features]},
            {"params": list(self.field.color.parameters())},
        ]
        return torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-15, fused=True)

    def _grow_if_due(self) -> None:
        growths = self.config.growths
        if self._grown < len(growths) and self.progress >= growths[self._grown].start:
            growth = growths[self._grown]
            self.field = grown_field(
                self.field, self._cell_weights(), growth.n_cells, growth.least
            )
            self._optimizer = self._new_optimizer()
            self._pool = None
            self._grown += 1

    @torch.no_grad()
    def _cell_weights(self, n_rays: int = 400_000) -> Tensor:
        """The largest weight that a ray of the photographs gives any sample of each cell."""
        assert self._pool is not None
        result = torch.zeros(len(self.field.grid.cells))
        for _ in range(0, n_rays, self.config.batch_rays):
            pixels = self._pool[torch.randint(len(self._pool), (self.config.batch_rays,))].long()
            samples = self.field.grid.samples(*self._photographs.rays(pixels))
            weights, _ = self.field.weights(samples)
            result.scatter_reduce_(0, samples.cell, weights, "amax")
        return result

    @torch.no_grad()
    def _live_pixels(self, stride: int = 4) -> Tensor:
        """Pixels whose rays may meet an occupied cell; the others show the background for ever."""
        kept = []
        for start, width, height, grid in self._photographs.every(stride):
            hit = torch.zeros(grid.numel())
            for rows in torch.arange(grid.numel()).split(8192):
                samples = self.field.grid.samples(*self._photographs.rays(grid.view(-1)[rows]))
                hit[rows] = (torch.bincount(samples.ray, minlength=len(rows)) > 0).float()
            near = functional.max_pool2d(hit.view(1, 1, *grid.shape), 3, 1, 1)
            live = functional.interpolate(near, scale_factor=stride)[0, 0, :height, :width]
            kept.append((start + live.reshape(-1).nonzero().squeeze(-1)).int())
        return torch.cat(kept)

    @torch.no_grad()
    def measure(self) -> None:
        if self._held_out is None:
            return
        scores = []
        for index in range(0, len(self._held_out), max(1, len(self._held_out) // 4)):
            truth = torch.from_numpy(self._held_out.image(index))
            view = Photographs.__new__(Photographs)  # PROTOTYPE
            from r2l_core.geometry.rays import image_rays
            o, d = image_rays(self._held_out.cameras[index])
            sub = slice(0, None, 7)
            o, d, truth = o[sub], d[sub], truth.view(-1, 3)[sub]
            c = torch.cat([self.field(a, b)[0].colors for a, b in zip(o.split(4096), d.split(4096), strict=True)])
            scores.append(-10 * math.log10(float(functional.mse_loss(c, truth))))
        self.held_out_psnr_db = sum(scores) / len(scores)
        self.curve.append((self.elapsed_s, self.held_out_psnr_db))

    def save(self) -> None:
        grid = self.field.grid
        state = {
            "space": grid.space.to_dict(), "low": grid.low, "high": grid.high, "shape": grid.shape,
            "cells": grid.cells, "weights": self.field.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "background": self.field.background_rgb,
            "elapsed_s": self.elapsed_s, "rays": self.rays, "grown": self._grown, "curve": self.curve,
        }
        part = self.state_path.with_suffix(".part")
        self.state_path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, part)
        part.replace(self.state_path)

    def resume(self) -> None:
        state = torch.load(self.state_path, weights_only=True)
        grid = Grid(Space.from_mapping(state["space"]), tuple(state["low"]), tuple(state["high"]), tuple(state["shape"]), state["cells"])
        self.field = RadianceField(grid, tuple(state["background"]))
        self.field.load_state_dict(state["weights"])
        self._optimizer = self._new_optimizer()
        self._optimizer.load_state_dict(state["optimizer"])
        self.elapsed_s, self.rays, self._grown, self.curve = state["elapsed_s"], state["rays"], state["grown"], state["curve"]
        self._pool = None
        torch.manual_seed(self.config.seed + self.rays)
