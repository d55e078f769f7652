"""Everything that compares, wired to each other: pictures, panes, difference, metrics and layers.

What several engines have to render, and what is slow to compute, it asks for through its signals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from r2l_core.images.difference import DifferenceKind, Map
from r2l_core.render.frames import Frame
from r2l_core.types import Availability, Precision
from viewer.state.panes import CompareMode, PaneChoice
from viewer.state.view_state import ViewState
from viewer.widgets.compare.compare_view import CompareView
from viewer.widgets.compare.pane_setup import PaneSetup
from viewer.widgets.panels.difference_panel import DifferencePanel
from viewer.widgets.panels.display_panel import DisplayPanel
from viewer.widgets.panels.divergence_plot import DivergencePlot, DivergenceReadout
from viewer.widgets.panels.metrics_panel import MetricsPanel, MetricsReadout
from viewer.widgets.panels.sensitivity_strip import SensitivityStrip

_NO_TRUTH = Availability(False, "this light field has no ground truth")


class ComparePanels(QObject):
    """Its widgets are placed by the window."""

    mode_changed = pyqtSignal(CompareMode)
    """CompareMode. In SINGLE only the active pane is seen, so only that has to be rendered."""
    panes_changed = pyqtSignal(tuple)
    """tuple[PaneChoice, ...]: what each pane should show from now on."""
    active_changed = pyqtSignal(int)
    """Position of the pane that the digit keys and the engine card are about."""
    file_wanted = pyqtSignal(int)
    """Position of the pane that should show a light field from a file, which the window asks for;
    `show_light_field` takes it."""
    map_wanted = pyqtSignal(DifferenceKind, Frame, Frame)
    """DifferenceKind, Frame A, Frame B: a slow map, to be computed and given to `set_map`."""
    pixel_picked = pyqtSignal(int, int)
    """Column and row of the pixel to be followed through the layers."""
    save_requested = pyqtSignal()
    """Save the mix of layers: the window asks where."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.view = CompareView()
        self.panes = PaneSetup()
        self.difference = DifferencePanel()
        self.metrics = MetricsPanel()
        self.display = DisplayPanel()
        self.layers = SensitivityStrip()
        self.divergence = DivergencePlot()
        self.panes.hide()
        self._wire()

    # What the controller tells

    def show_frames(self, frames: Sequence[Frame]) -> None:
        """Show one frame for each pane, all of the same request, camera and pass."""
        self.view.show_frames(frames)

    def set_map(self, kind: DifferenceKind, values: Map, a: Frame, b: Frame) -> None:
        """Take a map that `map_wanted` asked for; dropped where other frames are shown by now."""
        self.view.set_map(kind, values, a, b)

    def show_metrics(self, readout: MetricsReadout) -> None:
        """Show how alike the panes are."""
        self.metrics.show_readout(readout)

    def show_divergence(self, readout: DivergenceReadout | None) -> None:
        """Show the pixel that was picked; None once the picture has moved on."""
        self.divergence.show_readout(readout)

    def set_offers(
        self,
        precisions: Mapping[Precision, Availability],
        truth: Availability = _NO_TRUTH,
        engines: Mapping[Precision, Sequence[str]] | None = None,
        scene_truth: Availability | None = None,
    ) -> None:
        """Say what panes can show; see `PaneSetup.set_offers`."""
        self.panes.set_offers(precisions, truth, engines or {}, scene_truth)

    def set_light_fields(self, own: str, others: Sequence[str]) -> None:
        """Say which light fields panes can show, by name or path: the open one, and others."""
        self.panes.set_light_fields(own, others)

    def show_light_field(self, position: int, checkpoint: str) -> None:
        """Let a pane show another light field."""
        self.panes.show_light_field(position, checkpoint)

    def show_panes(self, panes: Sequence[PaneChoice]) -> None:
        """Show what each pane is meant to show; reports nothing."""
        self.panes.show_panes(panes)

    def show_state(self, state: ViewState) -> None:
        """Show which panes there are, which is active, and how they are compared."""
        if state.panes:
            self.panes.show_panes(state.panes)
        self.panes.set_active(state.active)
        self.display.show_display(state.display)
        self.view.set_display(state.display)
        self.view.show_panes([str(pane.source) for pane in state.panes])
        self.view.show_pairs(len(state.panes), state.pair)
        self.view.set_mode(state.mode)

    # Among themselves

    def _wire(self) -> None:
        view, pane = self.view, self.view.pane
        view.mode_changed.connect(self._mode_changed)
        view.map_wanted.connect(self.map_wanted)
        view.difference_counted.connect(self.difference.show_readout)
        pane.pixel_picked.connect(self.pixel_picked)
        pane.pane_activated.connect(self.panes.set_active)
        pane.light_field_dropped.connect(self.show_light_field)
        self.panes.file_wanted.connect(self.file_wanted)
        self.panes.active_changed.connect(view.set_active)
        self.panes.active_changed.connect(self.active_changed)
        self.panes.panes_changed.connect(self.panes_changed)
        self.difference.options_changed.connect(view.set_difference)
        self.difference.seen_changed.connect(view.set_counted)
        view.set_counted(False)
        self.layers.save_requested.connect(self.save_requested)

    def _mode_changed(self, mode: CompareMode) -> None:
        comparing = mode is not CompareMode.SINGLE
        self.panes.setVisible(comparing)
        if comparing:
            # Who wants to compare wants something to compare with.
            self.panes.add_up_to(2)
        self.mode_changed.emit(mode)

    def docks(self) -> dict[str, list[QWidget]]:
        """The panels of each dock, by the dock's name."""
        return {
            "Difference": [self.difference, self.metrics],
            "Layers": [self.layers, self.divergence],
        }
