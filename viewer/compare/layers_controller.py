"""The layers of the open light field: measured in the background, switched, kept in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.errors import R2LError
from r2l_core.render.frames import Frame
from r2l_core.types import Precision
from viewer.compare import analysis
from viewer.compare.analysis import Analyst
from viewer.rendering.controller import RenderController
from viewer.rendering.running import Running
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.controls.file_dialogs import ask_mix
from viewer.widgets.panels.layer_bars import LayerSensitivity
from viewer.window.main_window import MainWindow

_NO_EIGHT_BITS = (
    "Nothing that is shown has layers in eight bits: choose int8, int8-sim or int8-static-sim to "
    "switch layers and see what that does."
)


class LayersController(QObject):
    """Measures once somebody looks and the picture is complete; changes nothing unless asked to."""

    failed = pyqtSignal(Exception)

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        analyst: Analyst,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._strip = window.compare.layers
        self._window = window
        self._store = store
        self._analyst = analyst
        self._running: Running | None = None
        self._layers: tuple[LayerSensitivity, ...] = ()
        self._worst: tuple[str, ...] = ()
        self._seen = False
        self._complete = False
        self._measuring = False
        self._keeps_worst = False
        window.layers_seen.connect(self._set_seen)
        self._strip.measure_requested.connect(self._measure)
        self._strip.worst_requested.connect(self._keep_worst)
        self._strip.layer_toggled.connect(self._switch)
        self._strip.restore_requested.connect(lambda: self.set_mix(frozenset()))
        self._strip.save_requested.connect(
            lambda: window.asking.place(ask_mix, "r2l-mix.json", self.save_mix)
        )
        analyst.sensitivity_progress.connect(self._strip.show_progress)
        analyst.sensitivity_ready.connect(self._measured)
        rendering.running_changed.connect(self._running_changed)
        store.listen(self._state_changed)

    def _running_changed(self, running: Running) -> None:
        """Something new renders."""
        before, self._running = self._running, running
        if before is None or before.light_field is not running.light_field:
            self._analyst.stop_sensitivity()
            self._layers, self._worst = analysis.layers_of(running), ()
            self._measuring = self._keeps_worst = False
        self._show()

    def frames_shown(self, frames: tuple[Frame, ...]) -> None:
        """While a picture is made, measuring waits."""
        complete = all(frame.complete for frame in frames)
        if complete != self._complete:
            self._complete = complete
            self._analyst.set_calm(complete)
            self._measure_if_wanted()

    @property
    def _mixed(self) -> int | None:
        """Position of the pane whose layers can be switched: the active one, or the first."""
        state = self._store.state
        shown = range(len(state.panes)) if state.comparing else (state.active,)
        able = [at for at in shown if at < len(state.panes) and state.panes[at].has_mix]
        return state.active if state.active in able else next(iter(able), None)

    @property
    def able(self) -> bool:
        """Whether a pane is shown whose layers can be switched."""
        return self._mixed is not None

    @property
    def _mix(self) -> frozenset[str]:
        at = self._mixed
        return frozenset() if at is None else self._store.state.panes[at].layers_in_fp32

    def _switch(self, name: str, high: bool) -> None:
        self.set_mix(self._mix | {name} if high else self._mix - {name})

    def set_mix(self, layers_in_fp32: frozenset[str]) -> None:
        """Run these layers, and no others, in fp32 in the pane whose layers can be switched."""
        state, at = self._store.state, self._mixed
        if at is not None:
            pane = replace(state.panes[at], layers_in_fp32=layers_in_fp32)
            self._store.set(state.with_pane(at, pane))

    def save_mix(self, path: str) -> None:
        """Write which layers run in fp32."""
        if self._mixed is not None:
            try:
                analysis.save_mix(Path(path), self._mix)
            except R2LError as error:
                self.failed.emit(error)
            else:
                self._window.show_note(f"Saved {path}", path)

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if (before.panes, before.active, before.mode) != (after.panes, after.active, after.mode):
            self._show()

    def _set_seen(self, on: bool) -> None:
        self._seen = on
        self._measure_if_wanted()

    def _measure_if_wanted(self) -> None:
        if self._seen and self._complete and not self._worst and not self._measuring:
            self._measure()

    def _measure(self) -> None:
        if self._running is not None and self._layers:
            self._measuring = True
            at = self._mixed
            source = Precision.INT8_SIM if at is None else self._store.state.panes[at].source
            self._analyst.sensitivity(self._running, Precision(source))

    def _measured(self, layers: tuple[LayerSensitivity, ...], worst: tuple[str, ...]) -> None:
        found = {layer.name: layer for layer in layers}
        self._layers = tuple(found.get(layer.name, layer) for layer in self._layers)
        self._worst = worst
        self._measuring = False
        self._show()
        if self._keeps_worst:
            self._keep_worst()

    def _keep_worst(self) -> None:
        self._keeps_worst = not self._worst
        if self._worst:
            self.set_mix(frozenset(self._worst))
        elif not self._measuring:
            self._measure()

    def _show(self) -> None:
        if self._running is not None:
            high = self._mix
            layers = [replace(one, high=one.name in high) for one in self._layers]
            self._strip.show_layers(layers, _NO_EIGHT_BITS if self._mixed is None else "")
