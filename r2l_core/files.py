"""Writing files whole or not at all, and finding those that come along."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.errors import R2LError, RecordingError, system_reason
from r2l_core.types import to_uint8

IMAGE_SUFFIXES = (".png", ".npy")
ANOTHER_PLACE = "Choose a folder you can write to, with enough free space."
_HERE = Path(__file__).resolve().parent
_SERIAL = itertools.count()
_MOST_LINKS = 40
_UNFINISHED = re.compile(r".*\.\d+-\d+\.tmp\..*")
_DESCRIPTORS = re.compile(r"(/dev|/proc/(?P<pid>\d+)(/task/\d+)?)/fd/\d+")


def shipped_folder(name: str) -> Path:
    """The folder `name` that comes with the program, such as `checkpoints`.

    An installed package carries it inside; in a checkout it lies at the top.
    """
    inside = _HERE / "shipped" / name
    return inside if inside.is_dir() else _HERE.parent / name


@contextlib.contextmanager
def replacing(
    path: Path,
    error: type[R2LError],
    what: str,
    remedy: str = ANOTHER_PLACE,
    make_folder: bool = True,
) -> Iterator[Path]:
    """A new file beside `path`, of the same ending, which takes its place in the end: `path` is the
    old file or the new one, whatever happens in between.

    A link stays one. What `is_stream` is never replaced: the file is made elsewhere, and its bytes
    flow there in the end. An OSError, also from within, becomes `error(what, ..., remedy)`.
    """
    if "\0" in os.fspath(path):
        raise error(what, "no name has a zero byte", remedy)
    try:
        if is_stream(path):
            with tempfile.TemporaryDirectory() as folder:
                new = Path(folder) / f"stream{path.suffix}"
                yield new
                _pour(new, path)
            return
        if path.is_symlink():
            path = path.resolve()
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        # Of the name as much as leaves room for the rest: names have 255 bytes.
        serial = f"{os.getpid()}-{next(_SERIAL)}"
        new = path.parent / f"{path.stem[:40]}.{serial}.tmp{path.suffix}"
        try:
            yield new
            os.replace(new, path)
        finally:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
    except OSError as problem:
        raise error(what, system_reason(problem), remedy) from problem


def remove_unfinished(folder: Path) -> None:
    """Remove what `replacing` was making in a folder when its process was killed.

    Only where no other process writes.
    """
    for path in folder.glob("*.tmp.*"):
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def is_stream(path: Path) -> bool:
    """Whether what is written there flows on: a device, a pipe, or a descriptor by its name, such
    as /dev/stdout, wherever that leads to."""
    if _descriptor(path) is not None:
        return True
    return path.exists() and not (path.is_file() or path.is_dir())


def _descriptor(path: Path) -> Path | None:
    """`/proc/PID/fd/N` or `/dev/fd/N` where links lead there; what lies behind is not looked at."""
    for _ in range(_MOST_LINKS):
        here = Path(os.path.realpath(path.parent), path.name)
        if _DESCRIPTORS.fullmatch(str(here)):
            return here
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None


def _pour(file: Path, stream: Path) -> None:
    """Append a file's bytes to a stream; to a descriptor of this process where that stands. Raises
    OSError."""
    descriptor = _descriptor(stream)
    of_process = None if descriptor is None else _DESCRIPTORS.fullmatch(str(descriptor))
    if descriptor and of_process and of_process["pid"] in (None, str(os.getpid())):
        for printed in (sys.stdout, sys.stderr):  # what was printed before comes before
            if printed is not None:
                printed.flush()
        target = os.dup(int(descriptor.name))
    else:
        target = os.open(stream, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(target, "wb") as opened, file.open("rb") as made:
        shutil.copyfileobj(made, opened)


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
    with replacing(path, RecordingError, f"The picture {path} could not be written") as new:
        if path.suffix == ".npy":
            np.save(new, colors)
        else:
            import imageio.v3 as iio

            # Made whole in memory: the library complains on its own where a disk is full.
            new.write_bytes(iio.imwrite("<bytes>", to_uint8(colors), extension=".png"))


def save_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> None:
    """Write uint8 (H, W, 3) frames of one size as H.264, an odd last row or column left out.

    Raises RecordingError.
    """
    what = f"The video {path} could not be written"
    with replacing(path, RecordingError, what) as new, tempfile.TemporaryFile() as said:
        encoder: subprocess.Popen[bytes] | None = None
        size: tuple[int, ...] = ()
        try:
            for frame in frames:
                # 4:2:0 has a colour for every 2x2 pixels.
                even = frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2]
                if encoder is None:
                    size, encoder = even.shape, _encoder(new, what, even.shape, fps, said)
                if even.shape != size:
                    raise RecordingError(what, "its frames are not of one size")
                with contextlib.suppress(OSError):  # it has ended, and says why below
                    assert encoder.stdin is not None
                    encoder.stdin.write(np.ascontiguousarray(even).data)
        except BaseException:
            if encoder is not None:
                encoder.kill()
                _end(encoder)
            raise
        if encoder is None:
            raise RecordingError(what, "it has no frames")
        if _end(encoder):
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").splitlines()
            why = lines[-1] if lines else "the encoder was stopped"
            raise RecordingError(what, why, ANOTHER_PLACE)


def _encoder(
    path: Path, what: str, shape: tuple[int, ...], fps: float, said: IO[bytes]
) -> subprocess.Popen[bytes]:
    """ffmpeg, which takes raw frames of that shape."""
    import imageio_ffmpeg

    try:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo"]
    except RuntimeError as error:
        raise RecordingError(what, "there is no ffmpeg", "Install imageio-ffmpeg.") from error
    command += ["-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}", "-r", str(fps), "-i", "-"]
    command += ["-an", "-c:v", "libx264", "-qp", "10", "-pix_fmt", "yuv420p"]
    command.append(os.fspath(path.absolute()))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)


def _end(encoder: subprocess.Popen[bytes]) -> int:
    """Let an encoder finish; its exit code."""
    with contextlib.suppress(OSError):
        assert encoder.stdin is not None
        encoder.stdin.close()
    return encoder.wait()


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write one UTF-8 JSON object; infinite and undefined numbers become null.

    Raises RecordingError.
    """
    write_text(path, json.dumps(_finite(values), indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 report. Raises RecordingError."""
    with replacing(path, RecordingError, f"The report {path} could not be written") as new:
        # Names that are not UTF-8 stand in JSON as their escapes, and are read back as they are.
        new.write_text(text, encoding="utf-8", errors="backslashreplace")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
