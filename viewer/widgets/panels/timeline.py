"""The timeline: keyframes on a time axis, and what plays, edits and stores them."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QWidget

from viewer.widgets import theme
from viewer.widgets.controls.flat import FlatButton, FlatToggle
from viewer.widgets.panels.timeline_readout import TimelineReadout, clock
from viewer.widgets.panels.timeline_track import TimelineTrack


class Timeline(QWidget):
    """Says what is wished for; shows the path and the time it is told. The track's signals are
    its own: see `TimelineTrack`."""

    play_toggled = pyqtSignal(bool)
    loop_toggled = pyqtSignal(bool)
    add_requested = pyqtSignal()
    key_requested = pyqtSignal()
    """The marked keyframe is to be edited."""
    presets_requested = pyqtSignal(QWidget)
    """The widget that a menu of ready-made paths belongs to."""
    record_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Timeline")
        self._readout = TimelineReadout()
        self._seconds = 0.0
        self.track = TimelineTrack(self)
        self._play = FlatToggle("Play", "Move the camera along the path (P)", self)
        self._loop = FlatToggle("Loop", "Lead the path back to its beginning", self)
        self._time = QLabel(self)
        self._time.setAccessibleName("Time on the path")
        self._time.setFont(theme.font(self, tabular=True))
        self._time.setMinimumWidth(self._time.fontMetrics().horizontalAdvance("00:00.0 / 00:00.0"))
        self._time.setAlignment(Qt.AlignmentFlag.AlignCenter)
        add = FlatButton("+ Key", "Add the present view as a keyframe (K)", self)
        self._key = FlatButton(
            "Edit key…", "Edit the marked keyframe: field of view, precisions, wipe, gain", self
        )
        self._delete = FlatButton(
            "Delete", "Delete the marked keyframe (Del in the timeline)", self
        )
        self._undo = FlatButton("Undo", "Undo the last edit of the path (Ctrl+Z here)", self)
        self._redo = FlatButton("Redo", "Make the undone edit again (Ctrl+Shift+Z here)", self)
        presets = FlatButton("Presets", "Begin with a ready-made path", self)
        self._record = FlatButton("Record…", "Make a film of the path (Ctrl+R)", self)
        self._play.toggled.connect(self.play_toggled)
        self._loop.toggled.connect(self.loop_toggled)
        add.clicked.connect(self.add_requested)
        self._key.clicked.connect(self.key_requested)
        self._delete.clicked.connect(self.track.delete_requested)
        self._undo.clicked.connect(self.track.undo_requested)
        self._redo.clicked.connect(self.track.redo_requested)
        presets.clicked.connect(lambda: self.presets_requested.emit(presets))
        self._record.clicked.connect(self.record_requested)
        self.track.play_requested.connect(self._play.click)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        for left in (self._play, self._loop, self._time):
            row.addWidget(left)
        row.addWidget(self.track, 1)
        for widget in (add, self._key, self._delete, self._undo, self._redo, presets, self._record):
            row.addWidget(widget)
        self.show_readout(self._readout)

    def show_readout(self, readout: TimelineReadout) -> None:
        """Show another path; reports nothing."""
        self._readout = readout
        self.track.show_readout(readout)
        has_path = bool(readout.key_seconds)
        self._play.setEnabled(readout.seconds > 0)
        self._loop.setEnabled(has_path)
        self._record.setEnabled(has_path)
        self._key.setEnabled(readout.selected is not None)
        self._delete.setEnabled(readout.selected is not None)
        self._undo.setEnabled(readout.can_undo)
        self._redo.setEnabled(readout.can_redo)
        _check(self._loop, readout.loop)
        self.show_time(self._seconds)

    def show_time(self, seconds: float) -> None:
        """Show where on the path the camera is."""
        self._seconds = seconds
        self.track.show_time(seconds)
        self._time.setText(f"{clock(seconds)} / {clock(self._readout.seconds)}")

    def show_playing(self, on: bool) -> None:
        """Show whether the camera moves along the path; reports nothing."""
        _check(self._play, on)
        self._play.setText("Pause" if on else "Play")


def _check(toggle: FlatToggle, on: bool) -> None:
    toggle.blockSignals(True)
    toggle.setChecked(on)
    toggle.blockSignals(False)
    toggle.update()
