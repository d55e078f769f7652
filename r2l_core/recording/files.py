"""Where frames go: one video file, or a picture file each. Both can be interrupted and completed.

A video is written in place, so that what is there plays at any moment. Completing an interrupted
one leaves it as it is and writes what is missing to `x.rest.mp4`; only when that is whole are both
joined. The sidecar says at which frame the rest begins, so that a join cut off in the middle is
neither forgotten nor done twice. A GIF needs all frames for its palette: until then they are kept
without loss in `x.frames.mp4`, which plays, too, and from which an interrupted one is completed.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from r2l_core.errors import RecordingError, system_reason
from r2l_core.files import replacing
from r2l_core.recording.compose import Picture
from r2l_core.recording.ffmpeg import (
    Encoder,
    cannot_write,
    check_encoder,
    count_frames,
    join,
    run_ffmpeg,
    what_failed,
)
from r2l_core.recording.formats import VideoFormat
from r2l_core.recording.fragments import FragmentTracker

_S_PER_FRAME = 10.0
"""A frame of 4K takes one or two seconds; a process that takes longer hangs."""
_LOOK = "palettegen=stats_mode=full"
_DRAW = "paletteuse=dither=sierra2_4a:diff_mode=rectangle"

_COMPRESSION = 4
"""Of PNG pictures: half the time of the usual 6, which rendering would miss, for 3 % more bytes."""


class Sink(Protocol):
    """Takes frames in order. Used by one thread at a time."""

    def write(self, picture: Picture) -> None:
        """Take one frame, uint8 (H, W, 3)."""

    def frames(self) -> int:
        """How many of the frames taken are on disk by now."""

    def close(self) -> int:
        """Finish what was taken, and return how many of those frames are on disk."""


class VideoFiles(Protocol):
    """The files of one recording. Every method raises RecordingError."""

    def check(self) -> None:
        """Refuse what cannot be written here, before anything is rendered."""

    def settle(self, rest_starts_at: int | None) -> int:
        """Tidy up after an interruption; returns how many whole frames there are."""

    def open(self, first_frame: int) -> Sink:
        """Begin, or go on, with that frame."""

    def finish(self, first_frame: int, n_frames: int, complete: bool) -> None:
        """Make the ordinary file of the frames before `first_frame` and the `n_frames` after;
        complete: none will follow."""


def video_files(
    path: Path, video_format: VideoFormat, size: tuple[int, int], fps: Fraction
) -> VideoFiles:
    """The files of a recording at `path`; size: width and height of the video in pixels."""
    if video_format.is_sequence:
        return _Pictures(path)
    return _Video(path, video_format, size, fps)


class _Video:
    def __init__(
        self, path: Path, video_format: VideoFormat, size: tuple[int, int], fps: Fraction
    ) -> None:
        self._path = path
        self._kept = video_format.kept_at(path)
        self._rest = rest_of(path, video_format)
        self._format = video_format
        self._size = size
        self._fps = fps

    def check(self) -> None:
        check_encoder(self._format, self._size, self._fps)

    def settle(self, rest_starts_at: int | None) -> int:
        frames = self._whole_frames(self._kept)
        if rest_starts_at is not None and rest_starts_at <= frames:
            rest = self._whole_frames(self._rest)
            if rest_starts_at + rest > frames:
                frames = rest_starts_at + rest
                self._join([(self._kept, rest_starts_at), (self._rest, rest)])
        # Otherwise it is joined already, or what it follows is gone.
        _remove(self._rest)
        return frames

    def open(self, first_frame: int) -> Sink:
        path = self._rest if first_frame else self._kept
        return Encoder(path, self._format, self._size, self._fps)

    def finish(self, first_frame: int, n_frames: int, complete: bool) -> None:
        if complete and not n_frames and not self._kept.exists():
            return  # it was finished before
        parts = [(self._kept, first_frame), (self._rest, n_frames)]
        if not first_frame:
            parts = [(self._kept, n_frames)]
        parts = [part for part in parts if part[1]]
        if parts:
            self._join(parts)
        else:
            _remove(self._kept)
        _remove(self._rest)
        if self._kept != self._path and parts:
            make_gif(self._kept, first_frame + n_frames, self._path)
            if complete:
                _remove(self._kept)

    def _join(self, parts: list[tuple[Path, int]]) -> None:
        join(parts, self._kept, self._format, self._fps)

    def _whole_frames(self, path: Path) -> int:
        """Whole frames of a file, which is cut after the last of them where it was cut off."""
        tracker = FragmentTracker(path)
        try:
            if tracker.update() and tracker.end < path.stat().st_size:
                os.truncate(path, tracker.end)
        except OSError as error:
            raise RecordingError(
                f"The recording {path} cannot be completed",
                system_reason(error),
                "Check that you may write to it.",
            ) from error
        return count_frames(path)


class _Pictures:
    """`x_00000.png`, `x_00001.png`, ... for `x.png`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = self._next = 0

    def check(self) -> None:
        pass

    def settle(self, rest_starts_at: int | None) -> int:
        frames = 0
        while self._file(frames).is_file():
            frames += 1
        return frames

    def open(self, first_frame: int) -> Sink:
        self._first = self._next = first_frame
        # Those of a longer recording before would count as this one's.
        frame = first_frame
        while self._file(frame).is_file():
            _remove(self._file(frame))
            frame += 1
        return self

    def write(self, picture: Picture) -> None:
        import imageio.v3 as iio

        file = self._file(self._next)
        pixels = np.ascontiguousarray(picture)
        # Its own writing to a full disk says more than we want, and too late.
        data = iio.imwrite("<bytes>", pixels, extension=".png", compress_level=_COMPRESSION)
        what = f"The picture {file} could not be written"
        with replacing(file, RecordingError, what, make_folder=False) as new:
            new.write_bytes(data)
        self._next += 1

    def frames(self) -> int:
        return self._next - self._first

    def close(self) -> int:
        return self.frames()

    def finish(self, first_frame: int, n_frames: int, complete: bool) -> None:
        pass

    def _file(self, frame: int) -> Path:
        return picture_file(self._path, frame)


