"""Wires the compare desk to what renders and to what measures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.render.frames import Frame
from viewer.compare.analysis import Analyst
from viewer.compare.layers_controller import LayersController
from viewer.rendering.controller import Controller
from viewer.rendering.render_thread import Running
from viewer.state.panes import PaneChoice
from viewer.state.preferences import Preferences, RecentFiles
from viewer.widgets.compare.compare_panels import ComparePanels
from viewer.widgets.controls.file_dialogs import ask_light_field
from viewer.window.main_window import MainWindow


class CompareController(QObject):
    """Knows which frames are on the screen, and asks for what is to be known about them."""

    failed = pyqtSignal(Exception)

    def __init__(
        self,
        window: MainWindow,
        controller: Controller,
        preferences: Preferences,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._recent = RecentFiles(preferences, "recent_light_fields")
        self._window = window
        self._desk: ComparePanels = window.compare
        self._controller = controller
        self._analyst = Analyst(self)
        self._layers = LayersController(window, controller, self._analyst, self)
        self._layers.failed.connect(self.failed)
        self._running: Running | None = None
        self._frames: tuple[Frame, ...] = ()
        self._wire()

    def _wire(self) -> None:
        desk, analyst = self._desk, self._analyst
        desk.mode_changed.connect(lambda _mode: self._choose())
        desk.panes_changed.connect(lambda _panes: self._choose())
        desk.active_changed.connect(lambda _position: self._show_engine())
        desk.file_wanted.connect(self._ask_light_field)
        desk.map_wanted.connect(analyst.map)
        desk.pixel_picked.connect(self._probe)
        self._controller.frames_shown.connect(self._show_frames)
        self._controller.kept.connect(lambda running: self._show_panes(running.wish.panes))
        analyst.metrics_ready.connect(desk.show_metrics)
        analyst.map_ready.connect(desk.set_map)
        analyst.divergence_ready.connect(desk.show_divergence)
        analyst.failed.connect(self.failed)

    def running_changed(self, running: Running) -> None:
        """Something new renders."""
        self._running = running
        self._desk.set_offers(running.precisions, running.truth, running.choices)
        self._offer_light_fields(running)
        self._layers.running_changed(running)
        self._show_engine()

    def close(self) -> None:
        """Ask nothing any more."""
        self._analyst.close()

    def _offer_light_fields(self, running: Running) -> None:
        from r2l_core.checkpoints.opening import embedded_names  # with torch, which runs by now

        own = running.wish.checkpoint
        for checkpoint in running.sha256:
            if Path(checkpoint).is_file():
                self._recent.note(checkpoint)
        others = (*embedded_names(), *self._recent.files())
        self._desk.set_light_fields(
            own, [one for one in others if one not in (own, str(Path(own).absolute()))]
        )

    def _ask_light_field(self, position: int) -> None:
        self._window.ask_file(ask_light_field, partial(self._desk.show_light_field, position))

    def _show_panes(self, panes: tuple[PaneChoice, ...]) -> None:
        if panes:
            self._desk.show_panes(panes)

    def _choose(self) -> None:
        panes = self._desk.panes
        active = panes.panes[panes.active] if panes.panes else None
        if active is not None:
            self._controller.set_panes(panes.panes if self._desk.comparing else (), active)

    def _show_engine(self) -> None:
        if self._running is not None:
            engines = self._running.engines
            position = self._desk.panes.active if len(engines) > 1 else 0
            self._window.show_engine(engines[min(position, len(engines) - 1)])

    def _show_frames(self, frames: tuple[Frame, ...]) -> None:
        self._window.show_frames(frames)
        self._shown(frames)
        self._layers.frames_shown(frames)

    def _shown(self, frames: tuple[Frame, ...]) -> None:
        before, self._frames = self._frames, frames
        # While the camera moves there is nothing new to say about it.
        if not before or (before[0].complete and frames[0].camera is not before[0].camera):
            self._desk.show_divergence(None)
        was_said = before and not before[0].complete and len(before) == len(frames)
        if frames[0].complete or not was_said:
            self._analyst.compare(frames)

    def _probe(self, column: int, row: int) -> None:
        if self._running is not None and self._frames:
            self._analyst.probe(self._running, self._frames, column, row)
