"""What the commands that train have in common: options, a state to go on from, and a bar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from r2l_core.commands.arguments import positive_float
from r2l_core.commands.shared import device_option, json_option, require_writable

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


def train(training: Training, options: argparse.Namespace, state: Path) -> bool:
    """Train to the end, from the beginning or with --resume from `state`; False where Ctrl+C
    stopped it, which is said. Raises R2LError."""
    if options.resume:
        training.resume()
    else:
        if state.exists():  # hours of work, perhaps
            state.replace(state.with_suffix(".previous.pt"))
        training.save()  # a place that cannot be written is better found now than in an hour
    require_writable(options.out)
    with closing(TrainingBar()) as bar:
        finished = bar.follow(training)
    if not finished:
        print(f"Stopped; the state is in {state}. Go on with --resume.")
    return finished


class Progress(Protocol):
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


def nobody(_share: float, _progress: Progress) -> None:
    """Is told how it goes where nobody else wants to know."""


class Training(Protocol):
    """A run that can be stopped between two steps."""

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""

    def run(self) -> Iterator[Progress]:
        """Train to the end."""

    def save(self) -> None:
        """Write everything needed to go on."""

    def resume(self) -> None:
        """Go on from what was written."""


class TrainingBar:
    """Shows one or several trainings after one another; Ctrl+C stops them with all saved."""

    def __init__(self, hidden: bool = False) -> None:
        """`hidden`: whether nobody reads it."""
        self._bar = tqdm(total=100.0, bar_format=_BAR, disable=hidden)

    def close(self) -> None:
        """Leave it as it is."""
        self._bar.close()

    def follow(
        self,
        training: Training,
        stage: str = "",
        start: float = 0.0,
        end: float = 1.0,
        told: Callable[[float, Progress], None] = nobody,
    ) -> bool:
        """Train, between two shares of the whole bar; False where Ctrl+C stopped it. `told`: is
        called after every step, with the share of the whole that is done."""
        self._bar.set_description_str(stage, refresh=False)
        self._to(start + (end - start) * training.progress)
        try:
            for progress in training.run():
                self._bar.set_postfix_str(progress.words(), refresh=False)
                share = start + (end - start) * progress.share
                self._to(share)
                told(share, progress)
        except KeyboardInterrupt:
            training.save()
            return False
        return True

    def _to(self, share: float) -> None:
        self._bar.update(max(0.0, 100 * share - self._bar.n))
