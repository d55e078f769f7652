"""A difference map on a colour scale: which colour each pixel has, and how many have which."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2l_core.images.difference import DifferenceKind, Map
from viewer.state.display_options import MAX_GAIN

CLIPPED = 256
"""Code of a pixel beyond the end of the scale."""
INVALID = 257
"""Code of a pixel whose value is not a number."""

_BINS = 64
_STEPS_PER_OCTAVE = 4
_MOST_CLIPPED = 0.001
"""Share of the pixels that an automatic scale may leave beyond its end."""


@dataclass(frozen=True)
class DifferenceReadout:
    """A difference in numbers. The scale ends at `top`, in 0 to 1; its gain is 1 / `top`.

    `histogram`: pixels in each of equal parts of the scale, from its low end. `clipped`: pixels
    beyond its ends. `invalid`: pixels that are not a number. `identical`: whether no pixel differs.
    """

    kind: DifferenceKind
    top: float
    histogram: tuple[int, ...]
    clipped: int
    invalid: int
    pixels: int
    identical: bool = False

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


def measure(
    kind: DifferenceKind,
    codes: NDArray[np.uint16],
    top: float,
    whole_levels: bool = True,
    identical: bool = False,
) -> DifferenceReadout:
    """Count what `color_codes` made for a scale that ends at `top`.

    `whole_levels`: whether the values are whole steps of 8 bits. `identical`: whether all are 0.
    """
    counts = np.bincount(codes.ravel(), minlength=INVALID + 1)
    colors = 255 if kind.signed else 256
    # Fewer bars where the scale has fewer steps of 8 bits, or every other bar would be empty.
    whole_levels = whole_levels and kind.unit == "levels"
    levels = int(top * kind.factor + 1e-3) if whole_levels else _BINS
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
        identical,
    )


def fitting_gain(values: Map) -> float:
    """The greatest gain that leaves at most one pixel in a thousand off the scale, in steps of a
    quarter of a power of two, so that it does not change with every picture; 1 where nothing
    differs."""
    sizes = np.abs(values)
    if not sizes.any():
        return 1.0
    low, high = 0, round(math.log2(MAX_GAIN) * _STEPS_PER_OCTAVE)
    while low < high:
        step = (low + high + 1) // 2
        top = 2.0 ** (-step / _STEPS_PER_OCTAVE)
        if np.count_nonzero(sizes > top) > _MOST_CLIPPED * values.size:
            high = step - 1
        else:
            low = step
    return float(2.0 ** (low / _STEPS_PER_OCTAVE))


def words(kind: DifferenceKind, value: float) -> str:
    """A value as it is read, in the kind's unit but without naming it."""
    if not np.isfinite(value):
        return "NaN"
    number = value * kind.factor
    text = f"{number:+.3g}" if kind.signed and round(number, 3) else f"{number:.3g}"
    return text.replace("-", "−")
