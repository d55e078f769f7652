"""Writing what people asked for (pictures and JSON reports), and finding what comes along."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.errors import RecordingError

IMAGE_SUFFIXES = (".png", ".npy")
_HERE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """The folder `name` that comes with the program, such as `checkpoints`.

    An installed package carries it inside; in a checkout it lies at the top.
    """
    inside = _HERE / "shipped" / name
    return inside if inside.is_dir() else _HERE.parent / name


def save_image(path: Path, colors: NDArray[np.float32]) -> None:
    """Write float32 (H, W, 3) colours in [0, 1]: `.png` rounded to 8 bits, `.npy` as they are.

    Raises RecordingError.
    """
    if path.suffix not in IMAGE_SUFFIXES:
        raise RecordingError(
            f"The picture {path} cannot be written",
            f"its ending '{path.suffix}' is not known",
            f"Use one of {', '.join(IMAGE_SUFFIXES)}.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, colors)
        else:
            import imageio.v3 as iio

            iio.imwrite(path, np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8))
    except OSError as error:
        raise RecordingError(
            f"The picture {path} could not be written",
            error.strerror or str(error),
            "Choose a folder you can write to, with enough free space.",
        ) from error


def save_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> None:
    """Write uint8 (H, W, 3) frames of one size as H.264, an odd last row or column left out.

    Raises RecordingError.
    """
    import imageio.v2 as iio

    video: Any
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with iio.get_writer(
            path, format="FFMPEG", fps=fps, codec="libx264", quality=8, macro_block_size=1
        ) as video:
            for frame in frames:
                # 4:2:0 has a colour for every 2x2 pixels.
                video.append_data(frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2])
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"The video {path} could not be written",
            (str(error) or type(error).__name__).splitlines()[0],
            "Choose a folder you can write to; all frames must be of one size.",
        ) from error


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write one UTF-8 JSON object; infinite and undefined numbers become null.

    Raises RecordingError.
    """
    write_text(path, json.dumps(_finite(values), indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 report. Raises RecordingError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordingError(
            f"The report {path} could not be written",
            error.strerror or str(error),
            "Choose a folder you can write to, with enough free space.",
        ) from error


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
