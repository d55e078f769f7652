"""Finds parts of the window as a person or a screen reader would, by the name they bear; drops
files on it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent
from PyQt6.QtWidgets import QAbstractButton, QLabel, QWidget

from viewer.app import App

_W = TypeVar("_W", bound=QWidget)


def named(parent: QWidget, kind: type[_W], name: str) -> _W:
    """The one widget of this kind inside `parent` that is called so."""
    (found,) = [one for one in parent.findChildren(kind) if one.accessibleName() == name]
    return found


def button(parent: QWidget, text: str) -> QAbstractButton:
    """The one button inside `parent` whose words begin so."""
    (found,) = [one for one in parent.findChildren(QAbstractButton) if one.text().startswith(text)]
    return found


def words(parent: QWidget) -> str:
    """Everything that labels inside `parent` say, hidden ones left out."""
    return "\n".join(one.text() for one in parent.findChildren(QLabel) if not one.isHidden())


def drop(app: App, path: Path | str) -> None:
    """Let a file fall onto the picture."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    app.window.pane.dropEvent(event)
