"""What the commands that train have in common: options, a state to go on from, and a bar."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from tqdm import tqdm

from r2l_core.commands.arguments import positive_float
from r2l_core.commands.shared import device_option, json_option, require_writable

if TYPE_CHECKING:
    from r2l_core.training.runs import TellDone

_TELL_EVERY_S = 0.2
_BAR = "{desc}{percentage:3.1f}%|{bar}| {elapsed}<{remaining}{postfix}"


def training_options(
    parser: argparse.ArgumentParser, out: str, made: str, minutes: float | None, minutes_help: str
) -> None:
    """Declare --out, --minutes, --resume, --device and --json.

    out: how the name of what is `made` looks. minutes: where none are given.
    """
    parser.add_argument("--out", type=Path, required=True, metavar=out, help=made)
    parser.add_argument(
        "--minutes",
        type=positive_float,
        default=minutes,
        metavar="M",
        help=f"training time in all ({minutes_help})",
    )
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    device_option(parser)
    json_option(parser)


def state_option(parser: argparse.ArgumentParser) -> None:
    """Declare --state."""
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="where to keep the training state"
    )


def state_file(options: argparse.Namespace, command: str) -> Path:
    """Where the training state is: --state, or a file of the command's and --out's name."""
    # Imported here: a large library for one path.
    import platformdirs

    cache = platformdirs.user_cache_path("r2l-viewer") / command
    return Path(options.state or cache / f"{options.out.stem}.pt")


def train(
    new_training: Callable[[TellDone], Trained], options: argparse.Namespace, state: Path
) -> Trained | None:
    """Train to the end, from the beginning or with --resume from `state`; None where Ctrl+C
    stopped it, which is said. Raises R2LError.

    new_training: makes what is trained, and is given what to tell how far it is with that.
    """
    with closing(TrainingBar()) as bar:
        training = new_training(bar.preparing())
        if options.resume:
            training.resume()
        else:
            if state.exists():  # hours of work, perhaps
                state.replace(state.with_suffix(".previous.pt"))
            training.save()  # a place that cannot be written is better found now than in an hour
        require_writable(options.out)
        finished = bar.follow(training)
    if finished:
        return training
    print(f"Stopped; the state is in {state}. Go on with --resume.")
    return None


class TrainingProgress(Protocol):
    """What a trainer yields after a step."""

    @property
    def share(self) -> float:
        """Of the run, 0 to 1."""

    @property
    def train_psnr_db(self) -> float:
        """On the rays it learns from."""

    @property
    def krays_per_s(self) -> float:
        """Thousands of rays it learns from in a second."""

    def words(self) -> str:
        """For a progress bar."""


def nobody(_share: float, _progress: TrainingProgress) -> None:
    """Is told how it goes where nobody else wants to know."""


class Training(Protocol):
    """A run that can be stopped between two steps."""

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""

    def run(self) -> Iterator[TrainingProgress]:
        """Train to the end."""

    def save(self) -> None:
        """Write everything needed to go on."""

    def resume(self) -> None:
        """Go on from what was written."""


Trained = TypeVar("Trained", bound=Training)


class Preparation:
    """How far something is that is done before a step, and how long it takes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds that never go back."""
        self._clock = clock
        self._what, self._since_s = "", 0.0

    def words(self, what: str, done: int, total: int) -> str:
        """Such as "reading photographs, 12 of 100, 0:07 left"; the time where it can be told."""
        now_s = self._clock()
        if what != self._what or not done:
            self._what, self._since_s = what, now_s
        words = f"{what}, {done} of {total}"
        if not done:
            return words
        left_s = round((now_s - self._since_s) * (total - done) / done)
        return f"{words}, {left_s // 60}:{left_s % 60:02d} left"


class TrainingBar:
    """Shows one or several trainings after one another; Ctrl+C stops them with all saved."""

    def __init__(self, hidden: bool = False) -> None:
        """`hidden`: whether nobody reads it."""
        self._hidden = hidden
        self._shown: tqdm[NoReturn] | None = None
        self._stage, self._start = "", 0.0
        self._preparation, self._told_s = Preparation(), -math.inf

    @property
    def _bar(self) -> tqdm[NoReturn]:
        """Made when there is something to tell: what is refused before that is one error alone."""
        if self._shown is None:
            self._shown = tqdm(total=100.0, bar_format=_BAR, disable=self._hidden)
        return self._shown

    def preparing(self, stage: str = "", start: float = 0.0) -> TellDone:
        """What to tell what is done before the steps of a stage, which begins at that share of the
        whole bar, and between them."""
        self._stage, self._start = stage, start
        return self._tell

    def _tell(self, what: str, done: int, total: int) -> None:
        self._bar.set_description_str(self._stage, refresh=False)
        self._to(self._start)
        self._bar.set_postfix_str(self._preparation.words(what, done, total), refresh=False)
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_EVERY_S:
            self._told_s = now_s
            self._bar.refresh()

    def close(self) -> None:
        """Leave it as it is."""
        if self._shown is not None:
            self._shown.close()

    def follow(
        self,
        training: Training,
        stage: str = "",
        start: float = 0.0,
        end: float = 1.0,
        after_step: Callable[[float, TrainingProgress], None] = nobody,
    ) -> bool:
        """Train, between two shares of the whole bar; False where Ctrl+C stopped it.
        `after_step`: is called with the share of the whole that is done."""
        self._stage, self._start = stage, start + (end - start) * training.progress
        self._bar.set_description_str(stage, refresh=False)
        self._to(self._start)
        try:
            for progress in training.run():
                self._bar.set_postfix_str(progress.words(), refresh=False)
                share = start + (end - start) * progress.share
                self._to(share)
                after_step(share, progress)
        except KeyboardInterrupt:
            training.save()
            return False
        return True

    def _to(self, share: float) -> None:
        self._bar.update(max(0.0, 100 * share - self._bar.n))
