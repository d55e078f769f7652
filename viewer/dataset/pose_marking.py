"""Draws the dataset's poses over the picture, names the one under the pointer, goes to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import QObject, QPointF
from PyQt6.QtGui import QImage

from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import Frame
from viewer.dataset.controller import DatasetController
from viewer.rendering.controller import RenderController
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.panels.pose_card import PICTURE_PX, PoseCard
from viewer.widgets.picture.drawn_overlays import HEADINGS, PoseOverlay, frustum_lines
from viewer.window.main_window import MainWindow

_NEAR = 0.02
"""In front of the eye, as a share of how far the poses stand apart: nearer ones are left out."""
_STALK = 0.1
_FRUSTUM = 0.14
"""Lengths, as a share of the same."""
_EDGE_PX = 12.0
"""A dot may be so far outside the picture."""


class PoseDrawing:
    """All poses of one dataset, looked at once and projected for every frame, all at a time."""

    def __init__(self, cameras: Sequence[Camera], center: tuple[float, float, float]) -> None:
        """`center`: the middle of the scene."""
        self._cameras = cameras
        poses = np.array([camera.T_world_camera for camera in cameras])
        self._places = poses[:, :3, 3]
        apart = np.linalg.norm(self._places - self._places.mean(0), axis=1).mean()
        self._size = float(apart) or 1.0
        tips = self._places - poses[:, :3, 2] * (_STALK * self._size)
        self._world = np.concatenate([self._places, tips, [center]])

    def seen_by(self, camera: Camera, marked: int | None) -> PoseOverlay:
        """What `camera` sees of them; `marked`: the view that has its frustum drawn."""
        n = len(self._places)
        pixels, depths = camera.projected(self._world)
        points, depth = pixels[:n], depths[:n]
        margin = _EDGE_PX * camera.width_px / 400
        shown = (depth > _NEAR * self._size) & (
            (points >= -margin) & (points <= np.array([camera.width_px, camera.height_px]) + margin)
        ).all(1)
        views = np.flatnonzero(shown)
        right, down = (pixels[n : 2 * n] - points)[views].T
        turns = np.arctan2(-down, right) / (2 * np.pi)
        headings = np.round(turns * HEADINGS).astype(np.intp) % HEADINGS
        # Less than a dot's own size tells no direction, nor does a tip behind the eye.
        told = (np.hypot(right, down) > 0.01 * camera.width_px) & (depths[n : 2 * n][views] > 0)
        return PoseOverlay(
            views=views,
            points=points[views],
            headings=np.where(told, headings, HEADINGS),
            beyond=depth[views] > depths[-1],
            marked=marked,
            frustum=()
            if marked is None
            else frustum_lines(camera, self._cameras[marked], _FRUSTUM * self._size),
        )


if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

_REACH_PX = 9.0
"""How near to a dot the pointer has to be, in logical pixels."""


class PoseMarking(QObject):
    """Alone, pictures have the poses over them until somebody switches them off; compared, they
    have not, until somebody switches them on. Films never have."""

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        datasets: DatasetController,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._store = store
        self._datasets = datasets
        self._action = window.commands.show_poses
        self._wanted = {True: True, False: False}
        self._drawing: PoseDrawing | None = None
        self._frame: Frame | None = None
        self._overlay: PoseOverlay | None = None
        self._marked: int | None = None
        self.card = PoseCard(window.pane)
        self._action.triggered.connect(self._switch)
        store.listen(self._state_changed)
        datasets.dataset_changed.connect(self._take)
        datasets.small_read.connect(self._show_photograph)
        rendering.frames_shown.connect(self._frames_shown)
        window.pane.pointed.connect(self._point)
        window.pane.clicked.connect(self._click)
        window.pane.drag_started.connect(lambda: self._mark(None))

    @property
    def overlay(self) -> PoseOverlay | None:
        """What is drawn."""
        return self._overlay

    @property
    def _alone(self) -> bool:
        return not self._store.state.comparing

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if before.mode is not after.mode:
            self._show_wanted()

    def _take(self, dataset: Dataset | None) -> None:
        self._drawing = None
        if dataset is not None:
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

    def _frames_shown(self, frames: tuple[Frame, ...]) -> None:
        self._frame = frames[0]
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
        dataset = self._datasets.dataset
        if view is None or at is None or dataset is None:
            self.card.hide()
        else:
            self._at = at.toPoint()
            self.card.show_pose(dataset.views[view].name, self._at)
            side_px = round(PICTURE_PX * self._window.pane.devicePixelRatioF())
            self._datasets.read_small(view, side_px)
        self._draw()

    def _show_photograph(self, dataset: Dataset, view: int, image: QImage) -> None:
        if dataset is self._datasets.dataset and view == self._marked:
            self.card.show_photograph(image, self._at)

    def _click(self, x_px: float, y_px: float) -> None:
        view = self._view_at(x_px, y_px)
        if view is not None:
            self._mark(None)
            self._datasets.go_to(view)
