"""How many pixels differ by how much, over the colour bar of the same scale."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QWidget

from viewer.state.display_options import DifferenceOptions
from viewer.widgets import theme
from viewer.widgets.compare.color_bar import BEYOND_PX, colors_of
from viewer.widgets.compare.difference_scale import DifferenceReadout
from viewer.widgets.controls.quiet_plot import QuietPlot

_HEIGHT_PX = 84
_FLOOR = math.log10(0.6)
"""Foot of the bars: that of a single pixel still shows."""
_NAMES = ("1", "10", "100", "1k", "10k", "100k", "1M", "10M")


class DifferenceHistogram(QuietPlot):
    """Bars in the colours of the scale; pixels on a logarithmic axis."""

    def __init__(self, parent: QWidget | None = None) -> None:
        name = "Histogram of the difference: pixels, on a logarithmic axis"
        super().__init__(name, _HEIGHT_PX, parent=parent)
        self._bars = pg.BarGraphItem(x0=[], y0=[], width=1.0, height=[])
        self.addItem(self._bars)
        self._edge = pg.PlotCurveItem([0, 1], [_FLOOR], stepMode="center")
        self.addItem(self._edge)
        self.showGrid(y=True, alpha=0.25)
        self._show_decades(1)
        # Over the bar itself, not over the block beside it for what is beyond the scale.
        self.plotItem.setContentsMargins(0, 0, BEYOND_PX, 0)

    def show_readout(
        self, readout: DifferenceReadout, options: DifferenceOptions, tones: theme.Tones
    ) -> None:
        """Show the histogram in the colours of `options`, on those of the scheme."""
        self.restyle(tones)
        counts = np.array(readout.histogram, dtype=float)
        bins = len(counts)
        heights = np.where(counts > 0, np.log10(np.maximum(counts, 1)) - _FLOOR, 0.0)
        colors = 255 if readout.kind.signed else 256
        middles = ((np.arange(bins) + 0.5) * colors / bins).astype(int)
        brushes = [QColor.fromRgb(int(rgb)) for rgb in colors_of(options)[middles]]
        self._bars.setOpts(
            x0=np.arange(bins),
            y0=np.full(bins, _FLOOR),
            width=1.0,
            height=heights,
            brushes=brushes,
            pen=None,
        )
        # An edge around them all: the ends of a scale may be as dark or as light as the ground.
        self._edge.setData(np.arange(bins + 1), heights + _FLOOR)
        self._edge.setPen(QColor(tones.muted))
        self.setXRange(0, bins, padding=0)
        self._show_decades(math.ceil(math.log10(max(readout.pixels, 10))))

    def clear_bars(self) -> None:
        """Show that there is no difference to count."""
        self._bars.setOpts(x0=[], y0=[], width=1.0, height=[], brushes=None)
        self._edge.setData([0, 1], [_FLOOR])

    def _show_decades(self, decades: int) -> None:
        self.setYRange(_FLOOR, decades + 0.2, padding=0)
        step = 2 if decades > 3 else 1
        ticks = [(float(at), _NAMES[at]) for at in range(0, min(decades, 7) + 1, step)]
        self.getAxis("left").setTicks([ticks])
