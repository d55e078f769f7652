"""Where in the network a precision leaves fp32: a pixel's relative error after each block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.quiet_plot import AXIS_PX, QuietPlot

_HEIGHT_PX = 132
_SWATCH_PX = 9
_HINT = "Right-click a pixel in the picture to follow it through the layers."


@dataclass(frozen=True)
class DivergenceLine:
    """One precision: |x - x_fp32| / |x_fp32| of the residual stream after each block, in order."""

    precision: str
    relative_errors: tuple[float, ...]


@dataclass(frozen=True)
class DivergenceReadout:
    """The lines of the pixel in column `x_px`, row `y_px`; or `why_not`, a clause."""

    x_px: int
    y_px: int
    lines: tuple[DivergenceLine, ...] = ()
    why_not: str = ""


class DivergencePlot(QWidget):
    """One line a precision in its colour, dashed where it is simulated, on a logarithmic axis."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Divergence from fp32 block by block")
        self._readout: DivergenceReadout | None = None
        self._caption = QLabel(_HINT, self)
        self._caption.setWordWrap(True)
        self._caption.setFont(theme.font(self, tabular=True))
        self._caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._plot = _Plot(self)
        self._plot.scheme_changed.connect(self._draw)
        self._key = _Key(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addWidget(self._caption)
        column.addWidget(self._plot)
        column.addWidget(self._key)
        self._plot.hide()

    @property
    def has_lines(self) -> bool:
        """Whether the lines of a pixel are shown."""
        return self._readout is not None and bool(self._readout.lines)

    def show_readout(self, readout: DivergenceReadout | None) -> None:
        """Show the lines of a pixel; None once it is no longer that of the picture."""
        self._readout = readout
        if readout is None:
            self._caption.setText(_HINT)
        else:
            pixel = f"Pixel {readout.x_px}, {readout.y_px}"
            self._caption.setText(
                f"{pixel}: {readout.why_not}."
                if readout.why_not
                else f"{pixel} – relative error to fp32 after each block"
            )
        lines = readout.lines if readout is not None else ()
        self._plot.setVisible(bool(lines))
        self._draw()

    def _draw(self) -> None:
        lines = self._readout.lines if self._readout is not None else ()
        self._plot.show_lines(lines, theme.tones_of(self), theme.is_dark(self.palette()))
        self._key.show_lines(lines)


class _Plot(QuietPlot):
    def __init__(self, parent: QWidget) -> None:
        name = "Relative error after each block, logarithmic"
        super().__init__(name, _HEIGHT_PX, ("left", "bottom"), parent=parent)
        self.showGrid(y=True, alpha=0.25)

    def show_lines(self, lines: tuple[DivergenceLine, ...], tones: theme.Tones, dark: bool) -> None:
        """Draw them anew, in the colours of the scheme."""
        self.restyle(tones)
        self.clear()
        everything: list[float] = []
        for line in lines:
            errors = np.array(line.relative_errors, dtype=float)
            # An error of zero is no place on a logarithmic axis: the line has a gap there.
            logs = np.log10(errors, out=np.full_like(errors, np.nan), where=errors > 0)
            everything += [float(one) for one in logs if np.isfinite(one)]
            style = theme.is_simulated(line.precision)
            pen = pg.mkPen(
                theme.precision_color(line.precision, dark),
                width=1.8,
                style=Qt.PenStyle.DashLine if style else Qt.PenStyle.SolidLine,
            )
            blocks = np.arange(1, len(errors) + 1)
            self.addItem(pg.PlotDataItem(blocks, logs, pen=pen, connect="finite", antialias=True))
        blocks_count = max((len(line.relative_errors) for line in lines), default=1)
        self.setXRange(1, max(blocks_count, 2), padding=0.02)
        low = int(np.floor(min(everything, default=-4.0)))
        high = int(np.ceil(max(everything, default=0.0)))
        high = max(high, low + 1)
        self.setYRange(low, high, padding=0.06)
        step = max(1, -(-(high - low) // 5))
        ticks = [(float(at), f"1e{at}") for at in range(low, high + 1, step)]
        self.getAxis("left").setTicks([ticks])


class _Key(QWidget):
    """Swatch, name and last error of each line, below the plot."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._names: list[QLabel] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(AXIS_PX, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)

    def show_lines(self, lines: tuple[DivergenceLine, ...]) -> None:
        """Name them, and say how far off each is at the end."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        self._names = []
        for row, line in enumerate(lines):
            name, last = QLabel(line.precision, self), QLabel(self)
            name.setContentsMargins(_SWATCH_PX + 7, 0, 0, 0)
            last.setFont(theme.font(self, tabular=True))
            error = line.relative_errors[-1] if line.relative_errors else float("nan")
            last.setText(f"{error:.1e}" if np.isfinite(error) else wording.DASH)
            last.setToolTip("Relative error after the last block.")
            last.setAccessibleName(f"Last relative error of {line.precision}")
            self._grid.addWidget(name, row, 0)
            self._grid.addWidget(last, row, 1)
            # At once: the layout alone would show them with the next event.
            name.show()
            last.show()
            self._names.append(name)
        self.setVisible(bool(lines))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter, dark = QPainter(self), theme.is_dark(self.palette())
        for name in self._names:
            place = QRectF(name.x(), name.geometry().center().y() - 4, _SWATCH_PX, _SWATCH_PX)
            color = theme.precision_color(name.text(), dark)
            theme.paint_swatch(painter, place, color, theme.is_simulated(name.text()))
