"""How fast it renders: images per second, times, rays, memory and a plot of frame times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyqtgraph as pg  # type: ignore[import-untyped]
from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from viewer import theme
from viewer.widgets import wording


@dataclass(frozen=True)
class PerformanceReadout:
    """One smoothed reading. Zero or NaN means not measured yet.

    images_per_s: new network images a second (repaints do not count). frame_ms: time of the last
    image. krays_per_s: thousands of rays through the network a second. latency_ms: from the gesture
    to the pixels on the screen. stride, width_px, height_px: what was rendered. memory_mb: resident
    memory in units of 1,000,000 bytes. history: the latest frame times in ms, oldest first.
    """

    images_per_s: float = 0.0
    frame_ms: float = 0.0
    krays_per_s: float = 0.0
    latency_ms: float = 0.0
    stride: int = 1
    width_px: int = 0
    height_px: int = 0
    memory_mb: float = 0.0
    history: tuple[float, ...] = ()


_NUMBERS = {
    "New images": ("/s", "Images from the network each second; repainting an old one counts not."),
    "Frame": ("ms", "Time to render one image, from the request to its pixels, smoothed."),
    "Latency": ("ms", "Time from your gesture until the picture for it was on the screen."),
    "Rays": ("kray/s", "Thousands of rays a second that really went through the network."),
    "Memory": ("MB", "Memory this program holds now."),
    "Rendered": ("", "Pixels the network computed for the last image, of those it shows."),
}
_PLOT_HEIGHT_PX = 68
_RATE_SCALE = 2.4
"""Size of the first number, in sizes of the others."""


class PerformancePanel(QWidget):
    """Every number is measured, has a unit and keeps its place while it changes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Performance")
        self._color = QColor()
        self._precision = ""
        self._values: dict[str, QLabel] = {}
        self._units: dict[str, QLabel] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._make_numbers())
        caption = QLabel("Time of each image, ms", self)
        caption.setFont(theme.font(self, 0.9))
        caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        caption.setToolTip("Time of each of the latest images in ms, newest at the right.")
        column.addSpacing(4)
        column.addWidget(caption)
        self._plot = self._make_plot()
        column.addWidget(self._plot)
        self._restyle()

    def show_readout(self, readout: PerformanceReadout) -> None:
        """Show one reading."""
        self._values["New images"].setText(wording.number(readout.images_per_s))
        self._values["Frame"].setText(wording.number(readout.frame_ms))
        self._values["Latency"].setText(wording.number(readout.latency_ms))
        self._values["Rays"].setText(wording.number(readout.krays_per_s))
        memory, unit = wording.memory(readout.memory_mb)
        self._values["Memory"].setText(memory)
        self._units["Memory"].setText(unit)
        if readout.width_px > 0:
            coarse = wording.size(
                -(-readout.width_px // readout.stride), -(-readout.height_px // readout.stride)
            )
            full = wording.size(readout.width_px, readout.height_px)
            self._values["Rendered"].setText(full if readout.stride == 1 else f"{coarse} of {full}")
        self._plot_history(readout.history)

    def set_precision(self, precision: str) -> None:
        """Draw the plot in the colour of the precision that runs."""
        self._precision = precision
        self._restyle()

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the scheme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._restyle()

    def _make_numbers(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for row, (name, (unit, explanation)) in enumerate(_NUMBERS.items()):
            label, value, unit_label = QLabel(name), QLabel(wording.DASH), QLabel(unit)
            value.setFont(theme.font(self, _RATE_SCALE if row == 0 else 1.0, tabular=True))
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
            if unit:
                grid.addWidget(value, row, 1)
                grid.addWidget(unit_label, row, 2)
            else:
                grid.addWidget(value, row, 1, 1, 2)
        return grid

    def _make_plot(self) -> pg.PlotWidget:
        plot = pg.PlotWidget(self)
        plot.setFixedHeight(_PLOT_HEIGHT_PX)
        plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        plot.setMinimumWidth(120)
        # The wheel scrolls the panel, also over the plot.
        plot.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        plot.setAccessibleName("Plot of frame times in ms")
        plot.setFrameShape(plot.Shape.NoFrame)
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        plot.setMouseEnabled(x=False, y=False)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.hideAxis("bottom")
        plot.showGrid(y=True, alpha=0.25)
        axis = plot.getAxis("left")
        axis.setWidth(38)
        axis.setTicks([])
        axis.setStyle(tickLength=0, tickFont=theme.font(self, 0.85, tabular=True))
        self._curve = plot.plot()
        self._curve.setFillLevel(0)
        return plot

    def _plot_history(self, history: tuple[float, ...]) -> None:
        values = [value for value in history if math.isfinite(value)]
        self._curve.setData(values)
        if len(values) < 2:
            return
        top = _rounded_up(max(values) * 1.05)
        self._plot.setXRange(0, len(history) - 1, padding=0)
        # The axis drops a label that would stick out, so there is room above and below.
        self._plot.setYRange(-0.1 * top, 1.1 * top, padding=0)
        self._plot.getAxis("left").setTicks(
            [[(part * top / 2, f"{part * top / 2:g}") for part in range(3)]]
        )

    def _restyle(self) -> None:
        tones = theme.tones_of(self)
        color = theme.precision_color(self._precision, theme.is_dark(self.palette()))
        fill = QColor(color)
        fill.setAlphaF(0.16)
        self._plot.setBackground(QColor(tones.base))
        axis = self._plot.getAxis("left")
        axis.setPen(QColor(tones.line))
        axis.setTextPen(QColor(tones.muted))
        self._curve.setPen(pg.mkPen(color, width=1.5))
        self._curve.setBrush(fill)

    def sizeHint(self) -> QSize:
        """Wide enough for the largest numbers."""
        return QSize(220, super().sizeHint().height())


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 4 times a power of ten, so that the axis does not jump with every frame."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 10) if step * power >= value)
