"""An error above the picture: what happened, why, and what to do. It blocks nothing."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QGuiApplication, QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.flat import FlatButton

_STRIPE_PX = 4


class MessageBar(QWidget):
    """Hidden until `show_error`; goes away with its cross or `dismiss`."""

    retry_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Error")
        self._details = "\n"
        self._what = QLabel(self)
        self._what.setWordWrap(True)
        self._what.setFont(theme.font(self, bold=True))
        self._why = QLabel(self)
        self._why.setWordWrap(True)
        self._why.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        for label in (self._what, self._why):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._what)
        words.addWidget(self._why)
        retry = FlatButton("Try again", "Do once more what failed", self)
        retry.clicked.connect(self.retry_requested)
        copy = FlatButton("Copy details", "Copy this message to the clipboard", self)
        copy.clicked.connect(self._copy)
        close = QToolButton(self)
        close.setText("×")
        close.setAutoRaise(True)
        close.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        close.setFont(theme.font(self, 1.3))
        close.setToolTip("Dismiss (Esc)")
        close.setAccessibleName("Dismiss")
        close.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(14 + _STRIPE_PX, 8, 8, 8)
        row.setSpacing(8)
        row.addLayout(words, 1)
        for button in (retry, copy, close):
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    def show_error(self, what: str, why: str, remedy: str) -> None:
        """Show one error, in place of any before it. `what` and `why` have no full stop."""
        reason = " ".join(part for part in (f"{wording.capital(why)}.", remedy) if part)
        self._details = f"{what}\n{reason}"
        self._what.setText(wording.breakable(what))
        self._why.setText(wording.breakable(reason))
        self.show()

    def dismiss(self) -> None:
        """Hide the bar."""
        self.hide()

    def details(self) -> str:
        """The message as plain text."""
        return self._details

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint a quiet ground with a stripe in the colour of errors."""
        tones = theme.tones_of(self)
        painter = QPainter(self)
        error = QColor(tones.error)
        painter.fillRect(self.rect(), theme.mixed(QColor(tones.window), error, 0.12))
        painter.fillRect(QRectF(0, 0, _STRIPE_PX, self.height()), error)

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(self.details())
