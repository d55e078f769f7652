"""Small pictures in a grid, asked for when they come into sight; the oldest are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import QAbstractListModel, QModelIndex, QObject, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from PyQt6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from viewer.widgets import theme

THUMBNAIL_PX = 58
"""Longest side in logical pixels."""
CELL_PX = THUMBNAIL_PX + 6
_KEPT = 1000


class Thumbnails(QAbstractListModel):
    """Asks for each picture once, when a view first wants to paint it."""

    wanted = pyqtSignal(int, int)
    """Position, and the longest side in device pixels."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._widget = parent
        self._names: tuple[str, ...] = ()
        self._pictures: dict[int, QPixmap] = {}
        self._asked: set[int] = set()
        self._broken: dict[int, str] = {}

    def set_names(self, names: Sequence[str]) -> None:
        """Other pictures."""
        self.beginResetModel()
        self._names = tuple(names)
        self._pictures, self._asked, self._broken = {}, set(), {}
        self.endResetModel()

    def put(self, position: int, image: QImage) -> None:
        """A picture that was asked for."""
        image.setDevicePixelRatio(self._widget.devicePixelRatioF())
        self._pictures[position] = QPixmap.fromImage(image)
        if len(self._pictures) > _KEPT:
            oldest = next(iter(self._pictures))
            del self._pictures[oldest]
            self._asked.discard(oldest)
        self._changed(position)

    def put_broken(self, position: int, why: str) -> None:
        """There is no such picture."""
        self._broken[position] = why
        self._changed(position)

    def _changed(self, position: int) -> None:
        index = self.index(position)
        self.dataChanged.emit(index, index)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """How many pictures there are."""
        return 0 if parent is not None and parent.isValid() else len(self._names)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Picture or name."""
        position = index.row()
        if not index.isValid() or position >= len(self._names):
            return None
        if role == Qt.ItemDataRole.DecorationRole:
            if position not in self._asked:
                self._asked.add(position)
                side_px = round(THUMBNAIL_PX * self._widget.devicePixelRatioF())
                self.wanted.emit(position, side_px)
            return self._pictures.get(position)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._names[position]
        if role == Qt.ItemDataRole.ToolTipRole:
            why = self._broken.get(position)
            name = f"{position + 1}: {self._names[position]}"
            return name if why is None else f"{name}\n{why}"
        if role == Qt.ItemDataRole.UserRole:
            return position in self._broken
        return None


class ThumbnailPainter(QStyledItemDelegate):
    """A picture in the middle of its cell; the current one is framed."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """All alike."""
        return QSize(CELL_PX, CELL_PX)

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Paint the picture, or its place while it is not there."""
        assert painter is not None
        assert option.widget is not None
        tones = theme.tones_of(option.widget)
        picture = index.data(Qt.ItemDataRole.DecorationRole)
        place = QRect(0, 0, THUMBNAIL_PX, THUMBNAIL_PX)
        if picture is not None:
            place.setSize((picture.size() / picture.devicePixelRatio()).boundedTo(place.size()))
        place.moveCenter(option.rect.center())
        painter.save()
        if picture is not None:
            painter.drawPixmap(place, picture)
        else:
            painter.fillRect(place, QColor(tones.surround))
            if index.data(Qt.ItemDataRole.UserRole):
                painter.setPen(QColor(tones.on_surround))
                painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), "?")
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if selected or hovered:
            color = QColor(tones.accent if selected else tones.muted)
            painter.setPen(QPen(color, 2 if selected else 1))
            painter.drawRect(place.adjusted(-1, -1, 1, 1))
        painter.restore()
