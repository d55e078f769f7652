"""What the plots in the panels have in common: small, flat, in the colours of the scheme."""

from __future__ import annotations

import math

import pyqtgraph as pg
from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QSizePolicy, QWidget

from viewer.widgets import theme

AXIS_PX = 38


class QuietPlot(pg.PlotWidget):  # type: ignore[misc]
    """Is looked at only: neither mouse nor keyboard change it. `axes`: "left", "bottom"."""

    scheme_changed = pyqtSignal()
    """Who draws in it has to do so in other colours."""

    def __init__(
        self,
        name: str,
        height_px: int,
        axes: tuple[str, ...] = ("left",),
        axis_px: int = AXIS_PX,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._axes = axes
        self.setAccessibleName(name)
        self.setFixedHeight(height_px)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(120)
        # The wheel scrolls the panel, also over the plot.
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFrameShape(self.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        if "bottom" not in axes:
            self.hideAxis("bottom")
        for side in axes:
            self.getAxis(side).setStyle(tickLength=0, tickFont=theme.font(self, 0.85, tabular=True))
        self.getAxis("left").setWidth(axis_px)

    def changeEvent(self, event: QEvent | None) -> None:
        """Say when the scheme is another one."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self.scheme_changed.emit()

    def restyle(self, tones: theme.Tones) -> None:
        """Follow the scheme."""
        self.setBackground(QColor(tones.base))
        for side in self._axes:
            self.getAxis(side).setPen(QColor(tones.line))
            self.getAxis(side).setTextPen(QColor(tones.muted))


def rounded_up(value: float, steps: tuple[int, ...] = (1, 2, 5, 10)) -> float:
    """The next of `steps` times a power of ten; 1 for what is not above 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in steps if step * power >= value)
