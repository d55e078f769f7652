"""Draws the dataset's poses over the picture, names the one under the pointer, goes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QPointF
from PyQt6.QtGui import QImage

from r2l_core.render.frames import Frame
from viewer.dataset.controller import Posing
from viewer.dataset.pose_drawing import PoseDrawing
from viewer.rendering.controller import Controller
from viewer.widgets.compare.compare_mode import CompareMode
from viewer.widgets.panels.pose_card import PICTURE_PX, PoseCard
from viewer.widgets.picture.pose_overlay import PoseOverlay
from viewer.window.main_window import MainWindow

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

_REACH_PX = 9.0
"""How near to a dot the pointer has to be, in logical pixels."""


class PoseMarking(QObject):
    """Alone, pictures have the poses over them until somebody switches them off; compared, they
    have not, until somebody switches them on. Films never have."""

    def __init__(
        self, window: MainWindow, controller: Controller, posing: Posing, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._posing = posing
        self._action = window.commands.show_poses
        self._wanted = {True: True, False: False}
        self._drawing: PoseDrawing | None = None
        self._frame: Frame | None = None
        self._overlay: PoseOverlay | None = None
        self._marked: int | None = None
        self.card = PoseCard(window.pane)
        self._action.triggered.connect(self._switch)
        window.compare.mode_changed.connect(lambda _mode: self._show_wanted())
        posing.dataset_changed.connect(self._take)
        posing.small_read.connect(self._show_photograph)
        controller.frame_shown.connect(self._frame_shown)
        controller.frames_shown.connect(lambda frames: self._frame_shown(frames[0]))
        window.pane.pointed.connect(self._point)
        window.pane.clicked.connect(self._click)
        window.pane.drag_started.connect(lambda: self._mark(None))

    @property
    def overlay(self) -> PoseOverlay | None:
        """What is drawn."""
        return self._overlay

    @property
    def _alone(self) -> bool:
        return self._window.compare.view.mode is CompareMode.SINGLE

    def _take(self, dataset: Dataset) -> None:
        self._drawing = PoseDrawing(dataset.cameras, dataset.scene.center)
        self._mark(None)
        self._show_wanted()

    def _switch(self, on: bool) -> None:
        self._wanted[self._alone] = on
        self._mark(None)
        self._draw()

    def _show_wanted(self) -> None:
        self._action.setChecked(self._wanted[self._alone])
        self._mark(None)
        self._draw()

    def _frame_shown(self, frame: Frame) -> None:
        self._frame = frame
        if self._drawing is not None:
            self._draw()

    def _draw(self) -> None:
        drawing, frame = self._drawing, self._frame
        overlay = None
        if drawing is not None and frame is not None and self._wanted[self._alone]:
            overlay = drawing.seen_by(frame.camera, self._marked)
        if overlay is not None or self._overlay is not None:
            self._overlay = overlay
            self._window.pane.show_poses(overlay)

    # The pointer

    def _point(self, at: QPointF | None) -> None:
        pane = self._window.pane
        if self._overlay is None or pane.dragging:
            return
        view = None
        if at is not None and pane.is_on_picture(at):
            offset = (at - pane.image_center(at)) / pane.logical_px_per_image_px()
            view = self._view_at(offset.x(), offset.y())
        if view != self._marked:
            self._mark(view, at)

    def _view_at(self, x_px: float, y_px: float) -> int | None:
        """The view whose dot is there: from the image centre, in image pixels."""
        if self._overlay is None or self._frame is None:
            return None
        camera = self._frame.camera
        reach_px = _REACH_PX / self._window.pane.logical_px_per_image_px()
        at = (x_px + camera.width_px / 2, y_px + camera.height_px / 2)
        return self._overlay.nearest(at, reach_px)

    def _mark(self, view: int | None, at: QPointF | None = None) -> None:
        if view == self._marked:
            return
        self._marked = view
        dataset = self._posing.dataset
        if view is None or at is None or dataset is None:
            self.card.hide()
        else:
            self._at = at.toPoint()
            self.card.show_pose(dataset.views[view].name, self._at)
            side_px = round(PICTURE_PX * self._window.pane.devicePixelRatioF())
            self._posing.read_small(view, side_px)
        self._draw()

    def _show_photograph(self, dataset: Dataset, view: int, image: QImage) -> None:
        if dataset is self._posing.dataset and view == self._marked:
            self.card.show_photograph(image, self._at)

    def _click(self, x_px: float, y_px: float) -> None:
        view = self._view_at(x_px, y_px)
        if view is not None:
            self._mark(None)
            self._posing.go_to(view)
