"""ffmpeg, which imageio-ffmpeg brings along, as a process: encode, count, join."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from r2l_core.errors import RecordingError, system_reason
from r2l_core.files import ANOTHER_PLACE, replacing
from r2l_core.recording.compose import Picture
from r2l_core.recording.formats import VideoFormat
from r2l_core.recording.fragments import FragmentTracker

_TIMEOUT_S = 600.0
"""For work that only copies; a process that hangs longer than this is ended."""


def executable() -> str:
    """Path of ffmpeg. Raises RecordingError."""
    import imageio_ffmpeg

    try:
        path: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        path = ""
    if shutil.which(path) is None:
        named = f"{path!r}, which IMAGEIO_FFMPEG_EXE names, cannot be run"
        raise RecordingError(
            "Videos cannot be written here",
            named if path else "there is no ffmpeg",
            "Install imageio-ffmpeg, which brings one, or record .png pictures.",
        )
    return path


class Encoder:
    """One ffmpeg process that encodes raw frames into one file, each flushed when it is done."""

    def __init__(
        self, path: Path, video_format: VideoFormat, size: tuple[int, int], fps: Fraction
    ) -> None:
        """size: of the video, width and height in pixels. Raises RecordingError."""
        self._path = path
        self._handed_over = 0
        self._why = ""
        self._tracker = FragmentTracker(path)
        # Where a pipe could fill up and block the process that must not wait, a file cannot.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        command = [executable(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # the frames of an older file are not to be counted
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}"]
        command += ["-framerate", str(fps), "-i", "pipe:0"]
        command += [*video_format.encode_options(size), os.fspath(path.absolute())]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                # Ctrl+C is for us: the encoder ends when it has everything.
                start_new_session=True,
            )
        except OSError as error:
            self._said.close()
            raise cannot_write(
                path, f"ffmpeg cannot be started ({system_reason(error)})"
            ) from error

    def write(self, picture: Picture) -> None:
        """Hand over one frame, uint8 (H, W, 3). Raises RecordingError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(picture).data)
            self._process.stdin.flush()
        except OSError as error:
            self._process.wait()
            raise cannot_write(self._path, self._reason()) from error
        self._handed_over += 1

    def frames(self) -> int:
        """How many frames are in the file by now, whole."""
        return self._tracker.update()

    def close(self) -> int:
        """Let it finish; returns the frames in the file. Raises RecordingError where it failed, but
        not because it was given nothing."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        code = self._process.wait()
        frames = self._tracker.update()
        if not self._said.closed:
            self._why = self._reason() if code else ""
            self._said.close()
        if code and self._handed_over:
            raise cannot_write(self._path, self._why)
        return frames

    def _reason(self) -> str:
        self._said.seek(0)
        return _reason(self._said.read().decode("utf-8", "replace"), self._process.returncode)


def check_encoder(video_format: VideoFormat, size: tuple[int, int], fps: Fraction) -> None:
    """Encode one black frame, so that what cannot be encoded is refused before anything is
    rendered. Raises RecordingError."""
    with tempfile.TemporaryDirectory() as folder:
        executable()
        path = Path(folder) / f"check{video_format.kept_in or video_format.suffix}"
        encoder = Encoder(path, video_format, size, fps)
        try:
            encoder.write(np.zeros((size[1], size[0], 3), np.uint8))
            why = "" if encoder.close() else "the encoder makes nothing of it"
        except RecordingError as error:
            why = error.why
            with contextlib.suppress(RecordingError):
                encoder.close()
    if why:
        raise RecordingError(
            f"{video_format.name} of {size[0]}×{size[1]} at {float(fps):g} frames a second "
            "cannot be written here",
            why,
            "Choose another size, frame rate or ending.",
        )


def count_frames(path: Path) -> int:
    """Frames in a file, counted without decoding; 0 for one that is missing or no video."""
    import imageio_ffmpeg

    if not path.is_file():
        return 0
    executable()
    try:
        frames, _ = imageio_ffmpeg.count_frames_and_secs(os.fspath(path.absolute()))
    except RuntimeError:
        return 0
    return int(frames)


def join(
    parts: Sequence[tuple[Path, int]], path: Path, video_format: VideoFormat, fps: Fraction
) -> None:
    """Put the first frames of some files, each with how many, together into the ordinary file
    `path`, which may be one of them, without encoding again; frame k is at k / fps exactly. `path`
    is replaced at the end, or left as it was. Raises RecordingError.
    """
    with tempfile.TemporaryDirectory() as folder:
        named = [(_on_one_line(part, Path(folder)), frames) for part, frames in parts]
        _join(named, path, video_format, fps)


def _on_one_line(part: Path, folder: Path) -> Path:
    """The file, or where its name has a line break, which ends an entry of ffmpeg's list, a link
    to it in `folder`."""
    if not {"\n", "\r"} & set(os.fspath(part.absolute())):
        return part
    link = folder / f"{len(list(folder.iterdir()))}{part.suffix}"
    link.symlink_to(part.absolute())
    return link


def _join(
    parts: Sequence[tuple[Path, int]], path: Path, video_format: VideoFormat, fps: Fraction
) -> None:
    lines = ["ffconcat version 1.0"]
    for part, frames in parts:
        quoted = os.fspath(part.absolute()).replace("'", "'\\''")
        # With its scheme: a bare path counts as relative to the list, which comes through a pipe.
        lines += [f"file 'file:{quoted}'", f"duration {float(frames / fps):.6f}"]
        # Between two frames, as a time that is rounded could fall on either side of one.
        lines += [f"outpoint {float((frames - Fraction(1, 2)) / fps):.6f}"]
    time = f"round(N*{fps.denominator}/({fps.numerator}*TB))"
    following = time.replace("N*", "(N+1)*", 1)
    command = ["-f", "concat", "-safe", "0", "-protocol_whitelist", "file,pipe,fd,crypto,data"]
    command += ["-i", "pipe:0", "-map", "0:v", "-c", "copy"]
    command += ["-bsf:v", f"setts=pts={time}:dts={time}:duration={following}-{time}"]
    command += video_format.join
    wanted = sum(frames for _, frames in parts)
    with replacing(path, RecordingError, what_failed(path), make_folder=False) as joined:
        run_ffmpeg(path, [*command, os.fspath(joined.absolute())], _TIMEOUT_S, "\n".join(lines))
        found = count_frames(joined)
        if found != wanted:
            raise cannot_write(path, f"joining its parts gave {found} of {wanted} frames")


def run_ffmpeg(path: Path, arguments: Sequence[str], timeout_s: float, stdin: str = "") -> None:
    """Have ffmpeg do one thing for the recording `path`. Raises RecordingError."""
    command = [executable(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
    try:
        done = subprocess.run(
            command,
            input=os.fsencode(stdin),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=timeout_s,
            check=False,
            # Ctrl+C is for us.
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise cannot_write(path, "ffmpeg took too long") from error
    except OSError as error:
        raise cannot_write(path, f"ffmpeg cannot be started ({system_reason(error)})") from error
    if done.returncode:
        raise cannot_write(path, _reason(done.stderr.decode("utf-8", "replace"), done.returncode))


def _reason(said: str, code: int | None) -> str:
    """What ffmpeg said, in a clause."""
    if "No space left on device" in said:
        return "no space is left on the device"
    if "No such file or directory" in said:
        return "its folder is not there any more"
    if match := re.search(r"Unknown encoder '(\w+)'", said):
        return f"this ffmpeg has no encoder {match[1]}"
    lines = [re.sub(r"^\[[^]]*\] *", "", line).strip() for line in said.splitlines()]
    lines = [line for line in lines if line]
    if lines:
        return f"ffmpeg says '{lines[0][:200]}'"
    if code is not None and code < 0:
        return f"ffmpeg was ended by {signal.Signals(-code).name}"
    return f"ffmpeg ended with code {code}"


def what_failed(path: Path) -> str:
    """What the error of a film that could not be written begins with."""
    return f"The recording {path} could not be written"


def cannot_write(path: Path, why: str) -> RecordingError:
    """The error of a film that could not be written; `why` is a clause."""
    return RecordingError(what_failed(path), why, ANOTHER_PLACE)
