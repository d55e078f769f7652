"""How alike the compared pictures are, in numbers or in the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass

Measured = float | str
"""A number, or the clause that says why there is none."""
UNKNOWN = "not measured yet"


@dataclass(frozen=True)
class PairMetrics:
    """Pane `image` against pane `reference` (letters), with the names of what they show.

    psnr_db: infinite where they are equal. max_error_levels, mean_error_levels: |difference| over
    all channels in levels of 8 bits, 1/255. off_percent: pixels of which any channel is off by a
    level or more. ssim: 1 is equal; flip, lpips: 0 is.
    """

    image: str
    reference: str
    image_name: str
    reference_name: str
    psnr_db: Measured = UNKNOWN
    ssim: Measured = UNKNOWN
    flip: Measured = UNKNOWN
    max_error_levels: Measured = UNKNOWN
    mean_error_levels: Measured = UNKNOWN
    off_percent: Measured = UNKNOWN
    lpips: Measured = UNKNOWN


@dataclass(frozen=True)
class MetricsReadout:
    """One reading for all pairs of panes. `why_not`: why no pair has numbers, or empty. `missing`:
    panes that are in no pair, by their letters, and why."""

    pairs: tuple[PairMetrics, ...] = ()
    why_not: str = ""
    missing: tuple[tuple[str, str], ...] = ()
