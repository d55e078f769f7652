"""Datasets and their small pictures, read off the window's thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QThreadPool, pyqtSignal
from PyQt6.QtGui import QImage

from r2l_core.errors import plain
from r2l_core.types import Progress
from viewer.state.view_state import DatasetChoice
from viewer.widgets.picture.picture import Picture

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

_SPLITS = ("test", "val", "train")
"""Which one is opened first: the networks have not seen the first of these."""


class _Superseded(Exception):
    """Another dataset is wanted by now."""


class DatasetReader(QObject):
    """One thing at a time. Of what was asked for to be opened, only the last counts."""

    progressed = pyqtSignal(str)
    """What is said while a dataset is being opened."""
    opened = pyqtSignal(DatasetChoice, object)
    """The choice, with the split that was found, and the Dataset."""
    refused = pyqtSignal(DatasetChoice, Exception)
    listed = pyqtSignal(object, int, QImage)
    pointed_at = pyqtSignal(object, int, QImage)
    """Dataset, position of a view and its picture, made to fit a square: for the list, or because
    somebody points at its pose."""
    unread = pyqtSignal(object, int, Exception)
    """Likewise, and why there is no picture."""
    _opened = pyqtSignal(int, DatasetChoice, object)
    _refused = pyqtSignal(int, DatasetChoice, Exception)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self.shown: Dataset | None = None
        """Whose small pictures are wanted."""
        self._wanted = 0
        self._opened.connect(self._tell_opened)
        self._refused.connect(self._tell_refused)

    def open(self, choice: DatasetChoice) -> None:
        """Open a dataset."""
        self._wanted += 1
        number, name, said = self._wanted, plain(Path(choice.path).name or choice.path), [-1]
        self.progressed.emit(f"Opening the dataset {name}…")

        def progress(done: int, total: int) -> None:
            if number != self._wanted:
                raise _Superseded
            percent = 100 * done // max(total, 1)
            if percent // 5 != said[0]:
                said[0] = percent // 5
                self.progressed.emit(f"Opening the dataset {name}… {done} of {total} views")

        def job() -> None:
            try:
                dataset = _open(choice, progress)
            except _Superseded:
                return
            except Exception as error:
                self._refused.emit(number, choice, error)
            else:
                self._opened.emit(number, replace(choice, split=dataset.split), dataset)

        # Before the thumbnails that wait.
        self._pool.start(job, 1)

    def forget(self) -> None:
        """What is being opened is not wanted any more."""
        self._wanted += 1

    def close(self) -> None:
        """Let what runs end soon, and wait for it."""
        self.forget()
        self._pool.clear()
        self._pool.waitForDone()

    def read_small(self, position: int, side_px: int, pointed_at: bool) -> None:
        """Read the picture of a view of the shown dataset, unless another is shown when its turn
        comes. One that is pointed at comes first."""
        dataset = self.shown
        if dataset is None:
            return

        def job() -> None:
            if dataset is not self.shown:
                return
            try:
                image = Picture(dataset.thumbnail(position, side_px)).image.copy()
            except Exception as error:
                self.unread.emit(dataset, position, error)
            else:
                (self.pointed_at if pointed_at else self.listed).emit(dataset, position, image)

        self._pool.start(job, 2 if pointed_at else 0)

    def _tell_opened(self, number: int, choice: DatasetChoice, dataset: Dataset) -> None:
        if number == self._wanted:
            self.opened.emit(choice, dataset)

    def _tell_refused(self, number: int, choice: DatasetChoice, error: Exception) -> None:
        if number == self._wanted:
            self.refused.emit(choice, error)


def _open(choice: DatasetChoice, progress: Progress) -> Dataset:
    from r2l_core.datasets import NoSuchSplit, open_dataset

    def opened(split: str) -> Dataset:
        return open_dataset(
            choice.path,
            split,
            half_res=choice.half_res,
            spherify=choice.spherify,
            keep_background=choice.keep_background,
            progress=progress,
        )

    for one in _SPLITS if not choice.split else ():
        try:
            return opened(one)
        except NoSuchSplit:
            continue
    return opened(choice.split or _SPLITS[0])
