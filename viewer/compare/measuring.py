"""What is measured of the compared panes: all of them or a region, against which pane; as numbers
and as a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QObject, QThreadPool, pyqtSignal

from r2l_core.errors import R2LError, RecordingError
from r2l_core.files import replacing
from r2l_core.images.difference import Map
from r2l_core.render.frames import Frame
from viewer.compare.analysis import Analyst
from viewer.state.region import Region
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.compare.compare_panels import ComparePanels
from viewer.widgets.controls.file_dialogs import ask_map
from viewer.window.main_window import MainWindow

_NOT_YET = "The difference can be saved once the pictures are complete"


class MeasuringController(QObject):
    """Asks the analyst anew whenever what is to be measured has changed."""

    failed = pyqtSignal(Exception)
    _saved = pyqtSignal(str, str)

    def __init__(
        self, window: MainWindow, store: StateStore, analyst: Analyst, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._panels: ComparePanels = window.compare
        self._store = store
        self._analyst = analyst
        self._frames: tuple[Frame, ...] = ()
        panels = self._panels
        panels.view.pane.region_chosen.connect(lambda region: store.change(region=region))
        panels.metrics.whole_requested.connect(lambda: store.change(region=None))
        panels.metrics.reference_chosen.connect(
            lambda at: store.set(store.state.measured_against(at))
        )
        panels.difference.save_requested.connect(self._ask)
        store.listen(self._state_changed)
        self._saved.connect(lambda file, words: window.show_note(words, file))

    def measure(self, frames: tuple[Frame, ...]) -> None:
        """Measure these from now on."""
        self._frames = frames
        state = self._store.state
        self._analyst.compare(frames, self._region(state), state.reference)

    def save(self, file: str) -> None:
        """Write the difference that is shown, float32 (H, W), as a NumPy file."""
        compared = self._panels.view.pane.compared
        difference, frames = compared.difference, compared.frames
        values = difference.values()
        if values is None or not frames[0].complete:
            self._window.show_note(_NOT_YET)
            return
        kind, (height_px, width_px) = difference.options.kind, values.shape
        words = f"Saved {file}: {kind} difference, float32 {width_px}×{height_px}"
        pool = QThreadPool.globalInstance()
        assert pool is not None
        pool.start(partial(self._write, Path(file), values, words))

    def _ask(self) -> None:
        kind = str(self._panels.view.pane.compared.difference.options.kind).lower()
        self._window.asking.place(ask_map, f"r2l-{kind}.npy", self.save)

    def _write(self, file: Path, values: Map, words: str) -> None:
        what = f"The difference {file} could not be written"
        try:
            # Given a name, NumPy would add an ending to it.
            new = replacing(file, RecordingError, what, make_folder=False)
            with new as path, path.open("wb") as opened:
                np.save(opened, values)
        except R2LError as error:
            self.failed.emit(error)
        else:
            self._saved.emit(str(file), words)

    def _region(self, state: ViewState) -> Region | None:
        if state.region is None or not self._frames:
            return None
        height_px, width_px, _ = self._frames[0].image.shape
        return state.region.within(width_px, height_px)

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if before.region != after.region:
            self._panels.view.pane.show_region(after.region)
        if (before.reference, len(before.panes)) != (after.reference, len(after.panes)):
            self._panels.metrics.show_reference(len(after.panes), after.reference)
        if (before.region, before.reference) != (after.region, after.reference) and self._frames:
            self.measure(self._frames)
