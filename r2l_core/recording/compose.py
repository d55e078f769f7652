"""The pictures of one or two panes put together into the recorded one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.recording.plan import Mode
from r2l_core.types import to_uint8

Colors = NDArray[np.float32]
Picture = NDArray[np.uint8]


def composed(mode: Mode, panes: Sequence[Colors], wipe: float, gain: float) -> Picture:
    """uint8 (H, W, 3), or (H, 2W, 3) side by side, from float32 (H, W, 3) panes in [0, 1].

    wipe: share of the width, from the left, that shows the first pane. gain: the difference
    picture is the absolute difference of the worst channel * gain, clipped, in grey.
    """
    if mode == "single":
        return to_uint8(panes[0])
    a, b = panes
    if mode == "side":
        return np.concatenate([to_uint8(a), to_uint8(b)], axis=1)
    if mode == "wipe":
        picture = to_uint8(b)
        column = wipe_column(wipe, picture.shape[1])
        picture[:, :column] = to_uint8(a[:, :column])
        return picture
    values = difference_map(DifferenceKind.ABSOLUTE, a, b) * np.float32(gain)
    return np.repeat(to_uint8(values)[..., None], 3, axis=2)


def wipe_column(wipe: float, width_px: int) -> int:
    """The first column that shows the second pane."""
    return round(wipe * width_px)
