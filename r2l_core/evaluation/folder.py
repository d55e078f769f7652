"""The folder an evaluation is kept in: pictures, errors, videos, and what was measured so far.

    000_truth.png  000_fp32.png  000_fp32_error.png  ...  fp32.mp4  records/000_fp32.json

A record is written after its view's pictures. It holds a key, the SHA-256 of everything that its
numbers depend on: checkpoint, scene, camera, rays, engine, and the true picture. An evaluation that
starts again in the same folder takes the records whose key is its own, and measures the rest anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.files import save_image, save_video, write_json
from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.json_fields import stored_object

VIDEO_FPS = 30.0


def key_of(settings: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values, in hexadecimal digits."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class EvaluationFolder:
    """Reads and writes one such folder. Writing raises RecordingError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(
        self,
        index: int,
        name: str,
        image: NDArray[np.float32],
        truth: NDArray[np.float32],
    ) -> None:
        """Keep a rendered view, its truth, and the absolute difference of the worst channel."""
        save_image(self._picture(index, "truth"), truth)
        error = difference_map(DifferenceKind.ABSOLUTE, image, truth)
        save_image(self._picture(index, f"{name}_error"), np.repeat(error[..., None], 3, axis=2))
        save_image(self._picture(index, name), image)

    def record(self, index: int, name: str, key: str, scores: Mapping[str, Any]) -> None:
        """Keep what was measured of a view."""
        write_json(self._record(index, name), {"key": key, "scores": dict(scores)})

    def recorded(self, index: int, name: str, key: str) -> dict[str, Any] | None:
        """What was measured of a view under the same key, as JSON has it, or None."""
        try:
            values = stored_object(self._record(index, name).read_bytes())
        except OSError:
            return None
        scores = values.get("scores") if values.get("key") == key else None
        whole = isinstance(scores, dict) and self._picture(index, name).is_file()
        return scores if whole else None

    def save_videos(self, names: Sequence[str], views: int) -> None:
        """Films of all views, 30 a second, for each of `names`: precisions, or the truth. The views
        must be of one size."""
        for name in names:
            save_video(self._folder / f"{name}.mp4", self._frames(name, views), VIDEO_FPS)

    def _frames(self, name: str, views: int) -> Iterator[NDArray[np.uint8]]:
        import imageio.v3 as iio

        for index in range(views):
            yield np.asarray(iio.imread(self._picture(index, name)), dtype=np.uint8)

    def _picture(self, index: int, name: str) -> Path:
        return self._folder / f"{index:03d}_{name}.png"

    def _record(self, index: int, name: str) -> Path:
        return self._folder / "records" / f"{index:03d}_{name}.json"
