"""All keys on one sheet over the window, read from its menus so that it cannot go stale."""

from __future__ import annotations

from html import escape
from itertools import combinations, pairwise

from PyQt6.QtCore import QEvent, QObject, QRect, Qt
from PyQt6.QtGui import (
    QAction,
    QColor,
    QHideEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PyQt6.QtWidgets import QFrame, QLabel, QMainWindow, QMenu, QScrollArea, QWidget

from viewer.widgets import theme

_MOST_COLUMNS = 2
_MARGIN_PX = 28
_PADDING_PX = 24
Section = tuple[str, list[tuple[str, str]]]
"""A heading and its (keys, what they do) rows."""


def sections_of(window: QMainWindow, gestures: tuple[tuple[str, str], ...]) -> list[Section]:
    """What can be done: `gestures` over the picture, then each menu's actions that have a key."""
    found: list[Section] = [("Picture", list(gestures))]
    bar = window.menuBar()
    assert bar is not None
    for action in bar.actions():
        menu = action.menu()
        if menu is not None and (rows := _rows(menu)):
            found.append((action.text().replace("&", ""), rows))
    return found


def _rows(menu: QMenu) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for action in menu.actions():
        if (submenu := action.menu()) is not None:
            rows += _summary(action, _rows(submenu))
        elif not action.shortcut().isEmpty():
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            rows.append((keys, action.text().replace("&", "").rstrip("…")))
    return rows


def _summary(entry: QAction, rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """A submenu in one line: its first and its last key."""
    if not rows:
        return []
    keys = " … ".join(dict.fromkeys((rows[0][0], rows[-1][0])))
    return [(keys, entry.text().replace("&", ""))]


class KeyHelp(QWidget):
    """Covers the window until Esc, ? or a click."""

    def __init__(self, window: QMainWindow, gestures: tuple[tuple[str, str], ...]) -> None:
        super().__init__(window)
        self._window = window
        self._gestures = gestures
        self._had_focus: QWidget | None = None
        self.setAccessibleName("All keys")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setContentsMargins(_PADDING_PX, _PADDING_PX, _PADDING_PX, _PADDING_PX)
        self._text.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._sheet = QScrollArea(self)
        self._sheet.setFrameShape(QFrame.Shape.NoFrame)
        self._sheet.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._sheet.setWidget(self._text)
        window.installEventFilter(self)
        self.hide()

    def toggle(self) -> None:
        """Show the sheet, read anew from the menus, or hide it."""
        if self.isVisible():
            self.hide()
            return
        self._had_focus = self._window.focusWidget()
        self._arrange()
        self.show()
        self.raise_()
        self.setFocus()

    def words(self) -> str:
        """The sheet's rich text."""
        return self._text.text()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stay as large as the window."""
        if event is not None and event.type() == QEvent.Type.Resize and self.isVisible():
            self._arrange()
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Any click leaves."""
        self.hide()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Give the keyboard back to where it was; Qt would give it to the first control."""
        super().hideEvent(event)
        if self._had_focus is not None:
            self._had_focus.setFocus()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Darken the window behind the sheet."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 130))
        edge = self._sheet.geometry().adjusted(-1, -1, 1, 1)
        painter.fillRect(edge, QColor(theme.tones_of(self).line))

    def _arrange(self) -> None:
        self.setGeometry(self._window.rect())
        room = self.rect().adjusted(_MARGIN_PX, _MARGIN_PX, -_MARGIN_PX, -_MARGIN_PX)
        bar = self._sheet.verticalScrollBar()
        assert bar is not None
        bar_px = bar.sizeHint().width()
        # As many columns as fit: what is too high scrolls, what is too wide could not be read.
        for columns in range(_MOST_COLUMNS, 0, -1):
            self._fill(columns)
            self._text.adjustSize()
            if self._text.width() + bar_px <= room.width():
                break
        size = self._text.size()
        scrolls = size.height() > room.height()
        policy = Qt.ScrollBarPolicy
        self._sheet.setVerticalScrollBarPolicy(
            policy.ScrollBarAlwaysOn if scrolls else policy.ScrollBarAlwaysOff
        )
        if scrolls:
            size.setWidth(size.width() + bar_px)
        sheet = QRect(room.topLeft(), size.boundedTo(room.size()))
        sheet.moveCenter(room.center())
        self._sheet.setGeometry(sheet)

    def _fill(self, columns: int) -> None:
        muted = theme.tones_of(self).muted
        parts = _in_columns(sections_of(self._window, self._gestures), columns)
        cells = "".join(
            f"<td style='padding-right:{0 if part is parts[-1] else 36}px'>"
            f"<table cellspacing='0'>{''.join(_section_html(one, muted) for one in part)}"
            "</table></td>"
            for part in parts
        )
        self._text.setText(
            f"<table cellspacing='0'><tr>{cells}</tr></table>"
            f"<span style='color:{muted}'>Esc closes this sheet.</span>"
        )


def _in_columns(sections: list[Section], columns: int) -> list[list[Section]]:
    """Whole sections in their order, in columns of which the longest is as short as it can be."""
    best = [sections]
    for cuts in combinations(range(1, len(sections)), columns - 1):
        ends = (0, *cuts, len(sections))
        parts = [sections[a:b] for a, b in pairwise(ends)]
        if max(map(_height, parts)) < max(map(_height, best)):
            best = parts
    return best


def _height(sections: list[Section]) -> int:
    """Lines that the sections take, with a heading and a gap each."""
    return sum(len(rows) + 2 for _, rows in sections)


def _section_html(section: Section, muted: str) -> str:
    heading, rows = section
    body = "".join(
        f"<tr><td style='padding:2px 18px 2px 0'><b>{escape(keys)}</b></td>"
        f"<td style='padding:2px 0'>{escape(text)}</td></tr>"
        for keys, text in rows
    )
    return (
        f"<tr><td colspan='2' style='padding:6px 0 4px 0; color:{muted}'>"
        f"{escape(heading.upper())}</td></tr>{body}<tr><td>&nbsp;</td></tr>"
    )
