"""Lets panes be chosen and compared, and asks for what is to be known about them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.render.frames import Frame
from r2l_core.types import Availability, Precision
from viewer.compare.analysis import Analyst
from viewer.compare.layers_controller import LayersController
from viewer.compare.measuring import MeasuringController
from viewer.rendering.controller import RenderController
from viewer.rendering.running import Running
from viewer.state.preferences import Preferences, RecentFiles
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.compare.compare_panels import ComparePanels
from viewer.widgets.controls.file_dialogs import ask_light_field
from viewer.window.main_window import MainWindow


class CompareController(QObject):
    """What is chosen goes into the state, and the panels show the state."""

    failed = pyqtSignal(Exception)

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        preferences: Preferences,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._recent = RecentFiles(preferences, "recent_light_fields")
        self._window = window
        self._panels: ComparePanels = window.compare
        self._store = store
        self._rendering = rendering
        self.analyst = Analyst(self)
        self._frames: tuple[Frame, ...] = ()
        self._offers: tuple[object, ...] = ()
        """What panes were offered last."""
        self._offered: Mapping[Precision, Availability] = {}
        """The precisions that the active pane was offered last."""
        self.layers = LayersController(window, store, rendering, self.analyst, self)
        self.layers.failed.connect(self.failed)
        self.measuring = MeasuringController(window, store, self.analyst, self)
        self.measuring.failed.connect(self.failed)
        self._wire()
        store.listen(self._state_changed)

    def _wire(self) -> None:
        panels, analyst, store = self._panels, self.analyst, self._store
        panels.mode_changed.connect(lambda mode: store.change(mode=mode))
        panels.panes.panes_changed.connect(lambda panes: store.set(store.state.with_panes(panes)))
        panels.view.bar.pair_chosen.connect(lambda a, b: store.change(pair=(a, b)))
        panels.panes.pane_removed.connect(lambda at: store.set(store.state.without_pane(at)))
        panels.panes.active_changed.connect(lambda position: store.change(active=position))
        panels.difference.options_changed.connect(lambda how: store.change(difference=how))
        panels.display.display_changed.connect(lambda how: store.change(display=how))
        panels.panes.file_wanted.connect(self._ask_light_field)
        panels.view.map_wanted.connect(analyst.map)
        panels.view.pane.pixel_picked.connect(self._probe)
        self._window.precision.precision_chosen.connect(self.choose_precision)
        self._rendering.frames_shown.connect(self.show_frames)
        self._rendering.running_changed.connect(self._show_running)
        analyst.metrics_ready.connect(panels.metrics.show_readout)
        analyst.map_ready.connect(panels.view.set_map)
        analyst.divergence_ready.connect(panels.divergence.show_readout)
        analyst.failed.connect(self.failed)

    def choose_precision(self, precision: Precision) -> None:
        """Show another precision in the active pane, and begin with it the next time."""
        self._preferences.store("precision", str(precision))
        self._show_precision()
        if not self._store.state.comparing:
            self._window.precision.show_pending(precision)
        self._rendering.choose_precision(precision)

    def show_frames(self, frames: tuple[Frame, ...]) -> None:
        """Frames for the window, of one request, and what there is to say about them."""
        self._window.show_frames(frames)
        before, self._frames = self._frames, frames
        # While the camera moves there is nothing new to say about it.
        if not before or (before[0].complete and frames[0].camera is not before[0].camera):
            self._panels.divergence.show_readout(None)
        was_said = before and not before[0].complete and len(before) == len(frames)
        if frames[0].complete or not was_said:
            self.measuring.measure(frames)
        self.layers.frames_shown(frames)

    def close(self) -> None:
        """Ask nothing any more."""
        self.analyst.close()

    # The state on the screen

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if _shown(before) != _shown(after):
            self._panels.show_state(after)
            self._offer_precisions()
            self._show_engine()
            self._show_precision()
        if before.difference != after.difference:
            self._panels.difference.set_options(after.difference)

    def _show_running(self, running: Running) -> None:
        own = _own_precisions(running)
        offers = (own, running.truths, running.choices, running.precisions)
        if offers != self._offers:
            # A menu that somebody is about to choose from stays, while weights are renewed.
            self._offers = offers
            self._panels.panes.set_offers(*offers)
        self._offer_precisions()
        self._offer_light_fields(running)
        self._show_engine()
        self._show_precision()

    def _offer_precisions(self) -> None:
        """In the switch, the menu and on the keys: those of the active pane."""
        running, pane = self._rendering.running, self._store.state.active_pane
        if running is None:
            return
        of_another = pane is not None and pane.checkpoint is not None
        offered = running.precisions if of_another else _own_precisions(running)
        if offered != self._offered:
            self._offered = offered
            self._window.offer_precisions(offered, self.choose_precision)

    def _show_engine(self) -> None:
        if (running := self._rendering.running) is not None:
            engines = running.engines
            position = self._store.state.active if len(engines) > 1 else 0
            self._window.show_engine(engines[min(position, len(engines) - 1)])

    def _show_precision(self) -> None:
        """Mark the precision that runs in the active pane, which may not be the one chosen."""
        running, state = self._rendering.running, self._store.state
        if running is not None and running.wish.panes:
            shown = running.wish.panes
            at = min(state.active, len(shown) - 1)
            is_network = isinstance(shown[at].source, Precision)
            # A teacher runs in its own, whichever was chosen.
            runs = running.engines[at].precision if is_network else None
            self._window.show_active_precision(runs)
        elif running is not None:
            self._window.show_active_precision(running.engine.precision)

    # Light fields of panes

    def _offer_light_fields(self, running: Running) -> None:
        from r2l_core.checkpoints.opening import embedded_names  # with torch, which runs by now

        own = running.wish.light_field.checkpoint
        for checkpoint in running.sha256:
            if Path(checkpoint).is_file():
                self._recent.note(checkpoint)
        others = (*embedded_names(), *self._recent.files())
        self._panels.panes.set_light_fields(
            own, [one for one in others if one not in (own, str(Path(own).absolute()))]
        )

    def _ask_light_field(self, position: int) -> None:
        self._window.asking.file(
            ask_light_field, partial(self._panels.panes.show_light_field, position)
        )

    def _probe(self, column: int, row: int) -> None:
        if (running := self._rendering.running) is not None and self._frames:
            self.analyst.probe(running, self._frames, column, row)


def _own_precisions(running: Running) -> Mapping[Precision, Availability]:
    """What the open light field can be shown in; a teacher runs in float32 alone."""
    if running.light_field.is_teacher:
        return {Precision.FP32: Availability(True)}
    return running.precisions


def _shown(state: ViewState) -> tuple[object, ...]:
    return state.panes, state.active, state.pair, state.mode, state.display
