"""How far a learning is: its stages by name, the present one bright, over one bar."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from r2l_core.training.watching import Stage
from viewer.widgets import theme
from viewer.widgets.panels.learn_readout import STAGES

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
