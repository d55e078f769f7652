"""The most that a file may ask for, in one table.

Files come from strangers, and a kilobyte can ask for gigabytes. Every bound here is checked before
the memory or the time that it stands for is spent, and lies far above what published light fields
and people's own data need. Opening any file of up to 16 MB, and showing it, then takes less than a
gibibyte and a few seconds. `docs/security.md` says who checks which.
"""

from __future__ import annotations

# Pictures

SIDE_PX = 16_384
"""Of either side of a picture."""

PICTURE_PX = 4096 * 4096
"""Of a photograph, and of a picture that a person asks for: as float32 it takes 200 MB, and while
it is rendered or read, several times that."""

OPENED_PX = 4 * 1024**2
"""Of a picture that is rendered because a scene says so; until it is complete, each million takes
110 MB. People may ask for more."""

SESSION_PX = 8 * 1024**2
"""Of a picture that is rendered because a session says so: a window on a 4K screen has less."""


JPEG_PASSES = 100
"""Over the pixels of a JPEG; programs write ten or so. Of the largest, each takes 10 ms."""

JPEG_BYTES = 2**28
"""Of a JPEG, which is read whole to count them: more than the largest picture takes."""

# Networks

DEPTH = 256
"""Linear layers one after the other; the published network has 88."""

WIDTH = 4096
"""Channels of a layer; the published network has 256."""

RAY_FEATURES = 8192
"""Numbers that describe a ray to a network; the published one takes 1,008."""

OCTAVES = 32
"""Of an encoding; beyond 24, float32 has no digits left. The published network has 10."""

GRID_CELLS = 320**3
"""Of a radiance grid's box; each takes four bytes. What `teach` makes has half of that."""

WRAPPERS = 4
"""Modules around a network, such as DataParallel and a compiled one."""

# Files

CHECKPOINT_BYTES = 1024**3
"""Forty times the published network in float32; twelve times its file with an optimizer."""

JSON_BYTES = 8 * 1024**2
"""Parsed, eight mebibytes of JSON can already take a third of a gibibyte. Ten thousand keyframes
have half of that."""

HEADER_BYTES = 8 * 1024**2
"""Of a `.safetensors` file: room for the names of all its tensors."""

TENSORS = 20_000
"""Of a `.safetensors` file; what this program writes has at most ten for each layer."""

PICKLE_BYTES = 8 * 1024**2
"""Fifty times what describes the published network and its optimizer."""

PICKLE_OPCODES = 250_000
"""Four times what the published network and its optimizer take."""

ZIP_DIRECTORY_BYTES = 4 * 1024**2
ZIP_ENTRIES = 40_000
"""Of the table of contents of a checkpoint; the published one has 540 entries."""

TEXT = 4096
"""Characters of a text in a file: a path, a name, a title."""

# Datasets and camera paths

VIEWS = 10_000
KEYFRAMES = 10_000
"""Also of the frames that are written for other programs: what is written can be read again."""


def fits(width_px: int, height_px: int, most_px: int = PICTURE_PX) -> bool:
    """Whether a picture of that size is within the bounds of its sides and its area."""
    return max(width_px, height_px) <= SIDE_PX and width_px * height_px <= most_px
