"""Which of several engines is the fastest here, found out step by step while others work.

What runs is replaced only by what is clearly faster, and both are timed in turn, so that a moment
in which the machine is busy is nobody's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from r2l_core.engines import backends, choice
from r2l_core.engines.base import Engine
from r2l_core.errors import EngineError
from r2l_core.model.light_field import LightField
from r2l_core.types import Precision

CLEARLY = 1.1
"""How many times as fast another engine has to be."""


@dataclass(frozen=True)
class Outcome:
    """How a contest ended. `engine`: what is taken from now on. `before`: what was. `speedup`: how
    many times as fast as that it is, 1 where it is the same."""

    precision: Precision
    engine: str
    before: str
    speedup: float


class Contest:
    """Times engines of its own: those that render are not touched."""

    def __init__(
        self, light_field: LightField, precision: Precision, before: str, device: str
    ) -> None:
        """`before`: the engine that runs, on `device`."""
        self._light_field = light_field
        self._precision = precision
        self._before = before
        self._device = device
        self.outcome: Outcome | None = None
        """Known after the last step."""

    @property
    def names(self) -> list[str]:
        """Who takes part."""
        return _rivals(self._precision, self._device)

    @property
    def needed(self) -> bool:
        """Whether there is anything to find out."""
        names = self.names
        recalled = choice.recall(self._light_field, self._precision, self._device, names)
        return len(names) > 1 and self._before in names and recalled is None

    def steps(self, undisturbed: Callable[[], bool]) -> Iterator[str]:
        """Yields what comes next, and does it when asked for more.

        undisturbed: whether nothing else has happened during the step that ended; a time that was
        measured while a picture was made is not used.
        """
        built: dict[str, Engine] = {}
        failed = False
        for position, name in enumerate(self.names, start=1):
            yield f"building {name}, {position} of {len(self.names)}"
            try:
                built[name] = backends.ENGINES[name].build(
                    self._light_field, self._precision, self._device
                )
                choice.check(built[name], self._light_field)
            except EngineError:
                # Not remembered, so that it is tried again.
                built.pop(name, None)
                failed = True
        if self._before not in built:
            return
        best = dict.fromkeys(built, float("inf"))
        watches = {name: choice.Stopwatch(one, self._light_field) for name, one in built.items()}
        for turn in range(1, choice.TURNS + 1):
            for name in built:
                measured = False
                while not measured:
                    yield f"timing {name}, turn {turn} of {choice.TURNS}"
                    seconds = watches[name].seconds()
                    measured = undisturbed()
                best[name] = min(best[name], seconds)
        fastest = min(best, key=lambda name: best[name])
        speedup = best[self._before] / best[fastest]
        if speedup <= CLEARLY:
            fastest, speedup = self._before, 1.0
        if not failed:
            choice.remember(self._light_field, self._precision, self._device, self.names, fastest)
        self.outcome = Outcome(self._precision, fastest, self._before, speedup)


def _rivals(precision: Precision, device: str) -> list[str]:
    try:
        return backends.candidates(precision, "auto", device)[1]
    except EngineError:
        return []
