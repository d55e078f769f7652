"""The colours of a difference, and the bar that shows them with their ends and their unit."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from r2l_core.images.colors import color_map
from r2l_core.images.difference import WORST_CHANNEL, DifferenceKind
from viewer.state.display_options import SCALES, SIGNED_SCALES, DifferenceOptions
from viewer.widgets import theme
from viewer.widgets.compare import difference_scale
from viewer.widgets.compare.difference_scale import CLIPPED, INVALID
from viewer.widgets.picture.picture import Picture

CLIPPED_COLOR = "#ff2ee6"
INVALID_COLOR = "#39ff14"


@cache
def color_table(name: str) -> NDArray[np.uint32]:
    """uint32 (258,) of 0xffRRGGBB for every code of `color_codes`; `name` is cmap's."""
    count = 255 if name in SIGNED_SCALES.values() else 256
    rgb = color_map(name, count).astype(np.uint32)
    table = np.zeros(INVALID + 1, np.uint32)
    table[:count] = 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    table[CLIPPED], table[INVALID] = QColor(CLIPPED_COLOR).rgb(), QColor(INVALID_COLOR).rgb()
    table.flags.writeable = False
    return table


_BAR_PX = 9
_MARK_PX = 9
_GAP_PX = 3
BEYOND_PX = _MARK_PX + _GAP_PX
"""Beside the colours, for the block that marks what is beyond them."""
_BETWEEN_PX = 6.0
_TEXT_SCALE = 0.85


def colors_of(options: DifferenceOptions) -> NDArray[np.uint32]:
    """The colour of every code (see `color_table`) of a difference shown so."""
    signed = options.kind.signed
    return color_table(SIGNED_SCALES[options.signed_scale] if signed else SCALES[options.scale])


class ColorBar(QWidget):
    """Lies level; the low end is at the left.

    `inset_px`: where the colours begin. `names_unit`: whether the unit stands at the right end.
    """

    def __init__(
        self, inset_px: int = BEYOND_PX, names_unit: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._inset_px = inset_px
        self._names_unit = names_unit
        self._options = DifferenceOptions()
        self._top: float | None = 1.0
        self.setFont(theme.font(self, _TEXT_SCALE, tabular=True))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Colour scale")
        self.show_scale(self._options, 1.0)

    def show_scale(self, options: DifferenceOptions, top: float | None) -> None:
        """Show the colours of `options` for a scale that ends at `top` (colours being 0 to 1); None
        while that is not known, as the difference is still computed."""
        self._options, self._top = options, top
        if top is None:
            self.setToolTip(f"{_named(options.kind)}: it is still computed.")
            self.setAccessibleDescription(self.toolTip())
            self.update()
            return
        low = -top if options.kind.signed else 0.0
        ends = (difference_scale.words(options.kind, value) for value in (low, top))
        self.setToolTip(
            f"{_named(options.kind)}, {' to '.join(ends)} {options.kind.unit}. "
            "Pixels beyond the ends have the colour of the block at the right."
        )
        self.setAccessibleDescription(self.toolTip())
        self.update()

    def sizeHint(self) -> QSize:
        """Wide enough for three numbers."""
        return QSize(self._inset_px + 110, _BAR_PX + 4 + self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        """Room for its colours."""
        return QSize(self._inset_px + 50, self.sizeHint().height())

    def _ticks(self, top: float, step: float) -> list[tuple[float, str]]:
        """Every `step` up to `top`, in the unit: where along the scale, 0 to 1, and its number."""
        kind = self._options.kind
        count = int(top / step + 1e-6)
        values = [step * at for at in range(-count if kind.signed else 0, count + 1)]
        return [
            (
                (value + top) / (2 * top) if kind.signed else value / top,
                difference_scale.words(kind, value / kind.factor),
            )
            for value in values
        ]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the colours and, below them, what they mean."""
        tones = theme.tones_of(self)
        painter = QPainter(self)
        left = self._inset_px
        bar = QRectF(left, 0, self.width() - BEYOND_PX - left, _BAR_PX)
        count = 255 if self._options.kind.signed else 256
        colors = Picture(colors_of(self._options)[None, :count]).image
        painter.drawImage(bar, colors, QRectF(colors.rect()))
        ends = [bar.right() + _GAP_PX]
        if self._options.kind.signed:
            ends.append(bar.left() - BEYOND_PX)
        for x in ends:
            painter.fillRect(QRectF(x, 0, _MARK_PX, _BAR_PX), QColor(CLIPPED_COLOR))
        painter.setPen(QPen(QColor(tones.line), 1))
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))
        if self._top is not None:
            top = self._top * self._options.kind.factor
            self._paint_ticks(painter, bar, QColor(tones.muted), top)

    def _paint_ticks(self, painter: QPainter, bar: QRectF, color: QColor, top: float) -> None:
        advance = QFontMetricsF(self.font()).horizontalAdvance
        kind = self._options.kind
        unit = kind.unit if self._names_unit else ""
        row = QRectF(0, _BAR_PX + 3, self.width(), self.height() - _BAR_PX - 3)
        painter.setPen(color)
        painter.drawText(row, int(Qt.AlignmentFlag.AlignRight), unit)
        room = self.width() - advance(unit) - (_BETWEEN_PX if unit else 0.0)
        ticks: list[tuple[float, str]] = []
        for parts in (4, 2, 1):
            ticks = self._ticks(top, _round_step(top / parts))
            widest = max(advance(text) for _, text in ticks) + _BETWEEN_PX
            if len(ticks) * widest <= bar.width():
                break
        for share, text in ticks:
            x = bar.left() + share * bar.width()
            painter.fillRect(QRectF(round(x), bar.bottom(), 1, 3), color)
            start = max(x - advance(text) / 2, 0.0)
            if start + advance(text) <= room:
                painter.drawText(QRectF(start, row.top(), advance(text) + 1, row.height()), 0, text)


def _named(kind: DifferenceKind) -> str:
    return "FLIP error" if kind is DifferenceKind.FLIP else f"{kind} {WORST_CHANNEL}".capitalize()


def _round_step(largest: float) -> float:
    """The greatest of 1, 2 and 5 times a power of ten that is not above `largest`."""
    power = 10.0 ** math.floor(math.log10(largest))
    return max(step * power for step in (1, 2, 5) if step * power <= largest * (1 + 1e-9))
