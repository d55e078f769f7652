"""What a tour leaves behind: a video of the window, and its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v2 as iio
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtGui import QImage

from viewer.widgets.controls.timers import make_timer

if TYPE_CHECKING:
    from viewer.app import App

VIDEO_FPS = 10


class Film:
    """A video of the window, grabbed at a steady rate while the tour runs."""

    def __init__(self, app: App, path: Path) -> None:
        self._app = app
        self._path = path
        self._writer: Any = None  # imageio's classes have no types
        self._timer = make_timer(app, round(1000 / VIDEO_FPS), self._grab)

    def start(self) -> None:
        """Open the video and begin."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = iio.get_writer(
            self._path, fps=VIDEO_FPS, codec="libx264", macro_block_size=2, quality=7
        )
        self._timer.start()

    def close(self) -> None:
        """Finish the file."""
        self._timer.stop()
        if self._writer is not None:
            self._writer.close()

    def _grab(self) -> None:
        if self._writer is not None:
            self._writer.append_data(pixels(self._app.window.grab().toImage()))


def pixels(image: QImage) -> NDArray[np.uint8]:
    """An owned uint8 (H, W, 3) copy of a window's picture, cropped to even sizes for video."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    width, height = image.width(), image.height()
    bits = image.constBits()
    assert bits is not None
    rows: NDArray[np.uint8] = np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(height, image.bytesPerLine())[:, : width * 3]
    return rows.reshape(height, width, 3)[: height // 2 * 2, : width // 2 * 2].copy()
