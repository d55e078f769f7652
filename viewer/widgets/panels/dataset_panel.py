"""The views of a dataset: which split, which pose the camera is at, and all of them to go to."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QImage, QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QListView, QSizePolicy, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.controls.flat import FlatButton, FlatCombo
from viewer.widgets.panels.thumbnails import CELL_PX, ThumbnailPainter, Thumbnails

_NONE = "No dataset. Its pictures would be shown here, to go to their poses and to compare with."


class DatasetPanel(QWidget):
    """Says what is chosen and asks for thumbnails as they come into sight; opens nothing itself."""

    open_requested = pyqtSignal()
    close_requested = pyqtSignal()
    size_wanted = pyqtSignal(int, int)
    """Width and height of the picture at this pose, to be rendered in from now on."""
    split_chosen = pyqtSignal(str)
    half_chosen = pyqtSignal(bool)
    """Whether pictures should be taken at half their size."""
    variant_chosen = pyqtSignal(bool)
    """Which of the two names that `show_choice` was given: the second where True."""
    pose_chosen = pyqtSignal(int)
    """Position of a view."""
    stepped = pyqtSignal(int)
    """-1 for the pose before, 1 for the next."""
    nearest_requested = pyqtSignal()
    thumbnail_wanted = pyqtSignal(int, int)
    """Position of a view, and how many device pixels there are each way."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Dataset")
        self._splits: tuple[str, ...] = ()
        self._split = ""
        self._names: tuple[str, ...] = ()
        self._position: int | None = None
        self._thumbnails = Thumbnails(self)
        self._thumbnails.wanted.connect(self.thumbnail_wanted)
        self._name = ElidedLabel(parent=self)
        self._name.setFont(theme.font(self, 1.1, bold=True))
        self._summary = QLabel(_NONE, self)
        self._summary.setWordWrap(True)
        self._open = FlatButton("Open dataset…", "Open the folder of a NeRF dataset", self)
        self._open.clicked.connect(self.open_requested)
        self._misfit = QLabel(self)
        self._misfit.setWordWrap(True)
        self._misfit.setAccessibleName("Does not fit")
        self._misfit.hide()
        self._size: tuple[int, int] | None = None
        self._use_size = FlatButton("", "Render as many pixels as the photograph has", self)
        self._use_size.clicked.connect(self._want_size)
        self._use_size.hide()
        self._close = FlatButton("Close dataset", "Let go of it and its photographs", self)
        self._close.clicked.connect(self.close_requested)
        self._at = ElidedLabel(parent=self)
        self._at.setAccessibleName("Pose")
        self._at.setFont(theme.font(self, tabular=True))
        for quiet in (self._summary, self._at):
            quiet.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._controls = self._make_controls()
        self._choices = self._make_choices()
        self._list = self._make_list()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        parts = (self._name, self._summary, self._open, self._choices, self._controls, self._at)
        for part in parts:
            column.addWidget(part)
        column.insertWidget(2, self._misfit)
        column.addWidget(self._list, 1)
        # Below: it comes with a click at a thumbnail, which must not move from under the pointer.
        column.addWidget(self._use_size)
        column.addWidget(self._close)
        self._of_dataset = (
            self._name,
            self._choices,
            self._controls,
            self._at,
            self._list,
            self._close,
        )
        for part in self._of_dataset:
            part.hide()

    def show_dataset(
        self, name: str, summary: str, splits: Sequence[str], split: str, names: Sequence[str]
    ) -> None:
        """Offer the views called `names`; nothing of a dataset before is left."""
        self._splits, self._split, self._names = tuple(splits), split, tuple(names)
        self._name.setText(name)
        self._name.setToolTip(name)
        self._summary.setText(summary)
        self._splits_box.clear()
        self._splits_box.addItems(self._splits)
        self.show_split(split)
        self._thumbnails.set_names(self._names)
        self._list.scrollToTop()
        for part in self._of_dataset:
            part.show()
        self._open.hide()
        self._position = None
        self._word_pose()

    def show_none(self) -> None:
        """No dataset is open any more."""
        self._names, self._position = (), None
        self._thumbnails.set_names(())
        self._summary.setText(_NONE)
        for part in (*self._of_dataset, self._misfit, self._use_size):
            part.hide()
        self._open.show()

    def show_misfit(self, words: str) -> None:
        """Note why the dataset may not belong to the light field; empty for no note."""
        self._misfit.setText(words)
        self._misfit.setVisible(bool(words))

    def offer_size(self, size_px: tuple[int, int] | None) -> None:
        """Offer to render as the photograph at this pose is; None where that is so, or at none."""
        self._size = size_px
        if size_px is not None:
            self._use_size.setText(f"Render {wording.size(*size_px)} as the photograph")
        self._use_size.setVisible(size_px is not None)

    def _want_size(self) -> None:
        if self._size is not None:
            self.size_wanted.emit(*self._size)

    def show_split(self, split: str) -> None:
        """Show which split is open; reports nothing."""
        self._split = split
        self._splits_box.setCurrentText(split)

    def show_choice(self, half: bool, variants: Sequence[str], on: bool) -> None:
        """Show how the files are taken; `variants`: names of the two ways this kind of dataset can
        be taken in, or none; `on`: whether it is the second. Reports nothing."""
        self._half, self._variant = half, on
        self._sizes.setCurrentIndex(int(half))
        self._variants.clear()
        self._variants.addItems(variants)
        self._variants.setCurrentIndex(int(on) if variants else -1)
        self._variants.setVisible(bool(variants))

    def show_pose(self, position: int | None) -> None:
        """Mark the view that the camera is at; None where it is at none. Reports nothing."""
        if position == self._position:
            return
        self._position = position
        self._word_pose()
        if position is None:
            selection = self._list.selectionModel()
            assert selection is not None
            selection.clear()
        else:
            index = self._thumbnails.index(position)
            if index != self._list.currentIndex():  # a click has made it that, where it is
                self._list.setCurrentIndex(index)
                self._list.scrollTo(index)

    def _word_pose(self) -> None:
        count = len(self._names)
        self._at.setText(
            f"{count} poses, not at a pose"
            if self._position is None
            else f"{self._position + 1} of {count} · {self._names[self._position]}"
        )
        self._at.setToolTip(self._at.text())

    def show_thumbnail(self, position: int, image: QImage) -> None:
        """Show the picture of a view, as large as it was wanted."""
        self._thumbnails.put(position, image)

    def show_broken(self, position: int, why: str) -> None:
        """Say of a view that its picture cannot be read, in its tooltip."""
        self._thumbnails.put_broken(position, why)

    def sizeHint(self) -> QSize:
        """Room for a few thumbnails."""
        return QSize(3 * CELL_PX + 16, super().sizeHint().height())

    def _make_choices(self) -> QWidget:
        self._half = self._variant = False
        self._sizes, self._variants = FlatCombo(self), FlatCombo(self)
        self._sizes.setAccessibleName("Size of the dataset's pictures")
        self._sizes.setToolTip("Half size averages 2×2 pixels, as published results often do.")
        self._sizes.addItems(["Full size", "Half size"])
        self._sizes.activated.connect(self._choose_half)
        self._variants.setAccessibleName("How the dataset is taken")
        self._variants.setToolTip(
            "How the dataset is taken; the light field should have been, too."
        )
        self._variants.activated.connect(self._choose_variant)
        choices = QWidget(self)
        row = QHBoxLayout(choices)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self._sizes)
        row.addWidget(self._variants, 1)
        return choices

    def _make_controls(self) -> QWidget:
        self._splits_box = FlatCombo(self)
        self._splits_box.setAccessibleName("Split of the dataset")
        self._splits_box.setToolTip("Which part of the dataset's pictures is offered.")
        self._splits_box.activated.connect(self._choose_split)
        controls = QWidget(self)
        row = QHBoxLayout(controls)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self._splits_box, 1)
        for text, name, tip, step in (
            ("←", "Previous pose", "Go to the pose before (,)", -1),
            ("→", "Next pose", "Go to the next pose (.)", 1),
        ):
            button = FlatButton(text, tip, self)
            button.setAccessibleName(name)
            button.clicked.connect(lambda _=False, by=step: self.stepped.emit(by))
            row.addWidget(button)
        nearest = FlatButton("Nearest", "Go to the pose nearest to the camera (O)", self)
        nearest.clicked.connect(self.nearest_requested)
        row.addWidget(nearest)
        return controls

    def _make_list(self) -> QListView:
        views = QListView(self)
        views.setAccessibleName("Views of the dataset")
        views.setModel(self._thumbnails)
        views.setItemDelegate(ThumbnailPainter(views))
        views.setViewMode(QListView.ViewMode.IconMode)
        views.setMovement(QListView.Movement.Static)
        views.setResizeMode(QListView.ResizeMode.Adjust)
        views.setUniformItemSizes(True)
        views.setMouseTracking(True)
        views.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        views.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # A click must not take the arrow keys from the picture.
        views.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        views.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        views.setMinimumHeight(2 * CELL_PX)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        views.clicked.connect(lambda index: self.pose_chosen.emit(index.row()))
        views.activated.connect(lambda index: self.pose_chosen.emit(index.row()))
        return views

    def _choose_half(self, position: int) -> None:
        if bool(position) != self._half:
            self.half_chosen.emit(bool(position))

    def _choose_variant(self, position: int) -> None:
        if bool(position) != self._variant:
            self.variant_chosen.emit(bool(position))

    def _choose_split(self, position: int) -> None:
        if self._splits[position] != self._split:
            self.split_chosen.emit(self._splits[position])
