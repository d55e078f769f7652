"""Writes files on a pool thread: compressing a picture is too slow for the window's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QBuffer, QObject, QRunnable, QThreadPool, pyqtSignal
from PyQt6.QtGui import QImage

from r2l_core.errors import R2LError, RecordingError
from r2l_core.files import replacing
from viewer.rendering.performance import Sample, write_table


class Saver(QObject):
    """Everything it is given is written some time soon."""

    failed = pyqtSignal(object, object)
    """The error, and a call that tries once more."""

    saved = pyqtSignal(str)
    """Where a picture or a table is now."""

    def save_picture(self, image: QImage, path: Path) -> None:
        """Write `image` in the format that the ending names."""

        def write() -> None:
            _write_picture(image, path)
            self.saved.emit(str(path))

        self._start(write)

    def save_table(self, samples: Sequence[Sample], path: Path) -> None:
        """Write measurements as CSV."""

        def write() -> None:
            write_table(samples, path)
            self.saved.emit(str(path))

        self._start(write)

    def _start(self, write: Callable[[], None]) -> None:
        def attempt() -> None:
            try:
                write()
            except R2LError as error:
                self.failed.emit(error, partial(self._start, write))

        pool = QThreadPool.globalInstance()
        assert pool is not None
        pool.start(_Job(attempt))


class _Job(QRunnable):
    def __init__(self, attempt: Callable[[], None]) -> None:
        super().__init__()
        self._attempt = attempt

    def run(self) -> None:
        self._attempt()


def _write_picture(image: QImage, path: Path) -> None:
    what = f"The picture {path} could not be written"
    # Into memory first: Qt says nothing of what a full disk does not take.
    encoded = QBuffer()
    if not image.save(encoded, path.suffix.removeprefix(".") or "none"):
        raise RecordingError(
            what, f"its ending '{path.suffix}' is unknown", "Choose a name that ends in .png."
        )
    with replacing(path, RecordingError, what, make_folder=False) as new:
        new.write_bytes(encoded.data().data())
