"""The line under the picture: which precision, what was rendered, how it is scaled."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QWidget

from r2l_core.render.frames import STRIDES, Frame
from r2l_core.types import EngineInfo
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.controls.flat import FlatButton
from viewer.widgets.controls.timers import make_timer
from viewer.widgets.picture.pixel_readout import PixelProbe, PixelReadout
from viewer.widgets.picture.placement import Placement
from viewer.widgets.picture.refining import Refining, RefiningClock

_SWATCH_PX = 9
_INSET_PX = 10
_LOCK_PX = 10
_BAR_PX = 3
_REFINING_SCALE = 1.25
NOTE_MS = 15_000
"""How long a remark stays."""


class _Lock(QLabel):
    """Text behind a padlock, which not every font has."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Resolution lock")
        self.setToolTip("No picture is coarser than this, however long it takes (L changes it).")
        self.setContentsMargins(_LOCK_PX + 6, 0, 0, 0)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the padlock, then the text."""
        color = self.palette().color(self.foregroundRole())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = (self.height() - _LOCK_PX) / 2
        middle = top + 0.45 * _LOCK_PX
        painter.setPen(QPen(color, 1.3))
        shackle = QRectF(0.22 * _LOCK_PX, top, 0.56 * _LOCK_PX, 0.9 * _LOCK_PX)
        painter.drawArc(shackle, 0, 180 * 16)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawRoundedRect(QRectF(0, middle, _LOCK_PX, 0.55 * _LOCK_PX), 1.2, 1.2)
        painter.end()
        super().paintEvent(event)


class PictureFooter(QWidget):
    """Stands below the picture rather than on it, so that no pixel is covered."""

    folder_wanted = pyqtSignal(str)
    """Path of a file whose folder is to be shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._engine: EngineInfo | None = None
        self._precision = QLabel(self)
        self._precision.setFont(theme.font(self, bold=True))
        self._rendered = ElidedLabel(parent=self)
        self._refining = QLabel(self)
        self._refining.setAccessibleName("Refining")
        self._refining.setFont(theme.font(self, _REFINING_SCALE, bold=True, tabular=True))
        self._refining.hide()
        self._share: float | None = None
        self._clock = RefiningClock()
        self._pixel = PixelReadout(self)
        self._note = ElidedLabel(parent=self)
        self._note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        # At the end of what was saved stands its name.
        self._note.mode = Qt.TextElideMode.ElideMiddle
        self._note.hide()
        self._note_leaves = make_timer(self, NOTE_MS, lambda: self.show_note(""), once=True)
        self._file = ""
        self._folder = FlatButton("Show in folder", "Open the folder that it was saved in", self)
        self._folder.clicked.connect(lambda: self.folder_wanted.emit(self._file))
        self._folder.hide()
        self._lock = _Lock(self)
        self._lock.hide()
        self._display = QLabel(self)
        self._display.setToolTip("How pictures are shown; the Display panel changes it.")
        self._display.setFont(theme.font(self, bold=True, tabular=True))
        self._display.hide()
        self._scale = QLabel(self)
        self._rendered.setToolTip(
            "Pixels the network computed. A preview computes a coarser grid, with + also more "
            "pixels where the contrast is highest, and fills in the rest: by interpolation, or, "
            "carried along, from the last picture, moved as the camera was."
        )
        self._scale.setToolTip("Screen pixels for each image pixel, and how they are sampled.")
        for label in (self._note, self._scale):
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        for label in (self._rendered, self._scale):
            label.setFont(theme.font(self, tabular=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(_INSET_PX, 0, _INSET_PX, 0)
        row.setSpacing(10)
        row.addSpacing(_SWATCH_PX + 7)
        row.addWidget(self._precision)
        row.addWidget(self._refining)
        row.addWidget(self._rendered)
        row.addWidget(self._pixel)
        row.addWidget(self._note)
        row.addWidget(self._folder)
        row.addWidget(self._display)
        row.addWidget(self._lock)
        row.addWidget(self._scale)
        self.setFixedHeight(self.fontMetrics().height() + 11)

    def show_seen(self, frames: Sequence[Frame]) -> None:
        """Name what is seen, one frame or two of the same pass, and the pixels it really has: of
        two, those of the one that is further from exact."""
        pictures = [one for one in frames if not one.why_blank] or frames
        frame = min(pictures, key=lambda one: one.known_share)
        self._rendered.setText(wording.rendered(frame))
        if len(frames) == 1:
            words = wording.named(frame.engine, frame.light_field)
        else:
            # Of a mix the headers tell, which are above two.
            words = " and ".join(wording.source(one.engine, one.light_field) for one in frames)
        self._precision.setText(words)
        if frames[0].engine != self._engine:
            self._engine = frames[0].engine
            self.update()

    def show_progress(self, frame: Frame, spent_ms: float, of_another: bool = False) -> None:
        """Say when pictures like this new one will be exact. spent_ms: what the frames of all panes
        have cost until now. of_another: it is not the one that is named."""
        self._show_refining(self._clock.add(frame, spent_ms), of_another)

    def show_kept(self) -> None:
        """What is seen only stays until something else is there, and is refined no more."""
        self._show_refining(None)

    def _show_refining(self, refining: Refining | None, of_another: bool = False) -> None:
        words = refining.words if refining is not None else ""
        self._refining.setText(f"all {words}" if words and of_another else words)
        self._refining.setVisible(refining is not None)
        share = refining.share if refining is not None else None
        if share != self._share:
            self._share = share
            self.update()

    def show_placement(self, placement: Placement) -> None:
        """Say how the picture is scaled to the screen."""
        self._scale.setText(placement.words)

    def show_display(self, words: str) -> None:
        """Say that pictures are not shown as they are, and how; empty where they are."""
        self._display.setText(words)
        self._display.setVisible(bool(words))

    def show_lock(self, max_stride: int) -> None:
        """Say that no picture is coarser than that; the coarsest stride of all is no lock."""
        finest = "1:1" if max_stride == 1 else f"1/{max_stride}"
        self._lock.setText(f"locked to {finest}")
        self._lock.setVisible(max_stride < STRIDES[0])

    def show_probe(self, probe: PixelProbe | None) -> None:
        """Show the pixel under the pointer; None while it is beside the picture."""
        self._pixel.show_probe(probe)

    def show_note(self, text: str, file: str = "", stays: bool = False) -> None:
        """A remark at the right, such as how to bring hidden panels back, which leaves after a
        while; empty for none. `file`: what was written, whose folder can be opened while it is
        remarked. `stays`: until something else is."""
        self._note.setText(text)
        self._note.setToolTip(text)
        self._note.setVisible(bool(text))
        self._file = file
        self._folder.setVisible(bool(file))
        if text and not stays:
            self._note_leaves.start()
        else:
            self._note_leaves.stop()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the precision's swatch, and how far the picture is as a thin bar above."""
        if self._share is not None:
            bar = QRectF(0, 0, self.width() * self._share, _BAR_PX)
            QPainter(self).fillRect(bar, QColor(theme.tones_of(self).accent))
        if self._engine is not None:
            theme.paint_swatch(
                QPainter(self),
                QRectF(_INSET_PX, (self.height() - _SWATCH_PX) // 2, _SWATCH_PX, _SWATCH_PX),
                theme.source_color(wording.source(self._engine), self),
                self._engine.emulated is not None,
            )
