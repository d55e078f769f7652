"""The folder an evaluation is kept in: pictures, errors, videos, and what was measured so far.

    000_truth.png  000_fp32.png  000_fp32_error.png  ...  fp32.mp4  records/000_fp32.json

A record is written after its view's pictures. It holds a key, the SHA-256 of everything that its
numbers depend on: checkpoint, scene, camera, rays, engine, and the true picture. An evaluation that
starts again in the same folder takes the records whose key is its own, and measures the rest anew.

Before anything is written, `views.json` says of how many views in which precisions.
What has such a name and is not told of there is somebody else's, and never written over.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.errors import RecordingError
from r2l_core.files import save_image, save_video, write_json
from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.json_fields import stored_object

VIDEO_FPS = 30.0
_FORMAT = "r2l-evaluation"
_TRUTH = "truth"
_RECORD = re.compile(r"(\d{3,})_(.+)\.json")


def key_of(settings: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values, in hexadecimal digits."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class EvaluationFolder:
    """Reads and writes one such folder. Writing raises RecordingError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, names: Sequence[str], views: int) -> None:
        """Note that so many views of each of `names` and of the truth are written here from now on.

        Raises RecordingError where that would replace what no evaluation has written.
        """
        owned = self._owned()
        wanted = dict.fromkeys((_TRUTH, *names), views)
        others = [] if owned else [self._claim]
        for name in wanted:
            # What was noted may be any number: only what is to be written is looked at.
            first = min(owned.get(name, 0), views)
            others += [] if name in owned else [self._film(name)]
            others += self._files(name, range(first, views))
        for file in others:
            if os.path.lexists(file):
                raise RecordingError(
                    f"The evaluation cannot be kept in {self._folder}",
                    f"it would write over {file}, which no evaluation has written",
                    "Choose another folder with --out.",
                )
        both = {name: max(owned.get(name, 0), n) for name, n in {**owned, **wanted}.items()}
        write_json(self._claim, {"format": _FORMAT, "views": both})

    def _owned(self) -> dict[str, int]:
        """Of how many views, from the first, each precision and the truth are an evaluation's."""
        try:
            values = stored_object(self._claim.read_bytes())
        except OSError:
            return self._recorded_views()
        views = values.get("views")
        if values.get("format") != _FORMAT or not isinstance(views, dict):
            return {}
        return {name: n for name, n in views.items() if type(n) is int and n > 0}

    def _recorded_views(self) -> dict[str, int]:
        """The same of an evaluation that made no such note, by its records."""
        views: dict[str, int] = {}
        for file in (self._folder / "records").glob("*.json"):
            match = _RECORD.fullmatch(file.name)
            if match is None or not {"key", "scores"} <= stored_object(file.read_bytes()).keys():
                continue
            for name in (_TRUTH, match[2]):
                views[name] = max(views.get(name, 0), int(match[1]) + 1)
        return views

    def _files(self, name: str, indices: range) -> Iterator[Path]:
        for index in indices:
            yield self._picture(index, name)
            if name != _TRUTH:
                yield self._picture(index, f"{name}_error")
                yield self._record(index, name)

    def save(
        self,
        index: int,
        name: str,
        image: NDArray[np.float32],
        truth: NDArray[np.float32],
    ) -> None:
        """Keep a rendered view, its truth, and the absolute difference of the worst channel."""
        save_image(self._picture(index, _TRUTH), truth)
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
        """Films of all views, 30 a second, of the truth and for each of `names`. The views must be
        of one size."""
        for name in (_TRUTH, *names):
            save_video(self._film(name), self._frames(name, views), VIDEO_FPS)

    def _frames(self, name: str, views: int) -> Iterator[NDArray[np.uint8]]:
        import imageio.v3 as iio

        for index in range(views):
            yield np.asarray(iio.imread(self._picture(index, name)), dtype=np.uint8)

    @property
    def _claim(self) -> Path:
        return self._folder / "views.json"

    def _film(self, name: str) -> Path:
        return self._folder / f"{name}.mp4"

    def _picture(self, index: int, name: str) -> Path:
        return self._folder / f"{index:03d}_{name}.png"

    def _record(self, index: int, name: str) -> Path:
        return self._folder / "records" / f"{index:03d}_{name}.json"
