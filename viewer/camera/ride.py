"""Following exact poses, such as those of a camera path, which no orbit may have."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.geometry.camera import Camera
from viewer.camera.controller import CameraController
from viewer.state.view_state import StateStore, ViewState
from viewer.state.viewpoint import Viewpoint, ridden


class Ride(QObject):
    """Takes the camera along; whoever moves it elsewhere ends the ride."""

    ended = pyqtSignal()

    def __init__(self, store: StateStore, camera: CameraController, parent: QObject) -> None:
        super().__init__(parent)
        self._store = store
        self._camera = camera
        self._view: Viewpoint | None = None
        store.listen(self._state_changed)

    def begin(self) -> None:
        """What `to` does from here on is one move, which can be undone."""
        self._camera.mover.stop()
        self._camera.moves.close()
        self._camera.moves.before("ride", self._camera.viewpoint)

    def to(self, T_world_camera: NDArray[np.float64], fov_y_deg: float) -> None:
        """Take exactly this pose: float64 (4, 4), rigid, and the vertical field of view."""
        width_px, height_px = self._store.state.render_size_px
        focal_px = height_px / 2 / math.tan(math.radians(fov_y_deg) / 2)
        pivot = self._camera.scene.home().pivot
        self._view = ridden(Camera(T_world_camera, width_px, height_px, focal_px), pivot)
        self._store.change(viewpoint=self._view)

    def _state_changed(self, _before: ViewState, after: ViewState) -> None:
        if self._view is not None and after.viewpoint is not self._view:
            # The next pose may be in the state already.
            if self._store.state.viewpoint is self._view:
                return
            self._view = None
            self.ended.emit()
