"""A difference map on a colour scale: which colour each pixel has, and how many have which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2l_core.images.difference import DifferenceKind, Map
from viewer.state.difference_options import MAX_GAIN

CLIPPED = 256
"""Code of a pixel beyond the end of the scale."""
INVALID = 257
"""Code of a pixel whose value is not a number."""

_BINS = 64
_MOST_CLIPPED = 0.001
"""Share of the pixels that an automatic scale may leave beyond its end."""


@dataclass(frozen=True)
class DifferenceReadout:
    """A difference in numbers. The scale ends at `top`, in 0 to 1; its gain is 1 / `top`.

    `histogram`: pixels in each of equal parts of the scale, from its low end. `clipped`: pixels
    beyond its ends. `invalid`: pixels that are not a number.
    """

    kind: DifferenceKind
    top: float
    histogram: tuple[int, ...]
    clipped: int
    invalid: int
    pixels: int

    @property
    def gain(self) -> float:
        """How much the scale is stretched."""
        return 1.0 / self.top


def color_codes(values: Map, top: float, signed: bool) -> NDArray[np.uint16]:
    """Which colour of a table each pixel has: uint16 (H, W).

    0 to 255 from 0 to `top`; with `signed` 0 to 254 from -`top` to `top`, where 127 is zero.
    CLIPPED beyond, INVALID where not a number.
    """
    invalid = np.isnan(values)
    any_invalid = bool(invalid.any())
    if any_invalid:
        values = np.where(invalid, np.float32(0), values)
    end = np.float32(top * (1 + 1e-5))
    steps, zero = (127.0, 127.5) if signed else (255.0, 0.5)
    codes = (np.clip(values, -end if signed else 0, end) * (steps / top) + zero).astype(np.uint16)
    codes[np.abs(values) > end] = CLIPPED
    if any_invalid:
        codes[invalid] = INVALID
    return codes


def measure(kind: DifferenceKind, codes: NDArray[np.uint16], top: float) -> DifferenceReadout:
    """Count what `color_codes` made for a scale that ends at `top`."""
    counts = np.bincount(codes.ravel(), minlength=INVALID + 1)
    colors = 255 if kind.signed else 256
    # Fewer bars where the scale has fewer steps of 8 bits, or every other bar would be empty.
    levels = int(top * kind.factor + 1e-3) if kind.unit == "levels" else _BINS
    bins = min((2 * levels if kind.signed else levels) + 1, _BINS)
    ends = np.arange(1, bins + 1) * colors // bins
    sums = np.concatenate([[0], np.cumsum(counts[:colors])])
    histogram = np.diff(sums[np.concatenate([[0], ends])])
    return DifferenceReadout(
        kind,
        top,
        tuple(int(count) for count in histogram),
        int(counts[CLIPPED]),
        int(counts[INVALID]),
        codes.size,
    )


def fitting_gain(values: Map) -> float:
    """The greatest power of two that leaves at most one pixel in a thousand off the scale."""
    sizes = np.abs(values)
    gain = MAX_GAIN
    while gain > 1 and np.count_nonzero(sizes > 1 / gain) > _MOST_CLIPPED * values.size:
        gain /= 2
    return gain


def words(kind: DifferenceKind, value: float) -> str:
    """A value as it is read, in the kind's unit but without naming it."""
    if not np.isfinite(value):
        return "NaN"
    number = value * kind.factor
    text = f"{number:+.3g}" if kind.signed and round(number, 3) else f"{number:.3g}"
    return text.replace("-", "−")
