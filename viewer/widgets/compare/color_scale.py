"""Colours of a difference: perceptually even scales, and the marks of what is off them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtGui import QColor

from viewer.widgets.compare.difference import CLIPPED, INVALID

SCALES = {
    "Inferno": "inferno",
    "Viridis": "viridis",
    "Magma": "magma",
    "Grey": "CET-L1",
}
"""From nothing to much; the name on the screen and pyqtgraph's."""
SIGNED_SCALES = {
    "Blue – black – red": "CET-D4",
    "Blue – white – red": "CET-D1",
    "Blue – grey – yellow": "CET-D7",
}
"""From less through nothing to more."""
CLIPPED_COLOR = "#ff2ee6"
INVALID_COLOR = "#39ff14"


@cache
def color_table(name: str) -> NDArray[np.uint32]:
    """uint32 (258,) of 0xffRRGGBB for every code of `color_codes`; `name` is pyqtgraph's."""
    count = 255 if name in SIGNED_SCALES.values() else 256
    rgb = pg.colormap.get(name).getLookupTable(nPts=count).astype(np.uint32)
    table = np.zeros(INVALID + 1, np.uint32)
    table[:count] = 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    table[CLIPPED], table[INVALID] = QColor(CLIPPED_COLOR).rgb(), QColor(INVALID_COLOR).rgb()
    table.flags.writeable = False
    return table
