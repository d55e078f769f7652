"""Photographs to a light field: what to learn, and how it goes while the picture shows it."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from r2l_core.training.watching import LearningProgress, Stage
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.controls.field_grid import FactGrid, FieldGrid
from viewer.widgets.controls.flat import FlatButton, FlatToggle
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.panels.learn_progress import CurvePlot, StageStrip
from viewer.widgets.panels.learn_readout import LearningCurve, LearnSettings

_MINUTES = 120.0
_LEAST_WIDTH_PX = 276
"""Room for a curve, and for the names of the docks beside it."""
_INTRODUCTION = (
    "Photographs with poses become a light field. The picture shows what is learned by now, while "
    "you drag it."
)
_FACTS = {
    "Rays": "How many it learns from in a second.",
    "Trained": "Time of training, without pauses, of all it will have.",
    "Unseen": "The teacher on photographs that it does not learn from: the rings in the plot.",
}
_WHAT_DB = {
    Stage.TEACHER: "on its photographs",
    Stage.LIGHT_FIELD: "on its rays",
    Stage.DONE: "on the test views",
}
_WORDS = {
    Stage.STARTING: "Starting…",
    Stage.COMPARING: "Comparing with the test views…",
    Stage.STOPPED: "Stopped; what was learned is kept",
    Stage.FAILED: "It ended; what was saved is kept",
    Stage.DONE: "Done",
}


class LearnPanel(QWidget):
    """Asks what to learn while nothing is learned, and then shows how it goes."""

    start_requested = pyqtSignal(LearnSettings)
    resume_requested = pyqtSignal()
    pause_toggled = pyqtSignal(bool)
    stop_requested = pyqtSignal()
    stay_toggled = pyqtSignal(bool)
    show_requested = pyqtSignal()
    dataset_browse_requested = pyqtSignal()
    file_browse_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Learn")
        self._proposed = ""
        """The file that was proposed last: one that was typed is not replaced."""
        self._left_words = ""
        self._settings = self._make_settings()
        self._course = self._make_course()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._settings)
        column.addWidget(self._course)
        self._course.hide()
        self.setMinimumWidth(_LEAST_WIDTH_PX)
        self.offer_resume("")

    # What to learn

    def settings(self) -> LearnSettings:
        """What is chosen."""
        return LearnSettings(
            dataset=self._dataset.text().strip(),
            out=self._file.text().strip(),
            minutes=self._minutes.value(),
            half_res=self._half.isChecked(),
        )

    def show_settings(self, settings: LearnSettings) -> None:
        """Show what is learned."""
        self._dataset.setText(settings.dataset)
        self._file.setText(settings.out)
        self._minutes.show_value(settings.minutes)
        self._half.setChecked(settings.half_res)

    def show_dataset(self, folder: str) -> None:
        """Show which photographs are meant, and propose a file for what is learned from them."""
        self._dataset.setText(folder)
        self._propose()

    def show_file(self, file: str) -> None:
        """Show where the light field will go."""
        self._file.setText(file)

    def offer_resume(self, words: str) -> None:
        """Offer to go on with an unfinished one, "chair, 30 s of 2 min 00 s"; empty: none."""
        self._resume.setText(f"Resume {words}")
        self._resume.setVisible(bool(words))

    # How it goes

    def show_learning(self, on: bool) -> None:
        """Offer to start, or to pause and stop."""
        self._settings.setVisible(not on)
        self._course.show()
        for part in (self._pause, self._stop, self._stay):
            part.setVisible(on)
        self.show_paused(False)

    def show_name(self, name: str) -> None:
        """Say what is learned."""
        self._name.setText(name)
        self._name.setToolTip(name)

    def show_progress(self, progress: LearningProgress) -> None:
        """Say how far it is, as far as it was measured."""
        stage = progress.stage
        self._strip.show_progress(stage, progress.share)
        if stage not in (Stage.STOPPED, Stage.FAILED):
            measured = progress.psnr_db is not None
            self._quality.setText(f"{progress.psnr_db:.2f} dB" if measured else wording.DASH)
            self._quality_of.setText(_WHAT_DB.get(stage, "") if measured else "")
        left = progress.remaining_s
        self._left_words = _left_words(progress)
        self._say_left()
        if progress.rays_per_s is not None:
            self._facts.show_fact("Rays", f"{wording.number(progress.rays_per_s / 1e3)} kray/s")
        if progress.elapsed_s is not None and left is not None:
            whole = wording.duration(progress.elapsed_s + left)
            self._facts.show_fact("Trained", f"{wording.duration(progress.elapsed_s)} of {whole}")
        if progress.held_out_psnr_db is not None:
            self._facts.show_fact("Unseen", f"{progress.held_out_psnr_db:.2f} dB")

    def show_curve(self, curve: LearningCurve, minutes: float) -> None:
        """Draw how it went until now, over the minutes it will take."""
        self._plot.show_curve(curve, minutes)

    def forget_facts(self) -> None:
        """Another learning begins."""
        for name in _FACTS:
            self._facts.show_fact(name, wording.DASH)

    def offer_show(self, on: bool) -> None:
        """Offer to show what is learned, where something else is open."""
        self._show.setVisible(on)

    def show_stay(self, on: bool, possible: bool) -> None:
        """Say whether it goes on after the window; `possible`: whether that can be chosen."""
        self._stay.blockSignals(True)
        self._stay.setChecked(on)
        self._stay.blockSignals(False)
        self._stay.setEnabled(possible)

    def show_paused(self, on: bool) -> None:
        """Say that it waits, or goes on; reports nothing."""
        self._pause.blockSignals(True)
        self._pause.setChecked(on)
        self._pause.blockSignals(False)
        self._pause.setText("Continue" if on else "Pause")
        self._say_left()

    def _say_left(self) -> None:
        paused = "Paused" if self._pause.isChecked() else ""
        self._left.setText(" · ".join(filter(None, (paused, self._left_words))))

    def _propose(self) -> None:
        folder = self._dataset.text().strip()
        if not folder or self._file.text().strip() not in ("", self._proposed):
            return
        photographs = Path(folder)
        name = f"{photographs.name or 'learned'}.safetensors"
        self._proposed = str(photographs.absolute().parent / name)
        self._file.setText(self._proposed)

    def _make_settings(self) -> QWidget:
        made = QWidget(self)
        about = QLabel(_INTRODUCTION, made)
        about.setWordWrap(True)
        about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._dataset, self._file = QLineEdit(made), QLineEdit(made)
        self._dataset.setAccessibleName("Photographs")
        self._dataset.setPlaceholderText("Folder of a dataset")
        self._dataset.setToolTip("Photographs with poses: Blender, DONeRF, LLFF or nerfstudio")
        self._dataset.editingFinished.connect(self._propose)
        self._file.setAccessibleName("Light field")
        self._file.setPlaceholderText("Name.safetensors")
        self._file.setToolTip("Where the light field is written once it is learned")
        self._minutes = ValueSpin("Minutes", 0.1, 10_000, 1, 10, " min", made)
        self._minutes.setToolTip("Time of training in all; it can be stopped and resumed")
        self._minutes.show_value(_MINUTES)
        self._half = FlatToggle("Half size", "Take the photographs at half their size", made)
        grid = FieldGrid(made)
        for name, field, asked in (
            ("Photographs", self._dataset, self.dataset_browse_requested),
            ("Light field", self._file, self.file_browse_requested),
        ):
            browse = FlatButton("…", f"Choose: {name.lower()}", made)
            browse.setAccessibleName(f"Choose {name.lower()}")
            browse.clicked.connect(asked)
            grid.add_field(name, field, _row(field, browse))
        grid.add_field("Time", self._minutes, _row(self._minutes, self._half))
        self._resume = FlatButton("Resume", "Go on where it was stopped", made)
        self._resume.clicked.connect(self.resume_requested)
        self._start = FlatButton("Learn", "Begin; the picture shows what is learned", made)
        self._start.clicked.connect(lambda: self.start_requested.emit(self.settings()))
        column = _column(made)
        column.addWidget(about)
        column.addLayout(grid)
        column.addWidget(self._start)
        column.addWidget(self._resume)
        return made

    def _make_course(self) -> QWidget:
        made = QWidget(self)
        self._name = ElidedLabel(parent=made)
        self._name.setFont(theme.font(self, 1.1, bold=True))
        self._strip = StageStrip(made)
        self._quality = QLabel(wording.DASH, made)
        self._quality.setFont(theme.font(self, 1.7, bold=True, tabular=True))
        self._quality.setAccessibleName("Quality")
        self._quality_of = QLabel(made)
        self._left = QLabel(made)
        self._left.setAccessibleName("Time left")
        self._left.setFont(theme.font(self, tabular=True))
        self._left.setWordWrap(True)
        for quiet in (self._quality_of, self._left):
            quiet.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._plot = CurvePlot(made)
        self._facts = FactGrid(_FACTS, made)
        self._pause = FlatToggle("Pause", "Wait after the step in progress", made)
        self._pause.toggled.connect(self._pause_toggled)
        self._stop = FlatButton("Stop", "End now; it can be resumed", made)
        self._stop.clicked.connect(self.stop_requested)
        self._stay = FlatToggle(
            "Go on after closing", "Learn on when this window is closed, whatever closes it", made
        )
        self._stay.toggled.connect(self.stay_toggled)
        self._show = FlatButton("Show what it learns", "Open the newest weights again", made)
        self._show.clicked.connect(self.show_requested)
        self._show.hide()
        number = QHBoxLayout()
        number.setSpacing(8)
        number.addWidget(self._quality, 0, Qt.AlignmentFlag.AlignBottom)
        number.addWidget(self._quality_of, 1, Qt.AlignmentFlag.AlignBottom)
        column = _column(made)
        column.addWidget(self._name)
        column.addWidget(self._strip)
        column.addLayout(number)
        column.addWidget(self._left)
        # Above the plot, so that a low window shows them.
        column.addLayout(_row(self._pause, self._stop))
        column.addWidget(self._show)
        column.addWidget(self._plot)
        column.addWidget(self._facts)
        column.addWidget(self._stay)
        return made

    def _pause_toggled(self, on: bool) -> None:
        self.show_paused(on)
        self.pause_toggled.emit(on)


def _left_words(progress: LearningProgress) -> str:
    """What is done just now, or how long it takes yet."""
    if progress.doing:
        return wording.capital(progress.doing)
    left = progress.remaining_s
    return _WORDS.get(progress.stage, "" if left is None else f"{wording.duration(left)} to go")


def _column(owner: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(owner)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(8)
    return column


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    for at, widget in enumerate(widgets):
        row.addWidget(widget, int(at == 0 or not isinstance(widget, FlatButton)))
    return row
