"""A small window that makes films: what they should be like, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from r2l_core.recording.plan import RecordingProgress
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.flat import FlatButton, FlatCombo, FlatToggle
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.panels.film_preview import FilmPreview
from viewer.widgets.panels.record_settings import MODES, RecordSettings
from viewer.widgets.picture.picture import Picture

_WIDTH_PX = 420
_ENDINGS = "The ending says the format: .mp4, .webm, .gif, or .png for numbered pictures."
PREPARING = "Preparing…"
"""What is said of a film until its first frame is there."""
_NO_PATH = "There is no camera path: K adds the present view, Presets has ready-made ones."


class RecordPanel(QDialog):
    """Blocks nothing: the window can be used while it is open and while it records."""

    start_requested = pyqtSignal(RecordSettings)
    pause_toggled = pyqtSignal(bool)
    abort_requested = pyqtSignal()
    browse_requested = pyqtSignal()
    resume_requested = pyqtSignal()
    instead_requested = pyqtSignal()
    """What cannot be filmed should give way to what was offered instead."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Record the camera path")
        self.setModal(False)
        self._width = ValueSpin("Width", 16, 4096, 0, 16, " px", self)
        self._height = ValueSpin("Height", 16, 4096, 0, 16, " px", self)
        self._fps = ValueSpin("Frames a second", 1, 120, 2, 1, " fps", self)
        self._seconds = ValueSpin("Length", 0.05, 86400, 2, 0.5, " s", self)
        self._mode = FlatCombo(self)
        self._mode.setAccessibleName("What is recorded")
        for mode, name in MODES.items():
            self._mode.addItem(name, mode)
        self._mode.activated.connect(lambda _at: self._choose_mode())
        self._file, self._title = QLineEdit(self), QLineEdit(self)
        self._file.setAccessibleName("File")
        self._file.setToolTip(_ENDINGS)
        self._title.setAccessibleName("Title card")
        self._title.setPlaceholderText("None")
        self._title.setToolTip("Two seconds of title before the path; leave empty for none.")
        self._preview = FilmPreview(self)
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(6)
        self._words = QLabel(self)
        self._words.setWordWrap(True)
        self._words.setFont(theme.font(self, tabular=True))
        # Nothing below moves when a sentence needs two lines.
        self._words.setMinimumHeight(2 * self._words.fontMetrics().lineSpacing())
        self._words.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._start = FlatButton("Start", "Render and write every frame", self)
        self._pause = FlatToggle("Pause", "Wait after the frame in progress", self)
        self._abort = FlatButton("Stop", "End now; what is done stays and plays", self)
        self._resume = FlatButton("Resume", "", self)
        self._resume.clicked.connect(self.resume_requested)
        self._resume.hide()
        self._instead = FlatButton("", "The truth is rendered by no light field", self)
        self._instead.setAccessibleName("Film something else")
        self._instead.clicked.connect(self.instead_requested)
        self._instead.hide()
        self._start.clicked.connect(lambda: self.start_requested.emit(self.settings()))
        self._pause.toggled.connect(self.pause_toggled)
        self._abort.clicked.connect(self.abort_requested)
        self._no_path, self._idle_words, self._end_words = _NO_PATH, "", ""
        self._why_not: Mapping[str, str] = {}
        self._recording = False
        self._mode_is_chosen = False
        """Whether a person has chosen the mode."""
        self._size_is_chosen = False
        """Whether a person has edited the size."""
        for field in (self._width, self._height):
            field.edited.connect(self._choose_size)
        self._lay_out()
        for field, value in (
            (self._width, 400),
            (self._height, 400),
            (self._fps, 30),
            (self._seconds, 6),
        ):
            field.show_value(value)
        self.offer_modes({}, "A and B", "")
        self.show_path(0, 0.0)
        self.show_recording(False)

    def settings(self) -> RecordSettings:
        """What is chosen."""
        return RecordSettings(
            width_px=round(self._width.value()),
            height_px=round(self._height.value()),
            fps=self._fps.value(),
            seconds=self._seconds.value(),
            mode=self._mode.currentData(),
            file=self._file.text().strip(),
            title=self._title.text().strip(),
        )

    def show_settings(self, settings: RecordSettings) -> None:
        """Show what a film is like."""
        self._show_size(settings.width_px, settings.height_px)
        self._fps.show_value(settings.fps)
        self._seconds.show_value(settings.seconds)
        self._mode.setCurrentIndex(self._mode.findData(settings.mode))
        self._file.setText(settings.file)
        self._title.setText(settings.title)

    def show_file(self, file: str) -> None:
        """Show where the film will go."""
        self._file.setText(file)

    def propose_size(self, width_px: int, height_px: int) -> None:
        """Propose a size, before the panel is shown; what a person has edited stays."""
        if not self._size_is_chosen and self.isHidden():
            self._show_size(width_px, height_px)

    def _choose_size(self) -> None:
        self._size_is_chosen = True

    def _show_size(self, width_px: int, height_px: int) -> None:
        self._width.show_value(width_px)
        self._height.show_value(height_px)

    def show_path(self, keyframes: int, seconds: float) -> None:
        """Say what will be recorded, and propose the path's own length."""
        self._no_path = "" if keyframes else _NO_PATH
        if seconds > 0:
            self._seconds.show_value(seconds)
        count = f"{keyframes} keyframe{'s' if keyframes != 1 else ''}"
        self._idle_words = f"{count}, {seconds:.1f} s"
        self._forget_end()

    def offer_modes(self, why_not: Mapping[str, str], letters: str, panes: str) -> None:
        """`why_not`: of each mode that cannot be had, a sentence. `letters`: the two panes that are
        compared, such as "A and C"; `panes`: what they show, or nothing."""
        self._why_not = why_not
        for at, (mode, name) in enumerate(MODES.items()):
            self._mode.setItemText(at, name.format(letters))
            self._mode.offer(at, mode not in why_not, why_not.get(mode, ""))
        self._mode.setToolTip(f"{letters}: {panes}" if panes else "")
        self._offer_start()

    def offer_instead(self, words: str) -> None:
        """Offer to film something else than the truth, such as "Film int8"; empty: nothing."""
        self._instead.setText(words)
        self._instead.setVisible(bool(words))

    def propose_mode(self, mode: str) -> None:
        """Propose what of the panes is recorded, before the panel is shown; what a person has
        chosen stays."""
        proposed = self._mode.findData(mode)
        if self._mode_is_chosen or not self.isHidden() or proposed == self._mode.currentIndex():
            return
        self._mode.setCurrentIndex(proposed)
        self._forget_end()

    def offer_resume(self, words: str) -> None:
        """Offer to complete an interrupted film, such as "f.mp4, 12 of 180 frames"; empty: none."""
        self._resume.setText(f"Resume {words}")
        self._resume.setToolTip("Complete the interrupted film as it was begun")
        self._resume.setVisible(bool(words))

    def show_recording(self, on: bool) -> None:
        """Offer to start, or to pause and stop."""
        fields = (self._width, self._height, self._fps, self._seconds, self._mode, self._file)
        for field in (*fields, self._title, self._resume, self._instead):
            field.setEnabled(not on)
        self._pause.setEnabled(on)
        self._abort.setEnabled(on)
        self._pause.blockSignals(True)
        self._pause.setChecked(False)
        self._pause.blockSignals(False)
        self._bar.setRange(0, 0 if on else 1)
        self._bar.setValue(0)
        self._recording = on
        self._offer_start()
        if on:
            self._end_words = ""
            self._words.setText(PREPARING)

    def show_progress(self, progress: RecordingProgress) -> None:
        """Show how far it is, and the newest frame."""
        self._bar.setRange(0, progress.frames_total)
        self._bar.setValue(progress.frames_done)
        self._words.setText(progress_words(progress))
        self._preview.show_picture(Picture(progress.picture))

    def show_end(self, words: str) -> None:
        """Say what has become of it."""
        self._end_words = words
        self.show_recording(False)

    def _choose_mode(self) -> None:
        self._mode_is_chosen = True
        self._forget_end()

    def _forget_end(self) -> None:
        self._end_words = ""
        self._offer_start()

    def _offer_start(self) -> None:
        if self._recording:
            self._start.setEnabled(False)
            return
        problem = self._no_path or self._why_not.get(self._mode.currentData(), "")
        self._words.setText(self._end_words or problem or self._idle_words)
        self._start.setEnabled(not problem)
        self._start.setToolTip(problem or "Render and write every frame")

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        browse = FlatButton("Browse…", "Choose a folder and a name", self)
        browse.clicked.connect(self.browse_requested)
        size = _row(self._width, QLabel("×", self), self._height)
        timing = _row(self._fps, QLabel("for", self), self._seconds)
        file = _row(self._file, browse)
        file.setStretch(0, 1)
        rows = (
            ("Size of a pane", size),
            ("Speed", timing),
            ("Show", _row(self._mode)),
            ("Title card", _row(self._title)),
            ("File", file),
        )
        for number, (text, row) in enumerate(rows):
            label = QLabel(text, self)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            grid.addWidget(label, number, 0)
            grid.addLayout(row, number, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addStretch(1)
        for button in (self._pause, self._abort, self._start):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.setSpacing(8)
        column.addLayout(grid)
        column.addWidget(self._preview)
        column.addWidget(self._bar)
        column.addWidget(self._words)
        column.addWidget(self._instead)
        column.addWidget(self._resume)
        column.addLayout(buttons)
        self.setFixedWidth(_WIDTH_PX)
        for push in self.findChildren(QPushButton):
            # Enter ends the typing of a number, and begins or stops nothing.
            push.setAutoDefault(False)

    def propose_file(self, folder: str) -> None:
        """Propose a name in `folder` unless one was given."""
        if not self._file.text():
            self._file.setText(str(Path(folder) / "r2l.mp4"))


def progress_words(progress: RecordingProgress) -> str:
    """For people: "12 of 180 frames, 3 min 20 s to go"."""
    done, total = progress.frames_done, progress.frames_total
    if done == total:
        return f"{done} frames; finishing the file…"
    return f"{done} of {total} frames, {wording.duration(progress.eta_s)} to go"


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    for widget in widgets:
        row.addWidget(widget, 0 if isinstance(widget, QLabel | FlatButton) else 1)
    return row
