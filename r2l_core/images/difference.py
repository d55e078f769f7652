"""Where two pictures differ: one number per pixel, with its unit and its natural range."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.images.metrics import Image, as_float, flip_map

RELATIVE_FLOOR = 0.01
"""Added to what a relative difference is divided by, so that black pixels have one too."""

LOG_FLOOR = 1e-5
"""Where histograms with a logarithmic axis begin: smaller differences count as `below`."""


class DifferenceKind(StrEnum):
    """What a difference map shows; a pixel's value is the mean over its channels.

    The mean of an absolute map is the mean absolute error, of a squared map the mean squared
    error, of a FLIP map the FLIP error.
    """

    ABSOLUTE = "absolute"
    SIGNED = "signed"
    SQUARED = "squared"
    RELATIVE = "relative"
    FLIP = "flip"


_UNITS = {
    DifferenceKind.ABSOLUTE: "of full scale",
    DifferenceKind.SIGNED: "of full scale",
    DifferenceKind.SQUARED: "of full scale, squared",
    DifferenceKind.RELATIVE: "of the reference",
    DifferenceKind.FLIP: "FLIP error",
}


@dataclass(frozen=True, eq=False)
class DifferenceMap:
    """values: float32 (H, W), NaN where a picture is not finite; `n_not_finite` such pixels.

    low, high: the natural range, in `unit`. Only relative differences can lie beyond it.
    """

    kind: DifferenceKind
    values: Image
    unit: str
    low: float
    high: float
    n_not_finite: int


@dataclass(frozen=True, eq=False)
class Histogram:
    """counts: int64 (bins,) between `edges`, float64 (bins + 1,); values on the last edge are in.

    below, above: values outside of the edges, so that a logarithmic axis hides none; n_not_finite:
    those with no place on any axis.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    below: int
    above: int
    n_not_finite: int


def difference(
    image: NDArray[Any],
    reference: NDArray[Any],
    kind: DifferenceKind = DifferenceKind.ABSOLUTE,
) -> DifferenceMap:
    """Compare pixel by pixel. Both (H, W, 3), float in [0, 1] or uint8; signed differences are
    positive where the image is brighter. Raises ValueError for images that are not alike."""
    image, reference = as_float(image), as_float(reference)
    if image.shape != reference.shape or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{image.shape} and {reference.shape} are not two (H, W, 3) images")
    finite = np.asarray(np.isfinite([image, reference]).all(axis=(0, 3)))
    # What is not finite is made equal, and so spreads no error over FLIP's neighbourhood.
    image, reference = np.where(finite[..., None], (image, reference), np.float32(0))
    change = image.astype(np.float64) - reference
    if kind is DifferenceKind.ABSOLUTE:
        values = np.abs(change).mean(axis=2)
    elif kind is DifferenceKind.SIGNED:
        values = change.mean(axis=2)
    elif kind is DifferenceKind.SQUARED:
        values = (change * change).mean(axis=2)
    elif kind is DifferenceKind.RELATIVE:
        values = np.abs(change).mean(axis=2) / (np.abs(reference).mean(axis=2) + RELATIVE_FLOOR)
    else:
        values = flip_map(image, np.clip(reference, 0.0, 1.0))
    masked = np.where(finite, values, np.nan).astype(np.float32)
    low = -1.0 if kind is DifferenceKind.SIGNED else 0.0
    n_not_finite = int(finite.size - finite.sum())
    return DifferenceMap(kind, masked, _UNITS[kind], low, 1.0, n_not_finite)


def histogram(difference: DifferenceMap, bins: int = 64, log: bool = False) -> Histogram:
    """How often which difference occurs, over the map's natural range.

    `log`: magnitudes, in bins of equal ratio from LOG_FLOOR up.
    """
    finite = np.isfinite(difference.values)
    values = difference.values[finite].astype(np.float64)
    if log:
        values = np.abs(values)
        edges = np.geomspace(LOG_FLOOR, difference.high, bins + 1)
    else:
        edges = np.linspace(difference.low, difference.high, bins + 1)
    counts, _ = np.histogram(values, edges)
    return Histogram(
        edges=edges,
        counts=counts.astype(np.int64),
        below=int((values < edges[0]).sum()),
        above=int((values > edges[-1]).sum()),
        n_not_finite=int(finite.size - finite.sum()),
    )