def rest_of(path: Path, video_format: VideoFormat) -> Path:
    """Where the frames lie by which the interrupted film `path` is completed."""
    return path.with_name(f"{path.stem}.rest{video_format.kept_at(path).suffix}")


def pictures_of(path: Path) -> dict[int, Path]:
    """By their numbers, the pictures that are there of the sequence `path`. Raises
    RecordingError."""
    name = re.compile(re.escape(path.stem) + r"_(\d{5,})" + re.escape(path.suffix))
    try:
        found = [(name.fullmatch(file.name), file) for file in path.parent.iterdir()]
    except OSError as error:
        raise cannot_write(path, system_reason(error)) from error
    return {int(match[1]): file for match, file in found if match is not None}


def picture_file(path: Path, frame: int) -> Path:
    """Where frame number `frame` of the picture sequence `path` lies."""
    return path.with_name(f"{path.stem}_{frame:05d}{path.suffix}")


def make_gif(film: Path, n_frames: int, path: Path) -> None:
    """Write the first `n_frames` of the video `film` as the GIF `path`, which is replaced at the
    end, or left as it was. Raises RecordingError.

    The film is read twice, frame by frame, and never held in memory.
    """
    timeout_s = 600 + _S_PER_FRAME * n_frames
    read = ["-i", os.fspath(film.absolute())]
    with (
        tempfile.TemporaryDirectory() as folder,
        replacing(path, RecordingError, what_failed(path), make_folder=False) as made,
    ):
        palette = os.path.join(folder, "palette.png")
        run_ffmpeg(path, [*read, "-vf", _LOOK, "-update", "1", palette], timeout_s)
        draw = [*read, "-i", palette, "-lavfi", _DRAW, "-frames:v", str(n_frames)]
        run_ffmpeg(path, [*draw, "-fps_mode", "passthrough", os.fspath(made.absolute())], timeout_s)
        found = count_frames(made)
        if found != n_frames:
            raise cannot_write(path, f"it has {found} of {n_frames} frames")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
