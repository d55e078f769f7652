"""Tooltips that wrap: Qt draws plain text in one line, however long it is."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QSize
from PyQt6.QtWidgets import QLabel

WIDEST_PX = 360
"""Logical pixels."""


class WrapsTips(QObject):
    """Event filter of Qt's tooltip labels: one that is wider becomes narrower and higher."""

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:
        """Wrap before the tooltip is painted."""
        if (
            a1 is not None
            and a1.type() in (QEvent.Type.Resize, QEvent.Type.Show)
            and isinstance(a0, QLabel)
            and a0.width() > WIDEST_PX
        ):
            a0.setWordWrap(True)
            a0.resize(QSize(WIDEST_PX, a0.heightForWidth(WIDEST_PX)))
        return super().eventFilter(a0, a1)


def is_tip(widget: QLabel) -> bool:
    """Whether this is the label that Qt shows tooltips in."""
    return widget.inherits("QTipLabel")
