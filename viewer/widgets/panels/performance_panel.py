"""How fast it renders: images per second, times, rays, memory and what each image cost."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QFontMetrics, QPalette
from PyQt6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.timers import Throttle
from viewer.widgets.panels.cost_plot import CostPlot
from viewer.widgets.panels.performance_readout import PerformanceReadout

_NUMBERS = {
    "New images": ("/s", "Images from the network each second; repainting an old one counts not."),
    "Frame": ("ms", "Time to render one image, from the request to its pixels, smoothed."),
    "Latency p50 · p95": (
        "ms",
        "Within these times, half and 95 % of the gestures of the last two seconds were on the "
        "screen.",
    ),
    "Rays": ("kray/s", "Thousands of rays a second that really went through the network."),
    "Memory": ("MB", "Memory this program holds now."),
}
_PLOT_MS = 400
"""How often the plot is drawn anew: it takes longer than all the numbers."""
_RATE_SCALE = 2.1
"""Size of the first number, in sizes of the others."""


class PerformancePanel(QWidget):
    """Every number is measured, has a unit and keeps its place while it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Performance")
        self._values: dict[str, QLabel] = {}
        self._units: dict[str, QLabel] = {}
        self._rate_is_large = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._make_numbers())
        column.addSpacing(2)
        self._plot = CostPlot(self)
        self._readout: PerformanceReadout | None = None
        self._plotting = Throttle(self._plot_costs, _PLOT_MS, self)
        column.addWidget(self._plot)

    def show_readout(self, readout: PerformanceReadout) -> None:
        """Show one reading."""
        self._values["New images"].setText(wording.number(readout.images_per_s))
        self._size_rate(readout.moving)
        self._values["Frame"].setText(wording.number(readout.frame_ms))
        latencies = (readout.latency_p50_ms, readout.latency_p95_ms)
        self._values["Latency p50 · p95"].setText(" · ".join(map(wording.number, latencies)))
        self._values["Rays"].setText(wording.number(readout.krays_per_s))
        memory, unit = wording.memory(readout.memory_mb)
        self._values["Memory"].setText(memory)
        self._units["Memory"].setText(unit)
        if readout.width_px > 0:
            self._plot.show_rendered(readout.width_px, readout.height_px, readout.stride)
        self._readout = readout
        self._plotting.ask()

    def _size_rate(self, moving: bool) -> None:
        """The rate is what matters while something moves, and only then."""
        if moving != self._rate_is_large:
            self._rate_is_large = moving
            scale = _RATE_SCALE if moving else 1.0
            self._values["New images"].setFont(theme.font(self, scale, tabular=True))

    def _plot_costs(self) -> None:
        if self._readout is not None:
            self._plot.show_costs(self._readout.history, self._readout.mean)

    def set_precision(self, precision: str) -> None:
        """Draw the plot in the colour of the precision that runs."""
        self._plot.set_precision(precision)

    def _make_numbers(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for row, (name, (unit, explanation)) in enumerate(_NUMBERS.items()):
            label, value, unit_label = QLabel(name), QLabel(wording.DASH), QLabel(unit)
            value.setFont(theme.font(self, tabular=True))
            if row == 0:
                # Room for the large digits, so that nothing below moves when they come.
                large = QFontMetrics(theme.font(self, _RATE_SCALE, tabular=True))
                value.setMinimumHeight(large.height())
            value.setAccessibleName(f"{name} {unit}".strip())
            self._values[name], self._units[name] = value, unit_label
            for part in (label, unit_label):
                part.setForegroundRole(QPalette.ColorRole.PlaceholderText)
                # The baseline of the first, large number, less what its descenders take.
                lift = value.fontMetrics().descent() - label.fontMetrics().descent()
                part.setContentsMargins(0, 0, 0, lift)
            for part in (label, value, unit_label):
                part.setToolTip(explanation)
                part.setAlignment(Qt.AlignmentFlag.AlignBottom)
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom)
            grid.addWidget(label, row, 0)
            grid.addWidget(value, row, 1)
            grid.addWidget(unit_label, row, 2)
        return grid

    def sizeHint(self) -> QSize:
        """Wide enough for the largest numbers."""
        return QSize(220, super().sizeHint().height())
