"""The open dataset: opened and read off the window's thread, its poses gone to, its truth shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QImage

from r2l_core.types import Precision
from viewer.camera.controller import CameraController
from viewer.dataset.reading import DatasetReader
from viewer.rendering.controller import RenderController
from viewer.rendering.running import Running
from viewer.state.panes import SCENE_TRUTH, TRUTH, TRUTHS, PaneChoice
from viewer.state.view_state import VARIANTS, DatasetChoice, StateStore, ViewState
from viewer.widgets.controls import wording
from viewer.window.main_window import MainWindow
from viewer.window.messages import describe

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

_NEAR_FAR_SHARE = 0.02
_WIDER = 2.0
"""How much longer than a light field's own stretch of depths a dataset's may be: what is learned
from photographs keeps to what they can see."""
_OUTSIDE_SHARE = 0.25
"""A few photographs from where nobody could learn enough are in many a dataset."""
_LEAST_UP = 0.3
"""Mean share of +Z in the cameras' up directions, below which +Z is hardly up."""


class DatasetController(QObject):
    """Wires the Dataset panel to the controller."""

    failed = pyqtSignal(Exception, object)
    """The error, and a call that tries once more."""
    busy_changed = pyqtSignal(str)
    """What is said while a dataset is being opened; empty when that is over."""
    dataset_changed = pyqtSignal(object)
    """Dataset: another one, or the same taken in another way; None: none is open any more."""
    small_read = pyqtSignal(object, int, QImage)
    """Dataset, position of a view and its picture, as `read_small` asked for it."""
    settled = pyqtSignal()
    """What was asked for is open, or has failed."""

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        camera: CameraController,
        rendering: RenderController,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._panel = window.dataset
        self._store = store
        self._camera = camera
        self._rendering = rendering
        self._reader = DatasetReader(self)
        self._opening = False
        self._dataset: Dataset | None = None
        self._last: int | None = None
        self._wire()

    @property
    def dataset(self) -> Dataset | None:
        """The one that is open."""
        return self._dataset

    @property
    def opening(self) -> bool:
        """Whether one is being opened."""
        return self._opening

    def _wire(self) -> None:
        window, panel = self._window, self._panel
        window.dataset_requested.connect(self.open)
        window.commands.previous_pose.triggered.connect(lambda: self.step(-1))
        window.commands.next_pose.triggered.connect(lambda: self.step(1))
        window.commands.nearest_pose.triggered.connect(self.snap)
        panel.split_chosen.connect(lambda split: self._change(split=split))
        panel.half_chosen.connect(lambda half: self._change(half_res=half))
        panel.variant_chosen.connect(self._choose_variant)
        panel.pose_chosen.connect(self.go_to)
        panel.stepped.connect(self.step)
        panel.nearest_requested.connect(self.snap)
        panel.close_requested.connect(self.close_dataset)
        panel.size_wanted.connect(
            lambda *size_px: self._store.change(render_size_px=size_px, match_window=False)
        )
        self._store.listen(self._state_changed)
        self._rendering.running_changed.connect(lambda _running: self._note_misfit())
        panel.thumbnail_wanted.connect(partial(self._reader.read_small, pointed_at=False))
        self._camera.orbit_changed.connect(lambda _orbit, _fov_x_deg: self._mark())
        self._reader.progressed.connect(self.busy_changed)
        self._reader.opened.connect(self._take)
        self._reader.refused.connect(self._refuse)
        self._reader.listed.connect(self._show_thumbnail)
        self._reader.pointed_at.connect(self.small_read)
        self._reader.unread.connect(self._show_broken)

    def open(self, path: str) -> None:
        """Open the dataset in a folder."""
        self.open_as(DatasetChoice(path))

    def open_as(self, choice: DatasetChoice) -> None:
        """Open a dataset."""
        self._opening = True
        self._reader.open(choice)

    def close_dataset(self) -> None:
        """Let go of the open dataset: the truth is the scene's own again, where it has one."""
        self._reader.forget()
        self._dataset = self._reader.shown = self._last = None
        panes, running = self._store.state.panes, self._rendering.running
        truths = {} if running is None else running.truths
        own = truths.get(SCENE_TRUTH, truths.get(TRUTH))
        left = PaneChoice(TRUTH if own is not None and own.available else Precision.FP32)
        panes = tuple(left if one.source in TRUTHS else one for one in panes)
        self._store.change(dataset=None, panes=panes)
        self._panel.show_none()
        self._window.show_dataset_closed()
        self._rendering.set_dataset(None)
        self.dataset_changed.emit(None)
        self._settle()

    def go_to(self, position: int) -> None:
        """Look through exactly the camera of a view."""
        if self._dataset is not None and 0 <= position < len(self._dataset):
            self._last = position
            self._camera.go_to_pose(self._dataset.views[position].camera)

    def step(self, by: int) -> None:
        """Go `by` views on from the last one that was gone to, round and round; if there was none,
        to the nearest."""
        if self._dataset is None:
            return
        if self._last is None:
            self.snap()
        else:
            self.go_to((self._last + by) % len(self._dataset))

    def snap(self) -> None:
        """Go to the nearest pose."""
        if self._dataset is not None:
            self.go_to(self._dataset.nearest(self._camera.camera()))

    def close(self) -> None:
        """Let what runs end soon, and wait for it."""
        self._reader.close()

    def _choose_variant(self, on: bool) -> None:
        if self._dataset is not None:
            self._change(**{VARIANTS[self._dataset.kind][0]: on})

    def _change(self, **changed: str | bool) -> None:
        choice = self._store.state.dataset
        if choice is not None:
            self.open_as(replace(choice, **changed))  # type: ignore[arg-type]

    def _take(self, choice: DatasetChoice, dataset: Dataset) -> None:
        before = self._store.state.dataset
        if (
            self._dataset is not None
            and before is not None
            and replace(before, split=choice.split) == choice
        ):
            # The scene is that of the whole capture: another split must not move the camera.
            dataset = replace(dataset, scene=self._dataset.scene)
        self._dataset = self._reader.shown = dataset
        self._last = None
        self._store.change(dataset=choice)
        camera = dataset.views[0].camera
        size = wording.size(camera.width_px, camera.height_px)
        self._panel.show_dataset(
            dataset.name,
            " ".join([f"{dataset.kind}, {size}.", *map(wording.sentence, dataset.notes)]),
            dataset.splits,
            dataset.split,
            [view.name for view in dataset.views],
        )
        self._show_choice()
        self._window.show_dataset_open()
        self._note_misfit()
        self._mark()
        self._rendering.set_dataset(dataset)
        self.dataset_changed.emit(dataset)
        self._settle()

    def _show_choice(self) -> None:
        choice = self._store.state.dataset
        if choice is not None and self._dataset is not None:
            flag, *names = VARIANTS.get(self._dataset.kind, ("",))
            on = bool(flag) and getattr(choice, flag)
            self._panel.show_choice(choice.half_res, names, on)

    def _refuse(self, choice: DatasetChoice, error: Exception) -> None:
        if self._dataset is not None:
            self._panel.show_split(self._dataset.split)
            self._show_choice()
        again: Callable[[], object] = partial(self.open_as, choice)
        self.failed.emit(error, again)
        self._settle()

    def _settle(self) -> None:
        self._opening = False
        self.busy_changed.emit("")
        self.settled.emit()

    def _mark(self) -> None:
        pose = self._camera.pose
        if self._dataset is not None:
            position = None if pose is None else self._dataset.index_of(pose)
            self._panel.show_pose(position)
            self._offer_size(position)
            if position is not None:
                self._last = position

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if before.render_size_px != after.render_size_px:
            self._mark()

    def _note_misfit(self) -> None:
        if self._dataset is not None:
            self._panel.show_misfit(_misfit(self._dataset, self._rendering.running))

    def _offer_size(self, position: int | None) -> None:
        assert self._dataset is not None
        shown = self._camera.camera()
        view = shown if position is None else self._dataset.views[position].camera
        same = (view.width_px, view.height_px) == (shown.width_px, shown.height_px)
        self._panel.offer_size(None if same else (view.width_px, view.height_px))

    # Thumbnails

    def read_small(self, position: int, side_px: int) -> None:
        """Read the picture of a view, made to fit a square; `small_read` brings it. One that cannot
        be read is left to the panel to tell."""
        self._reader.read_small(position, side_px, pointed_at=True)

    def _show_thumbnail(self, dataset: Dataset, position: int, image: QImage) -> None:
        if dataset is self._dataset:
            self._panel.show_thumbnail(position, image)

    def _show_broken(self, dataset: Dataset, position: int, error: Exception) -> None:
        if dataset is self._dataset:
            self._panel.show_broken(position, describe(error).why)


def _misfit(dataset: Dataset, running: Running | None) -> str:
    """What of the dataset does not go with the light field, a sentence; empty where all does."""
    if running is None:
        return ""
    scene, own = running.scene, dataset.scene
    found = []
    reach = _NEAR_FAR_SHARE * max(scene.far, own.far)
    covered = own.near <= scene.near + reach and scene.far <= own.far + reach
    if not covered or own.far - own.near > _WIDER * (scene.far - scene.near) + reach:
        found.append(
            f"its near and far are {own.near:.4g} and {own.far:.4g}, not "
            f"{scene.near:.4g} and {scene.far:.4g}"
        )
    poses = np.stack([camera.T_world_camera for camera in dataset.cameras])
    if float(poses[:, 2, 1].mean()) < _LEAST_UP:
        found.append("+Z is not up in it")
    outside = sum(
        scene.outside_trained_views(camera.position, running.ray_mode) is not None
        for camera in dataset.cameras
    )
    if outside > _OUTSIDE_SHARE * len(poses):
        found.append(f"{outside} of its {len(poses)} cameras are outside the trained views")
    if not found:
        return ""
    return "It may not belong to this light field: " + "; ".join(found) + "."
