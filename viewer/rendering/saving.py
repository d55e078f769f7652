"""Pictures and measurements into files or onto the clipboard; a picture's file says what it shows.

They are written on a pool thread: compressing a picture is too slow for the window's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QBuffer, QObject, QRunnable, QThreadPool, pyqtSignal
from PyQt6.QtGui import QGuiApplication, QImage

from r2l_core.errors import R2LError, RecordingError
from r2l_core.files import replacing
from r2l_core.render.frames import Frame
from r2l_core.types import EngineInfo
from viewer.rendering.controller import RenderController
from viewer.rendering.performance import PerformanceMonitor, write_table
from viewer.state.view_state import StateStore
from viewer.widgets.controls import wording
from viewer.widgets.controls.file_dialogs import ask_picture, ask_table
from viewer.window.main_window import MainWindow

_WAITS = "Saving {} once the picture is exact"
_SAVES = "Saving {}"


class SavingController(QObject):
    """Everything it is given is written some time soon; a picture that is still refined, once it
    is exact."""

    failed = pyqtSignal(R2LError, object)
    """The error, and a call that tries once more."""

    _written = pyqtSignal(str)
    """From the pool: where a picture or a table is now."""

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        performance: PerformanceMonitor,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._store = store
        self._rendering = rendering
        self._performance = performance
        self._waiting: Path | None = None
        commands, asking = window.commands, window.asking
        commands.screenshot.triggered.connect(
            lambda: asking.place(ask_picture, self._picture_name(), self.save_picture)
        )
        commands.copy.triggered.connect(self.copy_picture)
        commands.export.triggered.connect(
            lambda: asking.place(ask_table, "r2l-measurements.csv", self.save_table)
        )
        rendering.frames_shown.connect(self._frames_shown)
        self._written.connect(lambda path: window.show_note(f"Saved {path}", path))

    def save_picture(self, file: str) -> None:
        """Write the active pane's picture, once it is exact, in the format that the ending
        names."""
        path, frame = Path(file), self._window.pane.frame
        if frame is None or frame.why_blank:
            return
        if frame.complete:
            self._write_picture(path, frame)
        else:
            self._waiting = path
            self._window.show_note(_WAITS.format(path.name), stays=True)

    def copy_picture(self) -> None:
        """Put the picture onto the clipboard as it is, and say so."""
        image, frame = self._window.pane.copied_image(), self._window.pane.frame
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None and frame is not None and not image.isNull():
            clipboard.setImage(image)
            self._window.show_note(f"Copied: {wording.rendered(frame)}")

    def save_table(self, file: str) -> None:
        """Write the measurements of the last frames as CSV."""
        samples, path = self._performance.samples(), Path(file)
        self._write(path, lambda: write_table(samples, path))

    def _picture_name(self) -> str:
        frame = self._window.pane.frame
        if frame is None:
            return "r2l.png"
        height_px, width_px, _ = frame.image.shape
        # A mix is known by its precision here.
        what = wording.source(frame.engine).replace(" ", "-")
        return f"r2l-{what}-{width_px}x{height_px}.png"

    def _frames_shown(self, _frames: tuple[Frame, ...]) -> None:
        frame = self._window.pane.frame
        if self._waiting is not None and frame is not None and frame.complete:
            path, self._waiting = self._waiting, None
            self._window.show_note(_SAVES.format(path.name))
            self._write_picture(path, frame)

    def _write_picture(self, path: Path, frame: Frame) -> None:
        image = self._window.pane.copied_image()
        if not image.isNull():
            self._note_facts(image, frame)
            self._write(path, lambda: _write_image(image, path))

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        def attempt() -> None:
            try:
                write()
            except R2LError as error:
                self.failed.emit(error, partial(self._write, path, write))
            else:
                self._written.emit(str(path))

        pool = QThreadPool.globalInstance()
        assert pool is not None
        pool.start(_Job(attempt))

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


class _Job(QRunnable):
    def __init__(self, attempt: Callable[[], None]) -> None:
        super().__init__()
        self._attempt = attempt

    def run(self) -> None:
        self._attempt()


def _write_image(image: QImage, path: Path) -> None:
    what = f"The picture {path} could not be written"
    # Into memory first: Qt says nothing of what a full disk does not take.
    encoded = QBuffer()
    if not image.save(encoded, path.suffix.removeprefix(".") or "none"):
        raise RecordingError(
            what, f"its ending '{path.suffix}' is unknown", "Choose a name that ends in .png."
        )
    with replacing(path, RecordingError, what, make_folder=False) as new:
        new.write_bytes(encoded.data().data())


def _runs_on(info: EngineInfo) -> str:
    kernels_own = info.kernel.casefold().startswith(info.engine.casefold())
    return ", ".join(([] if kernels_own else [info.engine]) + [info.kernel, info.device])
