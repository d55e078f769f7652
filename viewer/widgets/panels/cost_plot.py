"""What each of the latest images cost, part by part, and how fine it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from r2l_core.render.frames import STRIDES
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.quiet_plot import QuietPlot, rounded_up
from viewer.widgets.panels.performance_readout import PARTS, ImageCost

_EXPLAINED = {
    "rays": "Making the rays of the pixels to be computed.",
    "encode": "Sampling points on the rays and encoding their positions.",
    "network": "The light field's network itself.",
    "copy": "Filling in between the computed pixels, and copying the picture.",
    "paint": "Painting the picture in this window.",
}
_RENDERED = (
    "Pixels the network computed for the last image, of those it shows. Below, the finest complete "
    "pixel grid of each image: 1:1 is exact, 1/8 is every eighth pixel each way."
)
_IMAGES = 120
"""Bars across the plot; the newest is at the right."""
_COSTS_HEIGHT_PX = 52
_STRIDES_HEIGHT_PX = 24
_SWATCH_PX = 8


class CostPlot(QWidget):
    """Stacked bars, the strip of resolutions below them, and the key with the mean of each part."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._precision = ""
        self._costs = _Bars("Plot of the time of each image in ms", _COSTS_HEIGHT_PX, len(PARTS))
        self._costs.scheme_changed.connect(self._restyle)
        self._strides = _Bars("Plot of the resolution of each image", _STRIDES_HEIGHT_PX, 1)
        # A step up for each halving of the stride. Labels that stick out would be dropped.
        levels = len(STRIDES)
        self._strides.set_range(levels, [(1, f"1/{STRIDES[0]}"), (levels - 0.6, "1:1")])
        self._costs.showGrid(y=True, alpha=0.25)
        self._key = _Key(self)
        self._rendered = QLabel(wording.DASH, self)
        self._rendered.setFont(theme.font(self, tabular=True))
        self._rendered.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._rendered.setAccessibleName("Rendered")
        self._rendered.setToolTip(_RENDERED)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(_caption("Time of each image, ms", "Newest at the right.", self))
        column.addWidget(self._costs)
        column.addWidget(self._key)
        rendered = QHBoxLayout()
        rendered.addWidget(_caption("Rendered", _RENDERED, self))
        rendered.addWidget(self._rendered, 1)
        column.addLayout(rendered)
        column.addWidget(self._strides)
        self._restyle()

    def show_costs(self, history: Sequence[ImageCost], mean: ImageCost) -> None:
        """Show the latest images, oldest first, and the mean of each part lately."""
        self._key.show_mean(mean)
        shown = history[-_IMAGES:]
        parts = np.array([one.parts_ms for one in shown], dtype=float).reshape(-1, len(PARTS))
        # What was not measured has no height.
        parts = np.nan_to_num(parts, nan=0.0, posinf=0.0, neginf=0.0)
        self._costs.show_stacks(parts)
        levels = [1 + STRIDES.index(one.stride) for one in shown]
        self._strides.show_stacks(np.array(levels, dtype=float).reshape(-1, 1))
        if len(shown):
            # In few steps, so that the axis does not jump with every frame.
            top = rounded_up(1.05 * float(parts.sum(axis=1).max()), (1, 2, 4, 10))
            self._costs.set_range(top, [(part * top / 2, f"{part * top / 2:g}") for part in (1, 2)])

    def show_rendered(self, width_px: int, height_px: int, stride: int) -> None:
        """Say which pixels the last image has."""
        full = wording.size(width_px, height_px)
        coarse = wording.size(-(-width_px // stride), -(-height_px // stride))
        self._rendered.setText(full if stride == 1 else f"{coarse} of {full}")

    def set_precision(self, precision: str) -> None:
        """Draw in the colour of the precision that runs."""
        self._precision = precision
        self._restyle()

    def _restyle(self) -> None:
        tones = theme.tones_of(self)
        network = theme.precision_color(self._precision, theme.is_dark(self.palette()))
        ground = QColor(tones.base)
        # One hue for what the engine does, told apart by lightness; greys for the rest.
        colors = [
            theme.mixed(ground, network, 0.32),
            theme.mixed(ground, network, 0.6),
            network,
            theme.mixed(ground, QColor(tones.text), 0.62),
            theme.mixed(ground, QColor(tones.text), 0.32),
        ]
        self._costs.recolor(tones, colors)
        self._strides.recolor(tones, [theme.mixed(ground, network, 0.6)])
        self._key.restyle(colors)


class _Bars(QuietPlot):
    """A bar an image, in a stack of series."""

    def __init__(self, name: str, height_px: int, series: int) -> None:
        super().__init__(name, height_px)
        self.setXRange(0, _IMAGES, padding=0)
        self.getAxis("left").setTicks([])
        self._series = [pg.BarGraphItem(x0=[], y0=[], width=1.0, height=[]) for _ in range(series)]
        for one in self._series:
            self.addItem(one)

    def show_stacks(self, stacks: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        """Show float (images, series), the last image at the right edge."""
        n = len(stacks)
        left = np.arange(_IMAGES - n, _IMAGES, dtype=float)
        bottom = np.zeros(n)
        for position, one in enumerate(self._series):
            height = stacks[:, position]
            one.setOpts(x0=left, y0=bottom, width=1.0, height=height)
            bottom = bottom + height

    def set_range(self, top: float, ticks: list[tuple[float, str]]) -> None:
        """Let the axis end at `top`, with room for half a label above and below."""
        self.setYRange(-0.02 * top, 1.15 * top, padding=0)
        self.getAxis("left").setTicks([ticks])

    def recolor(self, tones: theme.Tones, colors: list[QColor]) -> None:
        """Follow the scheme and the precision."""
        self.restyle(tones)
        for one, color in zip(self._series, colors, strict=True):
            one.setOpts(brush=color, pen=None)


class _Swatch(QWidget):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.color = QColor()
        self.setFixedSize(QSize(_SWATCH_PX, _SWATCH_PX))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        QPainter(self).fillRect(QRectF(self.rect()), self.color)


class _Key(QWidget):
    """Name, colour and mean of each part, in the order of the stack from its foot."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 2)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(0)
        self._swatches: list[_Swatch] = []
        self._means: list[QLabel] = []
        for position, name in enumerate(PARTS):
            swatch, label, mean = _Swatch(self), QLabel(name, self), QLabel(wording.DASH, self)
            label.setFont(theme.font(self, 0.85))
            label.setContentsMargins(0, 0, 5, 0)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            mean.setFont(theme.font(self, 0.9, tabular=True))
            mean.setAccessibleName(f"Mean time of {name} ms")
            for part in (swatch, label, mean):
                part.setToolTip(f"{_EXPLAINED[name]} Mean of the last second's images in ms.")
            grid.addWidget(swatch, 0, 2 * position)
            grid.addWidget(label, 0, 2 * position + 1)
            grid.addWidget(mean, 1, 2 * position + 1)
            grid.setColumnStretch(2 * position + 1, 1)
            self._swatches.append(swatch)
            self._means.append(mean)

    def show_mean(self, mean: ImageCost) -> None:
        for label, value in zip(self._means, mean.parts_ms, strict=True):
            label.setText(wording.number(value))

    def restyle(self, colors: list[QColor]) -> None:
        for swatch, color in zip(self._swatches, colors, strict=True):
            swatch.color = color
            swatch.update()


def _caption(text: str, explanation: str, parent: QWidget) -> QLabel:
    caption = QLabel(text, parent)
    caption.setFont(theme.font(parent, 0.9))
    caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    caption.setToolTip(explanation)
    return caption
