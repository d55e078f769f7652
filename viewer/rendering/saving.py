"""Pictures and measurements into files or onto the clipboard; a picture's file says what it shows.

They are written on a pool thread: compressing a picture is too slow for the window's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QBuffer, QObject, QRunnable, QThreadPool, pyqtSignal
from PyQt6.QtGui import QGuiApplication, QImage

from r2l_core.errors import R2LError, RecordingError
from r2l_core.files import replacing
from r2l_core.render.frames import Frame
from r2l_core.types import EngineInfo
from viewer.rendering.controller import RenderController
from viewer.rendering.performance import Sample, write_table
from viewer.state.view_state import StateStore
from viewer.widgets.controls import wording
from viewer.window.main_window import MainWindow


class Saver(QObject):
    """Everything it is given is written some time soon."""

    failed = pyqtSignal(R2LError, object)
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


_WAITS = "Saving {} once the picture is exact"
_SAVES = "Saving {}"


class Screenshots(QObject):
    """A picture that is still refined is saved when it is exact."""

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        saver: Saver,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._store = store
        self._rendering = rendering
        self._saver = saver
        self._waiting: Path | None = None
        window.screenshot_requested.connect(self.save)
        window.commands.copy.triggered.connect(self.copy)
        rendering.frames_shown.connect(self._frames_shown)
        saver.saved.connect(lambda path: window.show_note(f"Saved {path}", path))

    def save(self, file: str) -> None:
        """Write the active pane's picture, once it is exact."""
        path, frame = Path(file), self._window.pane.frame
        if frame is None or frame.why_blank:
            return
        if frame.complete:
            self._write(path, frame)
        else:
            self._waiting = path
            self._window.show_note(_WAITS.format(path.name), stays=True)

    def copy(self) -> None:
        """Put the picture onto the clipboard as it is, and say so."""
        image, frame = self._window.pane.copied_image(), self._window.pane.frame
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None and frame is not None and not image.isNull():
            clipboard.setImage(image)
            self._window.show_note(f"Copied: {wording.rendered(frame)}")

    def _frames_shown(self, _frames: tuple[Frame, ...]) -> None:
        frame = self._window.pane.frame
        if self._waiting is not None and frame is not None and frame.complete:
            path, self._waiting = self._waiting, None
            self._window.show_note(_SAVES.format(path.name))
            self._write(path, frame)

    def _write(self, path: Path, frame: Frame) -> None:
        image = self._window.pane.copied_image()
        if not image.isNull():
            self._note_facts(image, frame)
            self._saver.save_picture(image, path)

    def _note_facts(self, image: QImage, frame: Frame) -> None:
        """As text of the image, which PNG keeps in chunks of its own."""
        running, camera = self._rendering.running, frame.camera
        active = self._store.state.active_pane
        if running is None or active is None:
            return
        checkpoint = active.checkpoint or running.wish.light_field.checkpoint
        pose = {
            "T_world_camera": camera.T_world_camera.tolist(),
            "fov_y_deg": camera.fov_y_deg,
            "width_px": camera.width_px,
            "height_px": camera.height_px,
        }
        for name, text in (
            ("Software", "R2L viewer"),
            ("camera", json.dumps(pose)),
            ("precision", wording.named(frame.engine)),
            ("engine", _runs_on(frame.engine)),
            ("rendered", wording.rendered(frame)),
            ("checkpoint", Path(checkpoint).name),
            ("checkpoint_sha256", running.sha256.get(checkpoint, "")),
        ):
            image.setText(name, text)


def _runs_on(info: EngineInfo) -> str:
    kernels_own = info.kernel.casefold().startswith(info.engine.casefold())
    return ", ".join(([] if kernels_own else [info.engine]) + [info.kernel, info.device])
