"""Everything that compares, wired to each other: pictures, panes, difference, metrics and layers.

What several engines have to render, and what is slow to compute, its widgets ask for by signals.
"""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from viewer.state.panes import CompareMode
from viewer.state.view_state import ViewState
from viewer.widgets.compare.compare_view import CompareView
from viewer.widgets.compare.pane_setup import PaneSetup
from viewer.widgets.panels.difference_panel import DifferencePanel
from viewer.widgets.panels.display_panel import DisplayPanel
from viewer.widgets.panels.divergence_plot import DivergencePlot
from viewer.widgets.panels.metrics_panel import MetricsPanel
from viewer.widgets.panels.sensitivity_strip import SensitivityStrip


class ComparePanels(QObject):
    """Its widgets are placed by the window, and public: controllers connect to them."""

    mode_changed = pyqtSignal(CompareMode)
    """CompareMode. In SINGLE only the active pane is seen, so only that has to be rendered."""

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
        view.difference_counted.connect(self.difference.show_readout)
        pane.pane_activated.connect(self.panes.set_active)
        pane.light_field_dropped.connect(self.panes.show_light_field)
        self.panes.active_changed.connect(view.set_active)
        self.difference.options_changed.connect(view.set_difference)
        self.difference.seen_changed.connect(view.set_counted)
        view.set_counted(False)

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
