"""A dock with a quiet title; its contents scroll where the window is too small for them."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QSize, Qt
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from PyQt6.QtWidgets import (
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from viewer.widgets import theme

_INSET_PX = 12
_LEAST_HEIGHT_PX = 30
_LEAST_WHOLE_HEIGHT_PX = 384
"""So that a window of 640 pixels has room for everything, one above the other."""
_BESIDE_PX = 300
"""Of a screen's height, for what is above and below such a panel, and the title of the window."""


class _Title(QWidget):
    """Name and close button. Dragging it moves the dock, a double-click floats it."""

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        name = QLabel(dock.windowTitle().upper(), self)
        spaced = theme.font(self, 0.88, bold=True)
        spaced.setLetterSpacing(spaced.SpacingType.AbsoluteSpacing, 0.8)
        name.setFont(spaced)
        name.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        close = QToolButton(self)
        close.setText("×")
        close.setAutoRaise(True)
        close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close.setToolTip(f"Close {dock.windowTitle()} (View menu brings it back)")
        close.setAccessibleName(f"Close {dock.windowTitle()}")
        close.clicked.connect(dock.close)
        row = QHBoxLayout(self)
        row.setContentsMargins(_INSET_PX, 4, 5, 2)
        row.addWidget(name, 1)
        row.addWidget(close)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Set the panel off from the one above with a hairline."""
        painter = QPainter(self)
        painter.fillRect(0, 0, self.width(), 1, QColor(theme.tones_of(self).line))


class _Scroll(QScrollArea):
    """Scrolls up and down only. With `whole` it is as high as its contents where there is room."""

    def __init__(self, contents: QWidget, whole: bool) -> None:
        super().__init__()
        self._whole = whole
        self._least_px = _LEAST_WHOLE_HEIGHT_PX
        # A click beside its controls must not take the keyboard from the picture.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(contents)

    def sizeHint(self) -> QSize:
        """The contents' size at the present width."""
        return QSize(super().sizeHint().width(), self._contents_height())

    def minimumSizeHint(self) -> QSize:
        """The contents' least width, so that nothing is cut off at the side."""
        contents, bar = self.widget(), self.verticalScrollBar()
        if contents is None or bar is None:
            return QSize(0, _LEAST_HEIGHT_PX)
        width = contents.minimumSizeHint().width() + bar.sizeHint().width()
        return QSize(width, _LEAST_HEIGHT_PX)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow contents that grow or shrink, such as a text that wraps into more lines."""
        handled = super().eventFilter(watched, event)
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return handled

    def keyPressEvent(self, a0: QKeyEvent | None) -> None:
        """Leave every key to the picture: panels scroll with the wheel."""
        assert a0 is not None
        a0.ignore()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Text wraps differently at another width."""
        super().resizeEvent(event)
        self._fit()

    def stay_within(self, height_px: int) -> None:
        """Be whole as far as a screen so high has room for it."""
        self._least_px = max(height_px - _BESIDE_PX, _LEAST_HEIGHT_PX)
        self._fit()

    def _fit(self) -> None:
        if not self._whole:
            return
        # In a low window it scrolls after all, rather than lying over the panel below.
        height, least = self._contents_height(), self._least_px
        if (height, min(height, least)) != (self.maximumHeight(), self.minimumHeight()):
            self.setMaximumHeight(height)
            self.setMinimumHeight(min(height, least))
            self.updateGeometry()

    def _contents_height(self) -> int:
        contents = self.widget()
        layout = contents.layout() if contents is not None else None
        if contents is None or layout is None:
            return _LEAST_HEIGHT_PX
        height = contents.sizeHint().height()
        if layout.hasHeightForWidth() and self.width() > 0:
            height = layout.totalHeightForWidth(self.width())
        return max(height, _LEAST_HEIGHT_PX)


class PanelDock(QDockWidget):
    """Holds panels one below the other."""

    def __init__(self, name: str, window: QMainWindow, panels: list[QWidget], whole: bool) -> None:
        """`whole`: always as high as its panels, rather than scrolling them."""
        super().__init__(name, window)
        # The name under which the window stores where the dock is.
        self.setObjectName(f"{name.lower()}_dock")
        self.setTitleBarWidget(_Title(self))
        contents = QWidget()
        column = QVBoxLayout(contents)
        column.setContentsMargins(_INSET_PX, 4, _INSET_PX, _INSET_PX)
        column.setSpacing(_INSET_PX)
        growing = [panel for panel in panels if _grows(panel)]
        for panel in panels:
            column.addWidget(panel, int(panel in growing))
        if not growing:
            column.addStretch(1)
        self._scroll = _Scroll(contents, whole)
        self.setWidget(self._scroll)
        toggle = self.toggleViewAction()
        assert toggle is not None
        toggle.setStatusTip(f"Show or hide the {name} panel")
        toggle.setToolTip(f"Show or hide the {name} panel")

    def stay_within(self, height_px: int) -> None:
        """Be no higher than a screen so high, in logical pixels, has room for."""
        self._scroll.stay_within(height_px)


def _grows(panel: QWidget) -> bool:
    """Whether a panel has a use for all the height there is."""
    return panel.sizePolicy().verticalPolicy() == QSizePolicy.Policy.Expanding
