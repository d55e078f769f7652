"""The kinds of value that flags take: text in, value out, or an error that says what is wrong."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from r2l_core import limits
from r2l_core.files import IMAGE_SUFFIXES
from r2l_core.model.network import Activation
from r2l_core.types import Precision

MAX_FRAMES = 360
"""One turn of the table."""


def finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def positive_float(text: str) -> float:
    value = finite_float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def thread_counts(text: str) -> list[int]:
    return list(dict.fromkeys(positive_int(part) for part in text.split(",")))


def frames(text: str) -> int:
    value = int(text)
    if not 2 <= value <= MAX_FRAMES:
        raise argparse.ArgumentTypeError(f"{text} is not between 2 and {MAX_FRAMES} frames")
    return value


def share(text: str) -> float:
    value = finite_float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def vector(text: str) -> tuple[float, float, float]:
    parts = [finite_float(part) for part in text.split(",")]
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"'{text}' is not three numbers X,Y,Z")
    return parts[0], parts[1], parts[2]


def size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is neither N nor WxH")
    width, height = int(parts[0]), int(parts[-1])
    if not (1 <= width <= limits.SIDE_PX and 1 <= height <= limits.SIDE_PX):
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {limits.SIDE_PX} pixels")
    if width * height > limits.PICTURE_PX:
        most = limits.PICTURE_PX >> 20
        raise argparse.ArgumentTypeError(f"{text} has more than {most} million pixels")
    return width, height


def precision(text: str) -> Precision:
    try:
        return Precision(text)
    except ValueError:
        known = ", ".join(Precision)
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {known}") from None


def precisions(text: str) -> list[Precision]:
    return list(dict.fromkeys(precision(part) for part in text.split(",")))


def threshold(text: str) -> tuple[Precision, float]:
    name, _, bound = text.partition(":")
    return precision(name), finite_float(bound)


def image_path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in IMAGE_SUFFIXES:
        raise argparse.ArgumentTypeError(f"'{text}' does not end in {' or '.join(IMAGE_SUFFIXES)}")
    return path


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
    return text == "true"


def _activation(text: str) -> str:
    if text not in get_args(Activation):
        known = ", ".join(get_args(Activation))
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {known}")
    return text


_ASSUMPTIONS: dict[str, Callable[[str], Any]] = {
    "n_frequencies": int,
    "n_sample": int,
    "res_scale": finite_float,
    "use_residual": _truth,
    "plucker": _truth,
    "act": _activation,
    "inact": _activation,
    "outact": _activation,
    "n_coarse": int,
    "n_fine": int,
}
"""By the names of NetworkConfig and NerfTeacher."""


def assumption(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    parse = _ASSUMPTIONS.get(name)
    if parse is None:
        known = ", ".join(_ASSUMPTIONS)
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE with one of {known}")
    return name, parse(value)
