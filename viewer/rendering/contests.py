"""Finds out behind the window whether another engine is faster than the one that runs.

Only while nothing is rendered: a contest waits as soon as the camera moves, and can be stopped.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.engines.fused.workers import usable_processors
from r2l_core.errors import R2LError
from viewer.rendering.controller import RenderController
from viewer.rendering.mailbox import Mailbox
from viewer.rendering.running import Running
from viewer.runtime import lower_thread_priority
from viewer.state.panes import AUTO
from viewer.state.view_state import StateStore
from viewer.widgets.controls import wording
from viewer.window.main_window import MainWindow

if TYPE_CHECKING:
    from r2l_core.engines.contest import Contest, Outcome

CALM_S = 2.0
"""So long nothing is to have happened before the next step."""
_LOOK_S = 0.1


class Contests(QObject):
    """One at a time, of the precision that runs alone. Signals come from a thread of its own."""

    progress = pyqtSignal(str)
    """How a contest goes; empty when none does."""
    decided = pyqtSignal(object)
    """Outcome, whose module would load torch at the start."""

    def __init__(
        self,
        mailbox: Mailbox,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        parent: QObject,
    ) -> None:
        """`mailbox`: says since when nothing is rendered."""
        super().__init__(parent)
        self._mailbox = mailbox
        self._window = window
        self._store = store
        self._rendering = rendering
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.progress.connect(window.engine.show_contest)
        self.decided.connect(self._decide)
        window.engine.contest_stopped.connect(self.stop)

    def begin(self) -> None:
        """From now on, find out while nothing happens which engine is the fastest here."""
        self._rendering.running_changed.connect(self._running_changed)

    def _decide(self, outcome: Outcome) -> None:
        self._window.show_note(words(outcome))
        if outcome.engine != outcome.before:
            self._rendering.want(self._store.state)

    def _running_changed(self, running: Running) -> None:
        """Something else runs: what was being found out about the one before can wait."""
        self.stop()
        panes, info = running.wish.panes, running.engine
        if len(running.engines) > 1 or running.wish.renewed or info.mix:
            return
        if (panes and panes[0].engine != AUTO) or running.wish.light_field.engine != AUTO:
            return
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(running, self._stop), name="r2l-contest", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the contest that goes on, after its present step."""
        self._stop.set()

    def close(self) -> None:
        """End it, and wait for that."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, running: Running, stop: threading.Event) -> None:
        import torch

        from r2l_core.engines.contest import Contest
        from r2l_core.model.light_field import LightField

        # As on the render thread, whatever that had set when this one came up.
        torch.set_num_threads(usable_processors())
        lower_thread_priority()
        light_field, info = running.light_field, running.engine
        if not isinstance(light_field, LightField):
            return
        contest = Contest(light_field, info.precision, info.engine, _place(info.device))
        try:
            if contest.needed:
                self._hold(contest, stop)
        except R2LError:
            pass  # an engine that fails has lost
        finally:
            self.progress.emit("")

    def _hold(self, contest: Contest, stop: threading.Event) -> None:
        since: list[float | None] = [None]

        def undisturbed() -> bool:
            return since[0] is not None and self._mailbox.idle_since_s == since[0]

        for step in contest.steps(undisturbed):
            self.progress.emit(f"Is another engine faster? {wording.capital(step)}")
            while not self._calm():
                if stop.wait(_LOOK_S):
                    return
            if stop.is_set():
                return
            since[0] = self._mailbox.idle_since_s
        if contest.outcome is not None:
            self.decided.emit(contest.outcome)

    def _calm(self) -> bool:
        since_s = self._mailbox.idle_since_s
        return since_s is not None and time.perf_counter() - since_s >= CALM_S


def words(outcome: Outcome) -> str:
    """What came out, as a sentence without its full stop."""
    if outcome.engine == outcome.before:
        return f"{outcome.before} stays: no other engine is clearly faster in {outcome.precision}"
    return (
        f"{outcome.engine} is {outcome.speedup:.1f} times as fast as {outcome.before} in "
        f"{outcome.precision}, and takes over"
    )


def _place(device: str) -> str:
    return "cpu" if device == "cpu" else "cuda"
