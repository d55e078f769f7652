"""Puts animated GIFs together, block by block: ffmpeg loses the colours of a second one's first
frame, and lets the first one's end stand in the middle.

Source: the GIF89a specification.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from r2l_core.errors import RecordingError
from r2l_core.recording.fragments import color_table_bytes, gif_blocks

_CONTROL, _EXTENSION, _IMAGE, _TRAILER = b"\x21\xf9", b"\x21", b"\x2c", b"\x3b"
_TABLE_FLAG, _TABLE_SIZE = 0x80, 0x07


def join_gifs(parts: Sequence[tuple[Path, int]], path: Path, fps: Fraction) -> None:
    """Write all frames of files of known frame counts into `path`, which may be one of them.

    Every frame is shown from k / fps on, to the 1/100 s a GIF knows. `path` is replaced at the
    end, or left as it was. Raises RecordingError.
    """
    joined = path.with_name(f"{path.stem}.joined{path.suffix}")
    wanted = sum(frames for _, frames in parts)
    frame = 0
    try:
        with joined.open("wb") as out:
            for number, (part, _) in enumerate(parts):
                with part.open("rb") as file:
                    for block in _blocks(file, follows=number > 0):
                        if block.startswith(_CONTROL):
                            pause = _hundredths(frame + 1, fps) - _hundredths(frame, fps)
                            block = block[:4] + pause.to_bytes(2, "little") + block[6:]
                        out.write(block)
                        frame += block.startswith(_IMAGE)
            out.write(_TRAILER)
        if frame != wanted:
            raise RecordingError(
                f"The recording {path} could not be written",
                f"joining its parts gave {frame} of {wanted} frames",
                "Record it again with --from.",
            )
        os.replace(joined, path)
    except OSError as error:
        raise RecordingError(
            f"The recording {path} could not be written",
            (error.strerror or str(error)).lower(),
            "Choose a folder you can write to, with enough free space.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            joined.unlink(missing_ok=True)


def _blocks(file: BinaryIO, follows: bool) -> Iterator[bytes]:
    """The blocks of one file. Where it follows another, its header is left out, and its images
    bring along the colours that the header had for all."""
    start, shared, flags = 0, b"", 0
    for end, _ in list(gif_blocks(file, 0)):
        file.seek(start)
        block = file.read(end - start)
        start = end
        if end == len(block):  # the header
            flags, shared = block[10], block[13:]
            if not follows:
                yield block
        elif follows and block.startswith(_IMAGE) and not block[9] & _TABLE_FLAG:
            own = block[9] | _TABLE_FLAG | flags & _TABLE_SIZE
            yield block[:9] + bytes([own]) + shared[: color_table_bytes(flags)] + block[10:]
        elif not follows or not block.startswith(_EXTENSION) or block.startswith(_CONTROL):
            yield block


def _hundredths(frame: int, fps: Fraction) -> int:
    return round(100 * frame / fps)
