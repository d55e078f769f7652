"""An animated GIF of a whole film: one palette for all frames, so that colours do not flicker."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from r2l_core.errors import RecordingError
from r2l_core.files import replacing
from r2l_core.recording.ffmpeg import cannot_write, count_frames, run_ffmpeg, what_failed

_S_PER_FRAME = 10.0
"""A frame of 4K takes one or two seconds; a process that takes longer hangs."""
_LOOK = "palettegen=stats_mode=full"
_DRAW = "paletteuse=dither=sierra2_4a:diff_mode=rectangle"


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
