"""Quiet labels that lie over the picture: badge, busy notice, first-start hint."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QLabel, QWidget

from viewer.widgets import theme

_BACKGROUND = QColor(18, 18, 18, 205)
_TEXT = QColor(240, 240, 240)
_FILMING = QColor(120, 12, 8, 235)
_CORNER_PX = 5.0
_INSET_PX = 12
_BETWEEN_PX = 6


class OverlayLabel(QLabel):
    """Light text on a dark translucent plate, in both schemes: what lies under it is a picture."""

    def __init__(
        self, name: str, parent: QWidget, marker: QColor | None = None, plate: QColor = _BACKGROUND
    ) -> None:
        super().__init__(parent)
        self._marker = marker
        self._plate = plate
        self.setAccessibleName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme.set_text_color(self, _TEXT)
        self.setContentsMargins(22 if marker else 11, 6, 11, 6)
        self.hide()

    def show_text(self, text: str | None) -> None:
        """Show `text`, or hide where it is None or empty."""
        if (text or "") == self.text():
            self.setVisible(bool(text))
            return
        self.setText(text or "")
        self.adjustSize()
        self.setVisible(bool(text))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the plate and the marker dot, then the text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._plate)
        painter.drawRoundedRect(QRectF(self.rect()), _CORNER_PX, _CORNER_PX)
        if self._marker is not None:
            painter.setBrush(self._marker)
            painter.drawEllipse(QRectF(9, self.height() / 2 - 3.5, 7, 7))
        painter.end()
        super().paintEvent(event)


class PictureOverlays(QObject):
    """The labels of one picture, each in its corner of the pane."""

    hint_dismissed = pyqtSignal()

    def __init__(self, pane: QWidget) -> None:
        super().__init__(pane)
        self._pane = pane
        self._busy = OverlayLabel("Busy", pane, QColor("#f2c14e"))
        self._waiting = OverlayLabel("What is shown meanwhile", pane)
        self._filming = OverlayLabel("Filming the screen", pane, QColor("#ff3b30"), _FILMING)
        self._badge = OverlayLabel("Remark on this view", pane, QColor("#b8b8b8"))
        self._hint = OverlayLabel("First steps", pane)

    @property
    def busy(self) -> bool:
        """Whether it is said that something is waited for."""
        return not self._busy.isHidden()

    @property
    def waiting(self) -> bool:
        """Whether the picture is said not to be what was asked for."""
        return bool(self._waiting.text())

    def show_busy(self, text: str | None) -> None:
        """Say in the corner what is being waited for, or nothing more."""
        self._show(self._busy, text)
        # Without a picture it says another thing while nothing is waited for.
        self._pane.update()

    def show_waiting(self, text: str) -> None:
        """Say that the picture, which is dimmed then, is not what was asked for; empty: it is."""
        self._show(self._waiting, text)
        self._pane.update()

    def show_filming(self, text: str | None) -> None:
        """Say in the middle above the picture that the screen is being filmed; None: no more."""
        self._show(self._filming, text)

    def show_badge(self, text: str | None) -> None:
        """Remark on this view, such as "outside trained views"; None takes it away."""
        self._show(self._badge, text)

    def show_hint(self, rows: list[tuple[str, str]]) -> None:
        """First-start hint of (key, what it does) rows; the first drag takes it away."""
        cells = "".join(
            f"<tr><td align='right'><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>"
            for key, text in rows
        )
        self._hint.setTextFormat(Qt.TextFormat.RichText)
        self._show(self._hint, f"<table cellspacing='3'>{cells}</table>")

    def dismiss_hint(self) -> None:
        """Take the first-start hint away."""
        if not self._hint.isHidden():
            self._hint.hide()
            self.hint_dismissed.emit()

    def arrange(self) -> None:
        """Put the labels back into their corners."""
        inset, width, height = _INSET_PX, self._pane.width(), self._pane.height()
        self._filming.move((width - self._filming.width()) // 2, 2)
        # At the lower edge, where no header of a pane lies.
        self._busy.move(inset, height - self._busy.height() - inset)
        above = self._busy.height() + _BETWEEN_PX if self.busy else 0
        self._waiting.move(inset, height - self._waiting.height() - inset - above)
        self._badge.move(width - self._badge.width() - inset, inset)
        self._hint.move((width - self._hint.width()) // 2, height - self._hint.height() - 3 * inset)

    def _show(self, label: OverlayLabel, text: str | None) -> None:
        label.show_text(text)
        self.arrange()
