"""What really runs, in words: an `EngineInfo` as a data sheet."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from r2l_core.types import EngineInfo
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.field_grid import FactGrid
from viewer.widgets.controls.flat import FlatButton

_FACTS = {
    "Arithmetic": "Number formats of the products and of the sums in the network.",
    "Weights": "How the network's weights are stored, and their size.",
    "Kernel": "The library or kernel that multiplies the matrices.",
    "Engine": "The backend that runs this precision, and the device it runs on.",
}


class _Swatch(QWidget):
    """A block of the running precision's colour; hatched where it is emulated."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.source = ""
        self.hatched = False
        self.setFixedSize(QSize(12, 12))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the block."""
        color = theme.source_color(self.source, self)
        theme.paint_swatch(QPainter(self), QRectF(self.rect()), color, self.hatched)


class EngineCard(QWidget):
    """Every line comes from the engine that rendered, never from what was asked for."""

    contest_stopped = pyqtSignal()
    """Nobody wants to know whether another engine is faster."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Engine that runs")
        self._swatch = _Swatch(self)
        self._swatch.hide()
        self._title = QLabel("Nothing runs yet", self)
        self._title.setFont(theme.font(self, bold=True))
        self._kind = QLabel(self)
        self._kind.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._facts = FactGrid(_FACTS, self)
        self._notes = QLabel(self)
        self._notes.setWordWrap(True)
        self._notes.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._notes.hide()
        self._contest = QLabel(self)
        self._contest.setWordWrap(True)
        self._contest.setAccessibleName("Search for a faster engine")
        self._contest.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._stop = FlatButton("Stop", "Stay with the engine that runs", self)
        self._stop.clicked.connect(self.contest_stopped)
        contest = QHBoxLayout()
        contest.addWidget(self._contest, 1)
        contest.addWidget(self._stop, 0, Qt.AlignmentFlag.AlignTop)
        self.show_contest("")
        head = QHBoxLayout()
        head.setSpacing(7)
        head.addWidget(self._swatch)
        head.addWidget(self._title)
        head.addStretch(1)
        head.addWidget(self._kind)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._facts)
        column.addWidget(self._notes)
        column.addLayout(contest)

    def show_contest(self, text: str) -> None:
        """How the search for a faster engine goes; empty ends it."""
        self._contest.setText(text)
        self._contest.setVisible(bool(text))
        self._stop.setVisible(bool(text))

    def show_engine(self, info: EngineInfo) -> None:
        """Describe the engine that runs."""
        self._swatch.show()
        self._swatch.source = wording.source(info)
        self._swatch.hatched = info.emulated is not None
        self._swatch.update()
        self._title.setText(wording.named(info))
        near = wording.fidelity(info)
        self._kind.setText(" · ".join(filter(None, (near, wording.how(info)))))
        how = (
            "The hardware computes in this format itself."
            if info.emulated is None
            else "The numbers are rounded as this format would, but computed in another one."
        )
        measured = f"Its picture is {near}, measured on rays of the first view." if near else ""
        self._kind.setToolTip(f"{how} {measured}".strip())
        self._facts.show_fact("Arithmetic", info.arithmetic)
        weights = f"{info.weight_type}, {wording.megabytes(info.weight_bytes)}"
        self._facts.show_fact("Weights", weights)
        self._facts.show_fact("Kernel", info.kernel)
        self._facts.show_fact("Engine", f"{info.engine} on {info.device}")
        notes = [f"Emulated: {info.emulated}"] if info.emulated else []
        notes += [f"A faster way failed. {info.fallback}."] if info.fallback else []
        self._notes.setText("\n".join(notes))
        self._notes.setVisible(bool(notes))
