"""Frozen value objects that cross threads, and bytes of colours. Imports neither torch nor Qt, so
it loads at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

RayMode = Literal["plain", "canonical"]
"""`plain`: rays as the camera makes them. `canonical`: moved along their own line to the sphere the
light field was trained on (`rays.canonicalise`)."""

Progress = Callable[[int, int], None]
"""Is told how many parts of something are done, and how many there are."""


class Precision(StrEnum):
    """A number format the network can be asked to run in; the value is its command-line name.

    The last three are the recipes of the public R2L-quant scripts, computed in float32 as there.
    """

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8_STATIC_SIM = "int8-static-sim"
    INT8_SIM = "int8-sim"
    INT8 = "int8"
    WEIGHTS_BF16 = "weights-bf16"
    WEIGHTS_INT8_FAKE = "weights-int8-fake"
    DYNAMIC_INT8_FAKE = "dynamic-int8-fake"

    @property
    def published_recipe(self) -> bool:
        """Whether this is one of the published recipes rather than a precision of ours."""
        return self in (
            Precision.WEIGHTS_BF16,
            Precision.WEIGHTS_INT8_FAKE,
            Precision.DYNAMIC_INT8_FAKE,
        )


@dataclass(frozen=True)
class EngineInfo:
    """What really runs. Everything a label on the screen says about precision comes from here.

    `kernel` names the library or kernel; `emulated` says why the arithmetic is not native, or is
    None where it is. `fallback`: what failed before this was taken in its place, a clause; empty
    where nothing did. `fidelity_db`: the picture's agreement with fp32, on rays of the first view;
    None where it was not measured.
    """

    engine: str
    precision: Precision
    device: str
    weight_type: str
    arithmetic: str
    kernel: str
    weight_bytes: int
    emulated: str | None = None
    mix: str = ""
    fallback: str = ""
    fidelity_db: float | None = None


@dataclass(frozen=True)
class Availability:
    """Whether a precision can run here, and if not, why (a clause for a tooltip). `emulated`: it
    would be values of that precision in another arithmetic, at no gain in speed. `broken`: it
    should run here, but something is wrong with the installation."""

    available: bool
    why_not: str = ""
    emulated: bool = False
    broken: bool = False


def to_uint8(colors: ArrayLike) -> NDArray[np.uint8]:
    """Colours in [0, 1] as bytes, rounded to nearest: uint8, same shape, new and writable. What is
    outside is the end of the range; black where one is not a number."""
    scaled = np.clip(np.asarray(colors), 0.0, 1.0)
    scaled *= 255
    np.rint(scaled, out=scaled)
    np.nan_to_num(scaled, copy=False)
    levels: NDArray[np.uint8] = scaled.astype(np.uint8)
    return levels
