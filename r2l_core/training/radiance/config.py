"""What a run that learns a radiance field is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """start: share of the time at which it happens. coarseness: of the cells from then on, in
    finest cells. least: weight below which a cell is dropped. batch_rays: from then on."""

    start: float
    coarseness: float
    least: float
    batch_rays: int


@dataclass(frozen=True)
class TeachConfig:
    """minutes: training time in all, resumed parts included. The rates fall to a tenth over it.
    sample_share: weight of the error of single samples. smoothness: of differences within cells,
    times cells a pixel."""

    minutes: float = 30.0
    coarseness: float = 4.0
    batch_rays: int = 1024
    growths: tuple[Growth, ...] = (
        Growth(0.12, 2.0, 0.03, 2048),
        Growth(0.30, 1.0, 0.02, 4096),
        Growth(0.55, 0.9, 0.01, 4096),
    )
    sample_share: float = 0.03
    smoothness: float = 0.01
    grid_lr: float = 0.3
    color_lr: float = 2e-3
    save_every_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class TeachProgress:
    """State of a run for a progress bar. share: of the whole run, 0 to 1. held_out_psnr_db: the
    newest, None before the first or without held-out views. arithmetic: of the colours, a name of
    DTYPES."""

    share: float
    elapsed_s: float
    rays: int
    n_rows: int
    train_psnr_db: float
    krays_per_s: float
    held_out_psnr_db: float | None
    arithmetic: str

    def words(self) -> str:
        """For a progress bar."""
        held_out = self.held_out_psnr_db
        return (
            ("" if held_out is None else f"held out {held_out:.2f} dB, ")
            + f"{self.train_psnr_db:.2f} dB {self.krays_per_s:.1f} kray/s {self.arithmetic} "
            f"{self.n_rows / 1e3:.0f} k vertices"
        )
