"""How much two pictures differ, pixel by pixel: one definition for window, films and reports.

The value of a pixel is that of its worst channel, so that no difference hides behind an equal one:
the greatest value of a map is the `max_abs` of the metrics, and the share of its pixels that reach
1/255 is their `off_by_1_255_percent`. Needs neither torch nor Qt.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

Map = NDArray[np.float32]
"""float32 (H, W): the difference of each pixel, NaN where a picture is not finite."""

WORST_CHANNEL = "difference of the worst channel"
"""What every place that shows a difference calls it."""

_RELATIVE_FLOOR = 0.01
"""Added to the divisor, as tev does, so that black does not make every difference infinite."""


class DifferenceKind(StrEnum):
    """What is shown of A against B; colours are taken as 0 to 1.

    absolute: |a - b|. signed: a - b. squared: (a - b)^2. relative: |a - b| / (b + 0.01). All of a
    pixel's worst channel, which has the greatest |a - b| (of a relative one: the greatest value).
    FLIP: error of Andersson et al. 2020, which weighs the surroundings as well.
    """

    ABSOLUTE = "absolute"
    SIGNED = "signed"
    SQUARED = "squared"
    RELATIVE = "relative"
    FLIP = "FLIP"

    @property
    def signed(self) -> bool:
        """Whether values lie on both sides of 0."""
        return self is DifferenceKind.SIGNED

    @property
    def quick(self) -> bool:
        """Whether a map is there within a frame's time."""
        return self is not DifferenceKind.FLIP

    @property
    def factor(self) -> float:
        """What a value is multiplied by to be read in `unit`."""
        return _UNITS[self][0]

    @property
    def unit(self) -> str:
        """Unit of what is read; a level is one step of 8 bits, 1/255."""
        return _UNITS[self][1]


_UNITS: dict[str, tuple[float, str]] = {
    DifferenceKind.ABSOLUTE: (255.0, "levels"),
    DifferenceKind.SIGNED: (255.0, "levels"),
    DifferenceKind.SQUARED: (255.0**2, "levels²"),
    DifferenceKind.RELATIVE: (100.0, "%"),
    DifferenceKind.FLIP: (1.0, "FLIP"),
}


def difference_map(kind: DifferenceKind, a: NDArray[Any], b: NDArray[Any]) -> Map:
    """The difference of `a` against `b`: both (H, W, 3), uint8 or float in [0, 1].

    Values are within 0 to 1 (signed: -1 to 1; relative may exceed 1). Raises ValueError for images
    that are not alike.
    """
    if a.shape != b.shape or a.ndim != 3 or a.shape[2] != 3:
        raise ValueError(f"{a.shape} and {b.shape} are not two (H, W, 3) images")
    if a.dtype == b.dtype == np.uint8 and kind.quick:
        return _of_bytes(kind, a, b)
    a, b = as_float(a), as_float(b)
    not_finite: NDArray[np.bool_] = ~np.all(np.isfinite(a) & np.isfinite(b), axis=2)
    if not_finite.any():
        # Made equal, so that it spreads no error over FLIP's surroundings.
        a, b = np.where(not_finite[..., None], np.float32(0), (a, b))
    values = _of_floats(kind, a, b)
    values[not_finite] = np.nan
    return values


def as_float(image: NDArray[Any]) -> Image:
    """uint8 [0, 255] to float32 [0, 1]; floats become float32 as they are."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"images are uint8 or floating, not {image.dtype}")
    return image.astype(np.float32, copy=False)


def flip_map(image: Image, reference: Image) -> Image:
    """FLIP error of each pixel (Andersson et al. 2020, LDR, NVIDIA's own implementation, 67 pixels
    per degree): float32 (H, W) in [0, 1], 0 is identical."""
    import flip_evaluator

    errors, _, _ = flip_evaluator.evaluate(
        np.ascontiguousarray(reference, dtype=np.float32),
        np.ascontiguousarray(np.clip(image, 0.0, 1.0), dtype=np.float32),
        "LDR",
        applyMagma=False,
        computeMeanError=False,
    )
    result: Image = np.asarray(errors, dtype=np.float32).reshape(reference.shape[:2])
    return result


def map_of_floats(kind: DifferenceKind, a: Any, b: Any, library: Any = np) -> Any:
    """The map of a quick kind from finite float32 colours (H, W, 3), which are arrays of `library`:
    numpy or torch. One definition, wherever pictures are."""
    change = library.abs(a - b)
    if kind is DifferenceKind.RELATIVE:
        return _worst(change / (b + _RELATIVE_FLOOR), library)
    worst = _worst(change, library)
    if kind is DifferenceKind.SIGNED:
        return library.where(_worst(a - b, library) >= worst, worst, -worst)
    return worst if kind is DifferenceKind.ABSOLUTE else worst * worst


def map_of_levels(
    kind: DifferenceKind, a: Any, b: Any, share: Callable[[Any], Any], library: Any = np
) -> Any:
    """`map_of_floats` of uint8 colours, but for a relative difference. share: levels to 0 to 1."""
    # Subtracted as bytes: a fraction of the time that floats would take.
    less = library.minimum(a, b)
    levels = _worst(library.maximum(a, b) - less, library)
    worst = share(levels)
    if kind is DifferenceKind.SIGNED:
        return library.where(_worst(a - less, library) >= levels, worst, -worst)
    return worst if kind is DifferenceKind.ABSOLUTE else worst * worst


def _of_floats(kind: DifferenceKind, a: Image, b: Image) -> Map:
    if kind is DifferenceKind.FLIP:
        return flip_map(a, np.clip(b, 0.0, 1.0))
    values: Map = map_of_floats(kind, a, b)
    return values


def _of_bytes(kind: DifferenceKind, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Map:
    if kind is DifferenceKind.RELATIVE:
        relative = np.take(_relative_table(), a.astype(np.uint16) * np.uint16(256) + b)
        worst: Map = _worst(relative)
        return worst
    values: Map = map_of_levels(kind, a, b, lambda levels: np.take(_LEVELS, levels))
    return values


_LEVELS: NDArray[np.float32] = (np.arange(256) / 255).astype(np.float32)


@cache
def _relative_table() -> Map:
    """float32 (65536,): relative difference of the bytes a and b at 256 a + b."""
    a, b = _LEVELS[:, None], _LEVELS[None, :]
    table: Map = (np.abs(a - b) / (b + np.float32(_RELATIVE_FLOOR))).ravel()
    return table


def _worst(channels: Any, library: Any = np) -> Any:
    """The greatest of the three channels; numpy's own maximum along so short an axis is slow."""
    first = library.maximum(channels[..., 0], channels[..., 1])
    return library.maximum(first, channels[..., 2])
