"""A small card over the picture: the name of a pose, and its photograph."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QImage, QPixmap
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from viewer.widgets.picture.overlay_label import OverlayLabel

PICTURE_PX = 128
"""Longest side of the photograph in logical pixels."""
_AWAY_PX = 18


class PoseCard(OverlayLabel):
    """Stands beside the pointer, inside the widget that it lies on, and takes no clicks."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Pose under the pointer", parent)
        self.setContentsMargins(0, 0, 0, 0)
        self._photograph, self._words = QLabel(self), QLabel(self)
        self._photograph.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words.setPalette(self.palette())
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 7)
        column.setSpacing(5)
        column.addWidget(self._photograph)
        column.addWidget(self._words)

    def show_pose(self, name: str, at: QPoint) -> None:
        """Show a name; the photograph follows. `at`: where the pose is, in the parent's pixels."""
        self._words.setText(name)
        self._photograph.clear()
        self._photograph.hide()
        self._stand(at)

    def show_photograph(self, image: QImage, at: QPoint) -> None:
        """Show the photograph as well, made for this screen."""
        image.setDevicePixelRatio(self.devicePixelRatioF())
        self._photograph.setPixmap(QPixmap.fromImage(image))
        self._photograph.show()
        self._stand(at)

    def words(self) -> str:
        """The name that is shown; empty while the card is hidden."""
        return "" if self.isHidden() else self._words.text()

    def has_photograph(self) -> bool:
        """Whether there is more than a name."""
        return not self._photograph.pixmap().isNull()

    def _stand(self, at: QPoint) -> None:
        column = self.layout()
        assert column is not None
        column.activate()
        self.resize(column.sizeHint())
        self.show()
        parent = self.parentWidget()
        assert parent is not None
        x, y = at.x() + _AWAY_PX, at.y() + _AWAY_PX
        if x + self.width() > parent.width():
            x = at.x() - _AWAY_PX - self.width()
        if y + self.height() > parent.height():
            y = at.y() - _AWAY_PX - self.height()
        self.move(max(0, x), max(0, y))
