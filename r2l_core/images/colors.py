"""Colours with a meaning: of precisions, and of numbers on a scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from r2l_core.types import Precision, to_uint8

PRECISION_COLORS: dict[str, tuple[str, str]] = {
    Precision.FP32: ("#8ab4f8", "#2b62c4"),
    Precision.BF16: ("#3fc6a0", "#0b7f60"),
    Precision.FP16: ("#f2c14e", "#a87400"),
    Precision.INT8_STATIC_SIM: ("#b79cf0", "#6d4bc0"),
    Precision.INT8_SIM: ("#ee86bd", "#b52f7c"),
    Precision.INT8: ("#f4794f", "#c2431a"),
    Precision.WEIGHTS_BF16: ("#9fce62", "#4f7a12"),
    Precision.WEIGHTS_INT8_FAKE: ("#cda68a", "#85593a"),
    Precision.DYNAMIC_INT8_FAKE: ("#6cd0e8", "#0f6f88"),
}
"""On dark, and on light. Told apart by lightness as well as by hue, so also by colour-blind
eyes."""


def color_map(name: str, n_colors: int) -> NDArray[np.uint8]:
    """Colours of a scale from its low end to its high one: uint8 (n_colors, 3).

    `name`: one of the cmap catalogue's.
    """
    from cmap import Colormap  # a tenth of a second, which a start does not need

    colors = np.asarray(Colormap(name)(np.linspace(0.0, 1.0, n_colors)))[:, :3]
    return to_uint8(colors)
