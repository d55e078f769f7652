"""Files dropped on a widget: which would be opened, and that it was."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QMimeData, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QPainter,
    QPen,
)
from PyQt6.QtWidgets import QWidget

from r2l_core.errors import plain
from viewer.widgets import theme


class FileDrop(QWidget):
    """Base of a widget that takes one local file at a time."""

    file_dropped = pyqtSignal(str)
    """Path of a dropped file."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drop_path = ""
        self._drop_at = QPointF()
        self.setAcceptDrops(True)

    def paint_drop(self, painter: QPainter) -> None:
        """Say over everything else what would be done with a file, while one is held here."""
        if not self._drop_path:
            return
        room, words = self.drop_words(self._drop_path, self._drop_at)
        frame = room.adjusted(5, 5, -5, -5)
        painter.fillRect(room, QColor(0, 0, 0, 150))
        painter.setPen(QPen(QColor(theme.tones_of(self).accent), 2, Qt.PenStyle.DashLine))
        painter.drawRect(frame)
        painter.setPen(QColor("#f0f0f0"))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(frame, int(flags), words)

    def drop_words(self, path: str, at: QPointF) -> tuple[QRectF, str]:
        """What a file dropped at a position would be opened for, and where that is said."""
        return QRectF(self.rect()), f"Open {plain(Path(path).name)}"

    def take_drop(self, path: str, at: QPointF) -> None:
        """A file was dropped at a position."""
        self.file_dropped.emit(path)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take local files and say which would be opened."""
        assert event is not None
        path = _local_file(event.mimeData())
        if path:
            self._drop_path, self._drop_at = path, event.position()
            event.acceptProposedAction()
            self.update()

    def dragMoveEvent(self, event: QDragMoveEvent | None) -> None:
        """Say what would be done with it here."""
        assert event is not None
        self._drop_at = event.position()
        event.acceptProposedAction()
        self.update()

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        """The file went elsewhere."""
        self._drop_path = ""
        self.update()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Report the file."""
        assert event is not None
        self._drop_path = ""
        self.update()
        if path := _local_file(event.mimeData()):
            event.acceptProposedAction()
            self.take_drop(path, event.position())


def _local_file(data: QMimeData | None) -> str:
    """Path of the first local file in a drag, or an empty string."""
    urls = data.urls() if data is not None else []
    return next((url.toLocalFile() for url in urls if url.isLocalFile()), "")
