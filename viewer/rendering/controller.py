"""Turns wishes and cameras into requests, and frames into what the window shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.frames import STRIDES, Frame, RenderRequest
from r2l_core.types import Precision
from viewer.camera.controller import CameraControl
from viewer.rendering.mailbox import Mailbox
from viewer.rendering.performance import Performance, Sample
from viewer.rendering.render_thread import Running
from viewer.state.bookmarks import Bookmarks
from viewer.state.panes import PaneChoice
from viewer.state.wish import Wish
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels.performance_readout import PerformanceReadout

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

FLAT_TOLERANCE = 2 / 255
"""Of full scale. On the demo light field no pixel was off by more than this, and the picture agrees
with the exact one to 85 dB; half of the rays are saved."""

_READOUT_MS = 200


class Controller(CameraControl):
    """Knows what is wished for; shows only frames that are not stale."""

    frames_shown = pyqtSignal(tuple)
    """tuple[Frame, ...], one for each pane, that went to the window."""
    badge_changed = pyqtSignal(object)
    """str or None: a quiet remark on the view."""
    readout_ready = pyqtSignal(PerformanceReadout)
    kept = pyqtSignal(Running)
    """The Running that goes on after a change failed."""

    def __init__(
        self,
        mailbox: Mailbox,
        wish: Wish,
        bookmarks: Bookmarks,
        parent: QObject | None = None,
        clock: Clock = REAL_TIME,
    ) -> None:
        super().__init__(bookmarks, parent, clock)
        self._mailbox = mailbox
        self._wish = wish
        self._dataset: Dataset | None = None
        self._running: Running | None = None
        self._target_fps = 30.0
        self._max_stride = STRIDES[0]
        self._flat_tolerance = 0.0
        self._badge: str | None = None
        self._seq = 0
        self._shown_seq = -1
        self._performance = Performance(clock.now_s())
        self._readout_timer = clock.timer(self, _READOUT_MS, self._read_out)

    @property
    def running(self) -> Running | None:
        """What renders now; None before the first light field is open."""
        return self._running

    def start(self) -> None:
        """Ask for the first light field."""
        self._mailbox.want(self._wish)

    def close(self) -> None:
        """Stand still: nobody looks any more."""
        self._readout_timer.stop()
        self._timer.stop()

    # Wishes

    def choose_precision(self, precision: Precision) -> None:
        """Ask for another precision of the same light field."""
        self.want(replace(self._wish, precision=precision))

    def open(self, checkpoint: str) -> None:
        """Ask for another light field, with the same engine choices.

        Re-basing rays is no such choice: the other may not name the sphere it needs.
        """
        rays = "auto" if self._wish.rays == "canonical" else self._wish.rays
        wish = replace(self._wish, checkpoint=checkpoint, scene=None, rays=rays, assumed=())
        self.want(replace(wish, layers_in_fp32=frozenset()))

    def set_scene(self, scene: str | SceneSpec | None) -> None:
        """Ask for the same light field in a preset, the scene of a file or a given one; None: its
        own."""
        rays = "auto" if self._wish.rays == "canonical" else self._wish.rays
        self.want(replace(self._wish, scene=scene, rays=rays))

    def set_dataset(self, dataset: Dataset | None) -> None:
        """From now on this is the ground truth, whatever light field is open."""
        self._dataset = dataset
        self.want(self._wish)

    def set_panes(self, panes: tuple[PaneChoice, ...], alone: PaneChoice) -> None:
        """Compare `panes`; none: show `alone`, or what ran before where that is no precision of
        the open light field."""
        wish = replace(self._wish, panes=panes)
        if not panes and isinstance(alone.source, Precision) and alone.checkpoint is None:
            wish = replace(wish, precision=alone.source)
        if wish != self._wish:
            self.want(wish)

    def switch_layer(self, name: str, high: bool) -> None:
        """Have eight-bit precisions leave a body layer in float32, or not."""
        layers = self._wish.layers_in_fp32
        self.set_layers(layers | {name} if high else layers - {name})

    def set_layers(self, layers_in_fp32: frozenset[str]) -> None:
        """Have eight-bit precisions leave exactly these body layers in float32."""
        self.want(replace(self._wish, layers_in_fp32=layers_in_fp32))

    def set_canonical(self, on: bool) -> None:
        """Re-base rays on the trained sphere, or leave them as the camera makes them."""
        self.want(replace(self._wish, rays="canonical" if on else "plain"))

    def want(self, wish: Wish) -> None:
        """Ask for exactly this, beside the open dataset."""
        self._wish = replace(wish, dataset=self._dataset)
        self._mailbox.want(self._wish)

    def running_changed(self, running: Running) -> None:
        """The render thread has something new to render with."""
        before, self._running = self._running, running
        if (
            before is None
            or before.wish.checkpoint != running.wish.checkpoint
            or before.scene.home() != running.scene.home()
        ):
            # Frames that answer requests made until now have the camera of another scene.
            self._shown_seq = self._seq + 1
            self.enter(running.scene, running.name)
        elif before.scene != running.scene:
            self.adapt(running.scene)
        self.refresh()

    def failed(self, wish: Wish) -> None:
        """A wish failed; what ran before runs on."""
        # One that was made since is still to be answered.
        if self._running is not None and wish == self._wish:
            self._wish = self._running.wish
            self.kept.emit(self._running)

    # Requests

    def set_target_fps(self, images_per_s: float) -> None:
        """Aim for that many pictures a second while the camera moves."""
        self._target_fps = images_per_s

    def set_max_stride(self, stride: int) -> None:
        """Let no picture be coarser than every `stride`-th pixel each way, whatever it costs."""
        self._max_stride = stride
        self.refresh()

    def set_fill_flat(self, on: bool) -> None:
        """Take pixels in flat surroundings from these, within FLAT_TOLERANCE, or ask the network
        for every pixel."""
        self._flat_tolerance = FLAT_TOLERANCE if on else 0.0
        self.refresh()

    def refresh(self) -> None:
        """Ask for a picture of the camera as it is."""
        if self._running is None:
            return
        created_s = self._clock.now_s()
        camera = self.camera()
        badge = self._running.scene.outside_trained_views(camera.position, self._running.ray_mode)
        if badge != self._badge:
            self._badge = badge
            self.badge_changed.emit(badge)
        self._seq += 1
        target_ms = 1e3 / self._target_fps
        self._mailbox.submit(
            RenderRequest(
                self._seq, camera, target_ms, created_s, self._max_stride, self._flat_tolerance
            )
        )

    # Frames

    def frames_ready(self, frames: tuple[Frame, ...]) -> None:
        """Show the frames of one request, one for each pane, unless they are stale.

        A newer request is no reason to drop them, or the picture would freeze during a drag.
        """
        if self._is_fresh(frames[0]):
            self._note_frame(frames[0])
            self.frames_shown.emit(frames)

    def _is_fresh(self, frame: Frame) -> bool:
        return (
            self._running is not None
            and frame.epoch == self._running.epoch
            and frame.seq >= self._shown_seq
        )

    def _note_frame(self, frame: Frame) -> None:
        self._shown_seq = frame.seq
        self._performance.add(frame, self._clock.now_s())
        if frame.network_rays and not self._readout_timer.isActive():
            self._readout_timer.start()

    def painted(self, seq: int, paint_ms: float) -> None:
        """A frame's pixels reached the screen, and painting them took so long."""
        self._performance.painted(seq, paint_ms, self._clock.now_s())

    def samples(self) -> Sequence[Sample]:
        """Every measured frame since the start, as far as they are remembered."""
        return self._performance.samples()

    def _read_out(self) -> None:
        now = self._clock.now_s()
        self.readout_ready.emit(self._performance.readout(now))
        if self._performance.idle(now):
            self._readout_timer.stop()
