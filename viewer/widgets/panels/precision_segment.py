"""One precision in the switch: its colour, its name and its key."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from r2l_core.types import Precision
from viewer.widgets import theme

_BAR_PX = 4
_INSET_PX = 7
_KEY_SCALE = 0.88


class PrecisionSegment(QAbstractButton):
    """Checked means it runs; pending means it was chosen and is being built."""

    def __init__(
        self, precision: Precision, key: str, why_not: str | None, parent: QWidget
    ) -> None:
        """`why_not`: why it cannot run here, or None where it can. Recipes are set smaller."""
        super().__init__(parent)
        self.precision = precision
        self._key = key
        self._pending = False
        self._scale = 0.9 if precision.published_recipe else 1.0
        self.setText(str(precision))
        self.setAccessibleName(f"Precision {precision}")
        self.setEnabled(why_not is None)
        self.setToolTip(
            f"Render in {precision} ({key})"
            if why_not is None
            else f"{precision} cannot run here: {why_not}"
        )
        self.setCheckable(True)
        # A click must not take the arrow keys away from the picture.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def nextCheckState(self) -> None:
        """A click alone checks nothing: the segment is checked when its engine runs."""

    def set_pending(self, pending: bool) -> None:
        """Mark as chosen but not yet running."""
        self._pending = pending
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the name, also when it is bold, and for the key."""
        name = QFontMetrics(theme.font(self, self._scale, bold=True))
        key = QFontMetrics(theme.font(self, self._scale * _KEY_SCALE))
        width = name.horizontalAdvance(self.text()) + key.horizontalAdvance(self._key) + 4
        return QSize(width + 2 * _INSET_PX, name.height() + round(17 * self._scale**3))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the cell, its colour bar, its name and its key."""
        tones, enabled = theme.tones_of(self), self.isEnabled()
        color = theme.precision_color(self.precision, theme.is_dark(self.palette()))
        painter = QPainter(self)
        self._paint_cell(painter, tones, color)
        if not enabled:
            color.setAlphaF(0.4)
        bar = QRectF(0, self.height() - _BAR_PX, self.width(), _BAR_PX)
        theme.paint_swatch(painter, bar, color, theme.is_simulated(self.precision))
        room = self.rect().adjusted(_INSET_PX, 0, -_INSET_PX, -_BAR_PX + 1)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setFont(theme.font(self, self._scale, bold=self.isChecked()))
        painter.setPen(QColor(tones.text if enabled else tones.disabled))
        painter.drawText(room, int(middle | Qt.AlignmentFlag.AlignLeft), self.text())
        painter.setFont(theme.font(self, self._scale * _KEY_SCALE))
        painter.setPen(QColor(tones.muted if enabled else tones.disabled))
        painter.drawText(room, int(middle | Qt.AlignmentFlag.AlignRight), self._key)

    def _paint_cell(self, painter: QPainter, tones: theme.Tones, color: QColor) -> None:
        fill, edge = QColor(tones.button), QPen(QColor(tones.line), 1)
        if not self.isEnabled():
            fill = QColor(tones.window)
        elif self.isChecked():
            fill, edge = theme.mixed(fill, color, 0.24), QPen(color, 1)
        elif self.underMouse():
            fill = theme.mixed(fill, QColor(tones.text), 0.07)
        if self._pending:
            edge = QPen(color, 1, Qt.PenStyle.DashLine)
        cell = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(edge)
        painter.setBrush(fill)
        painter.drawRect(cell)
        if self.hasFocus():
            painter.setPen(QPen(QColor(tones.text), 1))
            painter.drawRect(cell.adjusted(2, 2, -2, -_BAR_PX - 1))
