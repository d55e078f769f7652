"""How a learning goes: its stages over one bar, and dB over the time of training."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from r2l_core.training.watching import Stage
from viewer.widgets import theme
from viewer.widgets.controls.quiet_plot import QuietPlot, rounded_up
from viewer.widgets.panels.learn_readout import STAGES, LearningCurve

_BAR_PX = 4
_ARROW = " → "


class StageStrip(QWidget):
    """Teacher → Light field → Test, and the share of the training that is done."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Stage")
        self._stage, self._share = Stage.STARTING, 0.0

    def show_progress(self, stage: Stage, share: float | None) -> None:
        """The present stage, and the share of the training that is done; None: as before."""
        self._stage = stage
        self._share = 0.0 if stage is Stage.STARTING else self._share if share is None else share
        words = f"{100 * self._share:.0f} % of the training is done"
        self.setAccessibleDescription(f"{STAGES.get(stage, stage)}: {words}")
        self.setToolTip(words)
        self.update()

    def sizeHint(self) -> QSize:
        """One line of text and the bar."""
        return QSize(120, self.fontMetrics().height() + _BAR_PX + 4)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the names and the bar."""
        painter, tones = QPainter(self), theme.tones_of(self)
        metrics, left = self.fontMetrics(), 0
        for number, (stage, name) in enumerate(STAGES.items()):
            for text, bright in ((_ARROW if number else "", False), (name, stage is self._stage)):
                painter.setPen(QColor(tones.text if bright else tones.disabled))
                painter.drawText(left, metrics.ascent(), text)
                left += metrics.horizontalAdvance(text)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        bar = QRectF(0, metrics.height() + 3, self.width(), _BAR_PX)
        painter.setBrush(QColor(tones.line))
        painter.drawRoundedRect(bar, _BAR_PX / 2, _BAR_PX / 2)
        if self._share > 0:
            bar.setWidth(max(self._share * self.width(), _BAR_PX))
            painter.setBrush(QColor(tones.accent))
            painter.drawRoundedRect(bar, _BAR_PX / 2, _BAR_PX / 2)


_HEIGHT_PX = 168
_AXIS_PX = 26
_LEAST_SPAN_DB = 4.0
_TICKS = 5
_MOST_TIMES = 5
_ROOM_FOR_LABELS = 0.94


class CurvePlot(QWidget):
    """The teacher's line is grey, with rings for views that it does not learn from; the light
    field's has the accent's colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve, self._seconds = LearningCurve(), 60.0
        name = "dB over the time of training"
        self._plot = QuietPlot(name, _HEIGHT_PX, ("left", "bottom"), _AXIS_PX, self)
        self._plot.scheme_changed.connect(self._draw)
        self._plot.showGrid(x=False, y=True, alpha=0.25)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._plot)
        self._draw()

    def show_curve(self, curve: LearningCurve, minutes: float) -> None:
        """Draw it over `minutes`, which the whole training takes."""
        self._curve, self._seconds = curve, 60.0 * minutes
        self._draw()

    def _draw(self) -> None:
        tones, plot = theme.tones_of(self), self._plot
        plot.restyle(tones)
        plot.clear()
        colors = {Stage.TEACHER: tones.muted, Stage.LIGHT_FIELD: tones.accent}
        for stage, points in self._curve.trained.items():
            color = QColor(colors.get(stage, tones.muted))
            x, y = _columns(points)
            pen = pg.mkPen(color, width=1.8)
            plot.addItem(pg.PlotDataItem(x, y, pen=pen, antialias=True))
            # Where it is now.
            plot.addItem(
                pg.PlotDataItem(
                    x[-1:],
                    y[-1:],
                    pen=None,
                    symbol="o",
                    symbolSize=6,
                    symbolBrush=color,
                    symbolPen=None,
                )
            )
        x, y = _columns(self._curve.held_out)
        ring = pg.mkPen(QColor(tones.text), width=1.2)
        plot.addItem(
            pg.PlotDataItem(
                x, y, pen=None, symbol="o", symbolSize=6, symbolBrush=None, symbolPen=ring
            )
        )
        self._scale()

    def _scale(self) -> None:
        every = [db for points in self._curve.trained.values() for _, db in points]
        every += [db for _, db in self._curve.held_out]
        low, high = min(every, default=10.0), max(every, default=30.0)
        high = max(high, low + _LEAST_SPAN_DB)
        self._plot.setYRange(low, high, padding=0.08)
        self._plot.setXRange(0.0, self._seconds, padding=0.02)
        step = rounded_up((high - low) / _TICKS)
        first = math.ceil(low / step)
        marks = [at * step for at in range(first, math.floor(high / step) + 1)]
        self._plot.getAxis("left").setTicks([[(mark, f"{mark:g}") for mark in marks]])
        self._plot.getAxis("bottom").setTicks([_times(self._seconds)])


def _columns(
    points: tuple[tuple[float, float], ...],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    table = np.array(points, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _times(seconds: float) -> list[tuple[float, str]]:
    """Marks of the time axis: in minutes, or in seconds where it lasts little more than one."""
    unit, name = (60.0, "min") if seconds >= 120.0 else (1.0, "s")
    span = seconds / unit
    step = rounded_up(span / _MOST_TIMES, (1, 2, 3, 5, 10))
    # A label at the very edge would be cut off.
    last = math.floor(_ROOM_FOR_LABELS * span / step)
    return [(at * step * unit, f"{at * step:g} {name}" if at else "0") for at in range(last + 1)]
