"""How many whole frames a video file holds that is still being written, or was cut off.

While recording, every frame is written as a box of its own: a `moof` with its `mdat` in MP4, a
cluster in WebM. So a file cut off anywhere plays up to the
last whole box. Only headers are read, and a tracker goes on where it stopped.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and the Matroska specification (EBML).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

Step = tuple[int, bool]
"""Where a whole part of the file ends, and whether a frame ends there."""

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675


class FragmentTracker:
    """Counts the whole frames of one growing file, .mp4 or .webm."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps = _KINDS[path.suffix.lower()]
        self._position = 0
        self.frames = 0
        """Whole frames seen so far."""
        self.end = 0
        """Bytes of the file up to the end of the last of them."""

    def update(self) -> int:
        """Look at what was added since, and return `frames`. A missing file holds none."""
        try:
            size = os.path.getsize(self._path)
            with self._path.open("rb") as file:
                for position, is_frame in self._steps(file, self._position):
                    if position > size:
                        break
                    self._position = position
                    if is_frame:
                        self.frames += 1
                        self.end = position
        except OSError:
            return self.frames
        return self.frames


def _mp4_steps(file: BinaryIO, position: int) -> Iterator[Step]:
    """Boxes: 4 bytes of size, 4 of type."""
    fragment = False
    while True:
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = int.from_bytes(head[:4]), head[4:8]
        if size == 1 and len(head) == 16:
            size = int.from_bytes(head[8:16])
        if size < 8:
            return
        position += size
        if kind == b"moof":
            fragment = True  # not whole without its mdat: go on from here only with that
            continue
        yield position, fragment and kind == b"mdat"
        fragment = False


def _webm_steps(file: BinaryIO, position: int) -> Iterator[Step]:
    """EBML elements: an id and a size of variable length each. A segment is entered."""
    while True:
        file.seek(position)
        head = file.read(12)
        id_length = _vint_length(head, 0, 4)
        size_length = _vint_length(head, id_length, 8)
        if not id_length or not size_length or len(head) < id_length + size_length:
            return
        element = int.from_bytes(head[:id_length])
        bits = 7 * size_length
        size = int.from_bytes(head[id_length : id_length + size_length]) & ((1 << bits) - 1)
        position += id_length + size_length
        if element == _SEGMENT:
            yield position, False
            continue
        if size == (1 << bits) - 1:  # unknown
            return
        position += size
        yield position, element == _CLUSTER


def _vint_length(head: bytes, at: int, longest: int) -> int:
    """Bytes of the variable-length integer there; 0 where there is none."""
    if at >= len(head) or head[at] == 0:
        return 0
    length = 9 - head[at].bit_length()
    return length if length <= longest else 0


_KINDS: dict[str, Callable[[BinaryIO, int], Iterator[Step]]] = {
    ".mp4": _mp4_steps,
    ".webm": _webm_steps,
}
