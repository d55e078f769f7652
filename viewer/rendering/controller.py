"""Asks for what the state shows, and shows the frames that answer."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.frames import Frame
from r2l_core.types import Precision
from viewer.camera.controller import CameraController
from viewer.rendering.mailbox import Mailbox
from viewer.rendering.running import Running
from viewer.rendering.starting import Looking
from viewer.state.panes import PaneChoice
from viewer.state.resolve import Capabilities, Wish, replaced, request_of, wish_of
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.controls.wording import distinct_names

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

_MOST_POSTED = 100
_FINE_ENOUGH = 4
"""Stride from which on a picture of other engines takes the place of a sharp one."""


class RenderController(QObject):
    """A state that asks for other engines posts a wish; one that looks otherwise, a request.

    What cannot be had is taken back: the state shows again what runs.
    """

    asked = pyqtSignal()
    """Other engines were chosen, and are asked for."""
    frames_shown = pyqtSignal(tuple)
    """tuple[Frame, ...], one for each pane, that went to the window."""
    waiting_changed = pyqtSignal(str)
    """What the picture still shows, and what it waits for; empty once that is shown."""
    badge_changed = pyqtSignal(str)
    """A quiet remark on the view; empty for none."""
    running_changed = pyqtSignal(Running)
    """Something new renders, and the state and the camera say so."""

    def __init__(
        self,
        mailbox: Mailbox,
        store: StateStore,
        camera: CameraController,
        parent: QObject | None = None,
        clock: Clock = REAL_TIME,
    ) -> None:
        super().__init__(parent)
        self._mailbox = mailbox
        self._store = store
        self._camera = camera
        self._clock = clock
        self._capabilities = Capabilities()
        self._running: Running | None = None
        self._looking: Looking | None = None
        self._wish: Wish | None = None
        """What was asked for last, or what runs where that failed."""
        self._posted: list[tuple[Wish, ViewState]] = []
        """What is still to be answered, and the state that asked for it."""
        self._kept: ViewState | None = None
        """The state whose engines run."""
        self._replaced = ""
        """Which of the compared panes are on their way, in words."""
        self._badge = ""
        self._numbers = itertools.count(1)
        self._seq = 0
        self._shown_seq = -1
        self._shown: Frame | None = None
        """The first of those that were shown last."""
        self._n_shown = 0
        self._waiting = ""
        """What is shown still, and what is asked for; empty where what is shown is that."""
        store.listen(self._state_changed)

    @property
    def running(self) -> Running | None:
        """What renders now; None before the first light field is open."""
        return self._running

    def start(self) -> None:
        """Ask for the first light field, unless that was done."""
        if self._wish is None:
            self._post(self._store.state)

    # What is chosen

    def open(self, checkpoint: str) -> None:
        """Show another light field, or the same anew: its file may have changed."""
        before = self._wish
        self._store.set(self._store.state.opening(checkpoint))
        if self._wish is before:
            self._post(self._store.state)

    def renew(self, checkpoint: str) -> None:
        """Show a later state of the open light field, from its own file or another one: camera and
        panes stay, and so does the picture until the new one is as fine."""
        state = self._store.state
        state = replace(state, light_field=replace(state.light_field, checkpoint=checkpoint))
        self._post(state, renewed=True)
        self._store.set(state)

    def choose_precision(self, precision: Precision) -> None:
        """Show another precision in the active pane."""
        self._store.set(self._store.state.showing(precision))

    def set_scene(self, scene: str | SceneSpec | None) -> None:
        """Show the light field in a preset, the scene of a file or a given one; None: its own."""
        self._store.set(self._store.state.in_scene(scene))

    def set_dataset(self, dataset: Dataset | None) -> None:
        """From now on this is the ground truth, whatever light field is open."""
        self._capabilities = Capabilities(dataset)
        self._post(self._store.state)

    def set_canonical(self, on: bool) -> None:
        """Re-base rays on the trained sphere, or leave them as the camera makes them."""
        light_field = self._store.state.light_field
        rays = "canonical" if on else "plain"
        self._store.change(light_field=replace(light_field, rays=rays))

    def want(self, state: ViewState) -> None:
        """Ask for the engines of `state`, even where these were asked for before; the present state
        takes them over once they run."""
        self._post(state)

    def refresh(self) -> None:
        """Ask for the picture once more."""
        self._request(self._store.state)

    # What the render thread says

    def look(self, looking: Looking) -> None:
        """A first look is there, and answers requests until something runs."""
        if self._running is None:
            self._looking = looking
            self._camera.enter(looking.scene)
            self.refresh()

    def run(self, running: Running) -> None:
        """The render thread has something new to render with."""
        before, self._running = self._running, running
        looking, self._looking = self._looking, None
        if looking is not None:
            self._wait(True)
        asked = next((state for wish, state in self._posted if wish is running.wish), None)
        self._posted = [one for one in self._posted if one[1] is not asked]
        entered = looking is not None and looking.scene.home() == running.scene.home()
        if entered or (running.wish.renewed and before is not None):
            # The camera may have been moved by now.
            self._camera.adapt(running.scene)
        elif (
            before is None
            or before.wish.light_field.checkpoint != running.wish.light_field.checkpoint
            or before.scene.home() != running.scene.home()
        ):
            # Frames that answer requests made until now have the camera of another scene.
            self._shown_seq = self._seq + 1
            self._camera.enter(running.scene)
        elif before.scene != running.scene:
            self._camera.adapt(running.scene)
        self._adopt(running, asked)
        self.running_changed.emit(running)
        self.refresh()

    def fail(self, wish: Wish) -> ViewState:
        """A wish failed; what ran before runs on. Returns the state that asked for it."""
        state = self._store.state
        asked = next((state for one, state in self._posted if one is wish), state)
        self._wait(False)
        # One that was made since is still to be answered.
        if self._kept is not None and wish is self._wish:
            reverted = state.with_engines_of(self._kept)
            self._wish = wish_of(reverted, self._capabilities)
            self._store.set(reverted)
        return asked

    def show(self, frames: tuple[Frame, ...]) -> None:
        """Show the frames of one request, one for each pane, unless they are stale.

        A newer request is no reason to drop them, or the picture would freeze during a drag.
        """
        running, first = self._running, frames[0]
        epoch = running.epoch if running is not None else 0
        nothing = running is None and self._looking is None
        if nothing or first.epoch != epoch or first.seq < self._shown_seq:
            return
        if running is not None and running.wish.renewed and self._is_coarser(first):
            return
        if self._waiting and len(frames) == self._n_shown and self._is_worth_keeping(first):
            return
        self._shown_seq = first.seq
        self._shown, self._n_shown = first, len(frames)
        self._wait(False)
        self.frames_shown.emit(frames)

    def _is_coarser(self, frame: Frame) -> bool:
        """Whether the picture that is shown is of the same view and whole, and this one is not."""
        shown = self._shown
        if shown is None or frame.complete or not shown.complete:
            return False
        return shown.camera.same_view(frame.camera)

    def _is_worth_keeping(self, frame: Frame) -> bool:
        """Whether the picture that is shown is of the same view and much finer."""
        shown = self._shown
        if shown is None or frame.why_blank or frame.stride <= max(shown.stride, _FINE_ENOUGH):
            return False
        return shown.camera.same_view(frame.camera)

    def _wait(self, on: bool) -> None:
        """The last picture stays, and is said to be what it is, until another one is as good."""
        text = ""
        if on:
            if self._shown is None:
                return
            text = self._what_it_waits_for(self._shown)
        if text != self._waiting:
            self._waiting = text
            self.waiting_changed.emit(text)

    def _what_it_waits_for(self, shown: Frame) -> str:
        state = self._store.state
        pane, text = state.active_pane, f"still {shown.engine.precision}"
        asked = state.light_field.checkpoint
        runs = asked if self._running is None else self._running.wish.light_field.checkpoint
        if runs != asked:
            names = distinct_names((runs, asked))
            return f"still {names[runs]}, {names[asked]} is on its way"
        if state.comparing:
            return self._replaced or text
        return text if pane is None else f"{text}, {pane.source} is on its way"

    def _adopt(self, running: Running, asked: ViewState | None) -> None:
        """Let the state say what runs, where it is what was asked for last."""
        state = self._store.state
        if asked is None or running.wish is not self._wish:
            self._kept = asked or self._kept
            return
        state = state.with_engines_of(asked)
        if not state.panes:
            # The best precision is known now; it is no other wish than the one it fulfils.
            state = state.with_panes((PaneChoice(running.engine.precision),))
        self._kept = state
        self._wish = wish_of(state, self._capabilities)
        self._store.set(state)

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if self._wish is not None and _engines(before) != _engines(after):
            self._engines_changed(after)
        if before.viewpoint is not after.viewpoint or _look(before) != _look(after):
            self._request(after)

    def _engines_changed(self, state: ViewState) -> None:
        wish = wish_of(state, self._capabilities)
        if wish != self._wish:
            # Beside a pane that is added, what is shown already is not outdated.
            before = self._wish
            added = (
                before is not None
                and before.light_field == wish.light_field
                and 0 < len(before.panes) < len(wish.panes)
                and {*before.panes} <= {*wish.panes}
            )
            shown = None if self._running is None else self._running.wish
            self._replaced = replaced(shown, wish) or replaced(before, wish)
            self._post(state)
            if not added:
                self._wait(True)
            self.asked.emit()
        elif self._posted and self._posted[-1][0] is self._wish:
            # Asked for already: it only looks otherwise, such as with another active pane.
            self._posted[-1] = (self._posted[-1][0], state)
        else:
            self._kept = state

    def _post(self, state: ViewState, renewed: bool = False) -> None:
        self._wish = replace(wish_of(state, self._capabilities), renewed=renewed)
        self._posted = [*self._posted, (self._wish, state)][-_MOST_POSTED:]
        self._mailbox.want(self._wish)

    def _request(self, state: ViewState) -> None:
        """Ask for a picture of the camera as it is."""
        shown = self._running or self._looking
        if shown is None:
            return
        request = request_of(state)
        badge = shown.scene.outside_trained_views(request.camera.position, shown.ray_mode)
        if (badge or "") != self._badge:
            self._badge = badge or ""
            self.badge_changed.emit(self._badge)
        self._seq = next(self._numbers)
        self._mailbox.submit(replace(request, seq=self._seq, created_s=self._clock.now_s()))


def _engines(state: ViewState) -> tuple[object, ...]:
    """What the wish, and what is kept of a state when another fails, depend on."""
    pairs = state.pair, state.reference
    return state.light_field, state.panes, state.active, pairs, state.mode


def _look(state: ViewState) -> tuple[object, ...]:
    return state.render_size_px, state.max_stride, state.fill_flat
