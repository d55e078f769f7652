"""`learn --watched`: says how it goes, shows the newest weights, and does as it is told."""

from __future__ import annotations

import _thread
import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from r2l_core.commands.training import Preparation, TrainingProgress
from r2l_core.errors import CheckpointError, R2LError, system_reason
from r2l_core.training.watching import (
    PROGRESS_FILE,
    Control,
    LearningProgress,
    Stage,
    failed,
    newest_file,
    read_control,
)

if TYPE_CHECKING:
    from r2l_core.training.runs import TellDone

TELL_EVERY_S = 0.5
SHOW_EVERY_S = 3.0
_SHOW_SHARE = 0.05
"""Of the time, at most, that may go into writing what has been learned by now."""
_LISTEN_EVERY_S = 0.2
_WAIT_S = 0.05
_NICENESS = 15
"""Added to the process's own: what somebody looks at meanwhile goes first."""


class Watched:
    """Lives as long as the learning. Once the standard input is closed, which the program that
    started it holds open, it ends with all saved, unless it was told that it stays.

    `name`: of what is learned. `minutes`: of training in all. `clock`: seconds that never go back.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        minutes: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.newest = newest_file(folder, name)
        self._folder = folder
        self._seconds = 60.0 * minutes
        self._clock = clock
        self._told_s = self._shown_s = -math.inf
        self._cost_s = 0.0
        self._last = LearningProgress(Stage.STARTING)
        self._preparation = Preparation(clock)
        self._control = Control()
        self._alone = threading.Event()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        with contextlib.suppress(AttributeError, OSError):
            os.nice(_NICENESS)
        # Shells start what runs in the background with Ctrl+C ignored, which would be the end of
        # every order to stop.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=self._wait_for_end_of_input, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()
        self.tell(LearningProgress(Stage.STARTING))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if isinstance(error, Exception):
            self.tell(failed(error))
        elif error is not None:
            self.tell(LearningProgress(Stage.STOPPED))

    def tell(self, progress: LearningProgress) -> None:
        """Write one line. Raises R2LError."""
        try:
            with (self._folder / PROGRESS_FILE).open("a", encoding="utf-8") as file:
                file.write(progress.line() + "\n")
        except OSError as error:
            raise CheckpointError(
                f"The progress of the learning could not be written to {self._folder}",
                system_reason(error),
                "Free some space, and go on with --resume.",
            ) from error

    def preparing(self, stage: Stage) -> TellDone:
        """What to tell what is done before the steps of a stage, and between them."""
        self._last = LearningProgress(stage)
        self._told_s = -math.inf

        def doing(what: str, done: int, total: int) -> None:
            words = self._preparation.words(what, done, total)
            now_s = self._clock()
            if now_s - self._told_s >= TELL_EVERY_S:
                self._told_s = now_s
                self.tell(replace(self._last, doing=words))
            self._wait_while_paused()

        return doing

    def follow(
        self, stage: Stage, save: Callable[[Path], None]
    ) -> Callable[[float, TrainingProgress], None]:
        """What to call after every step of a stage, with the share of the whole that is done.
        `save`: writes what has been learned by now."""
        self._told_s = self._shown_s = -math.inf

        def step(share: float, progress: TrainingProgress) -> None:
            now_s = self._clock()
            if now_s - self._told_s >= TELL_EVERY_S:
                self._told_s = now_s
                self._last = self._words(stage, share, progress)
                self.tell(self._last)
            if now_s - self._shown_s >= max(SHOW_EVERY_S, self._cost_s / _SHOW_SHARE):
                # It is to be seen; the training goes on without.
                with contextlib.suppress(R2LError):
                    save(self.newest)
                self._shown_s = self._clock()
                self._cost_s = self._shown_s - now_s
            self._wait_while_paused()

        return step

    def _wait_while_paused(self) -> None:
        while self._control.paused:
            time.sleep(_WAIT_S)

    def _words(self, stage: Stage, share: float, progress: TrainingProgress) -> LearningProgress:
        return LearningProgress(
            stage,
            share,
            share * self._seconds,
            (1.0 - share) * self._seconds,
            progress.train_psnr_db,
            getattr(progress, "held_out_psnr_db", None),
            1e3 * progress.krays_per_s,
        )

    def _wait_for_end_of_input(self) -> None:
        # Not through `sys.stdin`, whose lock would be held when the interpreter ends.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        self._alone.set()

    def _listen(self) -> None:
        """Stop as Ctrl+C does, once, when told to or left alone."""
        while not self._over.wait(_LISTEN_EVERY_S):
            self._control = read_control(self._folder)
            if self._control.stop or (self._alone.is_set() and not self._control.stays):
                _thread.interrupt_main()
                return
