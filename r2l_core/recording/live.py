"""A film of what is seen, at the pace at which it is seen.

Pictures arrive when they arrive. Each is on the screen until the next one, and so it is written
again for every frame of the film that passes meanwhile: the film is as long as the clock says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from r2l_core.errors import RecordingError
from r2l_core.files import replacing
from r2l_core.recording.compose import Picture
from r2l_core.recording.files import video_files
from r2l_core.recording.formats import format_of, require_fps
from r2l_core.recording.table import Table
from r2l_core.recording.writer import Writer

FORMAT = "r2l-live-recording"
VERSION = 1
COLUMNS = (
    "frame",
    "video_s",
    "shown_s",
    "stride",
    "precisions",
    "engines",
    *(f"T_world_camera_{row}{column}" for row in range(3) for column in range(4)),
    "fov_y_deg",
)
"""shown_s: when what the frame shows came onto the screen. stride: 1 where every pixel is exact."""

_POINTER = (255, 255, 255)
_POINTER_EDGE = (20, 20, 20)


@dataclass(frozen=True, eq=False)
class Seen:
    """What was on the screen from `shown_s` on, seconds from the beginning.

    picture: uint8 (H, W, 3). pointer: its path so far in image pixels, newest last; empty for
    none. facts: by names of COLUMNS.
    """

    shown_s: float
    picture: Picture
    pointer: tuple[tuple[float, float], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class LiveRecording:
    """Used by one thread. Every method raises RecordingError."""

    def __init__(self, out: Path, size: tuple[int, int], fps: float) -> None:
        """size: width and height of the film; pictures of another are made to fit."""
        video_format = format_of(out)
        require_fps(video_format, out, fps)
        self.out = out
        self.fps = Fraction(fps).limit_denominator(1001)
        self.frames_done = 0
        self._size = video_format.encoded_size(*size)
        beside = (out.with_suffix(".json"), out.with_suffix(".csv"))
        for path in (out, video_format.kept_at(out), *beside):
            if path.exists():
                raise RecordingError(
                    f"The film {out} cannot be written",
                    f"{path} is there already",
                    "Choose another name.",
                )
        self._files = video_files(out, video_format, self._size, self.fps)
        self._files.check()
        self._sidecar = _Sidecar(out, self._size, float(self.fps))
        self._sidecar.write("recording", 0)
        self._writer = Writer(
            self._files.open(0), Table(out.with_suffix(".csv"), COLUMNS), self._sidecar, 0
        )
        self._seen: Seen | None = None
        self._put = 0

    def show(self, seen: Seen) -> None:
        """`seen` came onto the screen; what was there before is written up to then."""
        self._write_until(seen.shown_s)
        self._seen = seen

    def finish(self, now_s: float) -> None:
        """Write up to `now_s` and make an ordinary file of it."""
        self._write_until(now_s)
        if self._seen is not None and self._put == 0:
            self._write_until(1 / float(self.fps))
        self.frames_done = self._writer.close()
        self._files.finish(0, self.frames_done, complete=True)
        self._sidecar.write("finished", self.frames_done)

    def _write_until(self, now_s: float) -> None:
        seen = self._seen
        if seen is None:
            return
        picture: Picture | None = None
        while float(self._put / self.fps) < now_s:
            if picture is None:
                picture = _drawn(seen, self._size)
            row = {
                "frame": self._put,
                "video_s": float(self._put / self.fps),
                "shown_s": seen.shown_s,
                **seen.facts,
            }
            self._writer.put(row, picture)
            self._put += 1


class _Sidecar:
    """Says what the film is and how far it got."""

    def __init__(self, out: Path, size: tuple[int, int], fps: float) -> None:
        self._path = out.with_suffix(".json")
        self._fixed = {
            "format": FORMAT,
            "version": VERSION,
            "video": out.name,
            "table": out.with_suffix(".csv").name,
            "size_px": size,
            "fps": fps,
        }

    def write(self, state: str, frames_done: int, rest_starts_at: int | None = None) -> None:
        values = {**self._fixed, "state": state, "frames_done": frames_done}
        what = f"The sidecar {self._path} could not be written"
        with replacing(self._path, RecordingError, what, make_folder=False) as new:
            new.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _drawn(seen: Seen, size: tuple[int, int]) -> Picture:
    """The picture with the pointer's path, made to fit: whole, in the middle, on black."""
    height, width = seen.picture.shape[:2]
    if not seen.pointer and (width, height) == size:
        return seen.picture
    image = Image.fromarray(seen.picture)
    if seen.pointer:
        draw = ImageDraw.Draw(image)
        if len(seen.pointer) > 1:
            draw.line(seen.pointer, _POINTER_EDGE, 3)
            draw.line(seen.pointer, _POINTER, 1)
        x, y = seen.pointer[-1]
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), _POINTER, _POINTER_EDGE, 2)
    if (width, height) != size:
        scale = min(size[0] / width, size[1] / height)
        # Padding to an even size is no reason to resample every pixel.
        if not 1 <= scale < 1.02:
            image = image.resize((max(1, int(width * scale)), max(1, int(height * scale))))
        ground = Image.new("RGB", size)
        ground.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
        image = ground
    return np.array(image)
