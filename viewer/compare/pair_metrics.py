"""How alike every two of the compared pictures are, or all are to one of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from r2l_core.images import perceptual
from r2l_core.render.frames import Frame
from viewer.compare.helper_process import HelperProcess
from viewer.state.panes import LETTERS, TRUTHS
from viewer.state.region import Region
from viewer.widgets.controls import wording
from viewer.widgets.panels.metrics_panel import MetricsReadout, PairMetrics

if TYPE_CHECKING:
    from r2l_core.images.metrics import ImageComparison


def pair_metrics(
    apart: HelperProcess, frames: Sequence[Frame], region: Region | None, reference: int | None
) -> MetricsReadout:
    """Numbers of every pair, or of each against the pane at `reference`, over all of the pictures
    or a region of them; measured in the helper process."""
    from r2l_core.images.metrics import compare

    names = [wording.named(frame.engine, frame.light_field) for frame in frames]
    pairs = []
    shown = [at for at, frame in enumerate(frames) if not frame.why_blank]
    for a, b in itertools.combinations(shown, 2):
        if reference in shown and reference not in (a, b):
            continue
        # The truth is what others are measured by, and that of photographs before a scene's.
        if a == reference or (b != reference and _rank(frames[a]) > _rank(frames[b])):
            a, b = b, a
        images = [exact_colors(frames[at]) for at in (a, b)]
        counted = frames[a if frames[b].counted is None else b].counted
        if region is not None:
            images = [region.of(image) for image in images]
            counted = None if counted is None else region.of(counted)
        found = apart.call(compare, *images, counted)
        pair = _of_pair(LETTERS[a], LETTERS[b], names[a], names[b], found)
        if counted is not None:
            pair = replace(pair, counted_percent=100.0 * float(counted.mean()))
        pairs.append(pair)
    of = "" if region is None else region.words
    return MetricsReadout(tuple(pairs), missing=missing_panes(frames), region=of)


def _rank(frame: Frame) -> int:
    return TRUTHS.index(frame.engine.engine) + 1 if frame.engine.engine in TRUTHS else 0


def missing_panes(frames: Sequence[Frame]) -> tuple[tuple[str, str], ...]:
    """The panes without a picture, by their letters, and why."""
    return tuple(
        (LETTERS[at], frame.why_blank) for at, frame in enumerate(frames) if frame.why_blank
    )


def exact_colors(frame: Frame) -> NDArray[np.generic]:
    """Colours before any rounding to eight bits, as `eval` compares them."""
    return frame.image if frame.colors is None else frame.colors


def _of_pair(
    image: str, reference: str, name: str, reference_name: str, found: ImageComparison
) -> PairMetrics:
    return PairMetrics(
        image,
        reference,
        name,
        reference_name,
        psnr_db=found.psnr_db,
        ssim="too small" if math.isnan(found.ssim) else found.ssim,
        flip=found.flip,
        max_error_levels=255 * found.max_abs,
        mean_error_levels=255 * found.mean_abs,
        off_percent=found.off_by_1_255_percent,
        lpips=None if perceptual.unavailable() else _lpips(found),
    )


def _lpips(found: ImageComparison) -> float | str:
    return found.lpips_why_not if found.lpips is None else found.lpips
