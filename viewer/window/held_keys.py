"""The keys of the picture, which work wherever in the window no text is being edited."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from viewer.widgets.picture.picture_gestures import PictureGestures

_TEXT_EDITORS = (QLineEdit, QAbstractSpinBox, QTextEdit, QPlainTextEdit)


class HeldKeys(QObject):
    """Gives the picture the keys that nothing else has a use for.

    Unused keys travel from the widget with the keyboard up to its window, where they are taken:
    the main window, panels that float, and dialogs that block nothing.
    """

    def __init__(self, pane: PictureGestures, window: QWidget) -> None:
        super().__init__(window)
        self._pane = pane
        self._window = window
        window.installEventFilter(self)
        program = QApplication.instance()
        assert isinstance(program, QApplication)
        program.focusChanged.connect(self._focus_changed)

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:
        """Hand on a key; end what keys hold where the window goes to the back."""
        if a1 is None:
            return False
        if a1.type() == QEvent.Type.MouseButtonPress:
            self._end_editing(a0)
        # While text is edited this is told of events of every widget; these are of windows only.
        if not isinstance(a0, QWidget) or not a0.isWindow():
            return False
        if a1.type() == QEvent.Type.WindowDeactivate:
            self._pane.let_go()
        if not isinstance(a1, QKeyEvent) or self._pane.hasFocus():
            return False
        # A key that goes up was perhaps pressed before the text was begun.
        if a1.type() == QEvent.Type.KeyPress and not edits_text(QApplication.focusWidget()):
            self._pane.keyPressEvent(a1)
            return a1.isAccepted()
        if a1.type() == QEvent.Type.KeyRelease:
            self._pane.keyReleaseEvent(a1)
            return a1.isAccepted()
        return False

    def _end_editing(self, pressed: QObject | None) -> None:
        """A press on anything but the text ends its editing, as controls do not take the keyboard
        with a click."""
        editor = QApplication.focusWidget()
        if (
            editor is not None
            and edits_text(editor)
            and isinstance(pressed, QWidget)
            and pressed is not editor
            and pressed.window() is editor.window()
            and not editor.isAncestorOf(pressed)
        ):
            editor.clearFocus()

    def _focus_changed(self, _old: QWidget | None, new: QWidget | None) -> None:
        program = QApplication.instance()
        assert program is not None
        if edits_text(new):
            self._pane.let_go()
            program.installEventFilter(self)
        else:
            program.removeEventFilter(self)
        if new is None:
            return
        window = new.window()
        if window is not None and not window.isModal() and self._window.isAncestorOf(window):
            window.installEventFilter(self)


def edits_text(widget: QWidget | None) -> bool:
    """Whether letters typed into a widget become text."""
    return isinstance(widget, _TEXT_EDITORS)
