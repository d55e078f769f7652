"""Pixels as they are shown with another exposure, or one channel alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from viewer.state.display_options import Channel, DisplayOptions

_POSITIONS = {Channel.RED: 0, Channel.GREEN: 1, Channel.BLUE: 2}
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Of linear red, green and blue (ITU-R BT.709)."""


def displayed(image: NDArray[np.uint8], options: DisplayOptions) -> NDArray[np.uint8]:
    """What is shown of an sRGB picture, uint8 (H, W, 3); the picture itself where that is all."""
    if options == DisplayOptions():
        return image
    linear = _linear_table(options.exposure_ev, options.offset)
    if options.channel is Channel.LUMINANCE:
        return _thrice(_encoded(np.take(linear, image) @ _LUMINANCE))
    table = _encoded(linear)
    if options.channel is Channel.ALL:
        return np.take(table, image)
    return _thrice(np.take(table, image[..., _POSITIONS[options.channel]]))


@lru_cache(maxsize=4)
def _linear_table(exposure_ev: float, offset: float) -> NDArray[np.float32]:
    """float32 (256,): linear light of every byte of sRGB, exposed."""
    encoded = np.arange(256) / 255
    low = encoded <= 0.04045
    linear = np.where(low, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    table: NDArray[np.float32] = (linear * 2.0**exposure_ev + offset).astype(np.float32)
    return table


def _encoded(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bytes of sRGB; what is beyond black and white is these."""
    linear = np.clip(linear, 0.0, 1.0)
    low = linear <= 0.0031308
    encoded = np.where(low, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels: NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return levels


def _thrice(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=2)
