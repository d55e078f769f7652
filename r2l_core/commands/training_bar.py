"""One bar for everything that trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from tqdm import tqdm

_BAR = "{desc}{percentage:3.1f}%|{bar}| {elapsed}<{remaining}{postfix}"


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


class TrainingBar:
    """Shows one or several trainings after one another; Ctrl+C stops them with all saved."""

    def __init__(self, hidden: bool = False) -> None:
        """`hidden`: whether nobody reads it."""
        self._hidden = hidden

    def __enter__(self) -> Self:
        self._bar = tqdm(total=100.0, bar_format=_BAR, disable=self._hidden)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
