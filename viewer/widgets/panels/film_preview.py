"""The newest frame of a film that is being made."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from viewer.widgets import theme
from viewer.widgets.picture.picture import Picture

_SIZE_PX = (420, 150)
"""Where there is room for it."""


class FilmPreview(QWidget):
    """The newest frame, made to fit."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Newest frame")
        self.setFixedHeight(_SIZE_PX[1])
        self._picture: Picture | None = None

    def show_picture(self, picture: Picture) -> None:
        """Show this one."""
        self._picture = picture
        self.update()

    def sizeHint(self) -> QSize:
        """The width it gives way with, and the height it keeps."""
        return QSize(*_SIZE_PX)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """The picture in the middle, or words."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.tones_of(self).surround))
        if self._picture is None:
            painter.setPen(QColor(theme.tones_of(self).on_surround))
            painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter), "No frame yet")
            return
        image = self._picture.image
        room = QRectF(self.rect()).adjusted(6, 6, -6, -6)
        shown = image.size().toSizeF().scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF(0, 0, shown.width(), shown.height())
        place.moveCenter(room.center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, image)
