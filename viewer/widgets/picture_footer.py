"""The line under the picture: which precision, what was rendered, how it is scaled."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QWidget

from r2l_core.types import EngineInfo, Frame
from viewer import theme
from viewer.widgets import wording
from viewer.widgets.elided_label import ElidedLabel
from viewer.widgets.placement import Placement

_SWATCH_PX = 9
_INSET_PX = 10


class PictureFooter(QWidget):
    """Stands below the picture rather than on it, so that no pixel is covered."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._engine: EngineInfo | None = None
        self._precision = QLabel(self)
        self._precision.setFont(theme.font(self, bold=True))
        self._rendered = ElidedLabel(parent=self)
        self._note = ElidedLabel(parent=self)
        self._note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._note.hide()
        self._scale = QLabel(self)
        self._rendered.setToolTip(
            "Pixels the network computed. A preview computes a coarser grid and fills in the rest."
        )
        self._scale.setToolTip("Screen pixels for each image pixel, and how they are sampled.")
        for label in (self._note, self._scale):
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        for label in (self._rendered, self._scale):
            label.setFont(theme.font(self, tabular=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(_INSET_PX, 0, _INSET_PX, 0)
        row.setSpacing(10)
        row.addSpacing(_SWATCH_PX + 7)
        row.addWidget(self._precision)
        row.addWidget(self._rendered, 1)
        row.addWidget(self._note)
        row.addWidget(self._scale)
        self.setFixedHeight(self.fontMetrics().height() + 11)

    def show_frame(self, frame: Frame) -> None:
        """Name the precision that made `frame` and the pixels it really has."""
        height_px, width_px, _ = frame.image.shape
        self._rendered.setText(wording.rendered(width_px, height_px, frame.stride))
        if frame.engine != self._engine:
            self._engine = frame.engine
            self._precision.setText(str(frame.engine.precision))
            self.update()

    def show_placement(self, placement: Placement) -> None:
        """Say how the picture is scaled to the screen."""
        self._scale.setText(placement.words)

    def show_note(self, text: str) -> None:
        """A remark at the right, such as how to bring hidden panels back; empty for none."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the precision's swatch."""
        if self._engine is not None:
            theme.paint_swatch(
                QPainter(self),
                QRectF(_INSET_PX, (self.height() - _SWATCH_PX) // 2, _SWATCH_PX, _SWATCH_PX),
                theme.precision_color(self._engine.precision, theme.is_dark(self.palette())),
                self._engine.emulated is not None,
            )
