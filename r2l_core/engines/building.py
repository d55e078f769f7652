"""Engines for a light field: the one that is asked for, or the choice among those that can.

`auto` takes the fastest backend that agrees with the reference on the opened light field. The
choice is remembered per machine and model (`choice`), so that a later start need not try again.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace

from r2l_core.engines import backends, choice
from r2l_core.engines.backends import broken, candidates, places
from r2l_core.engines.base import Engine
from r2l_core.errors import EngineError, R2LError, first_line
from r2l_core.model.light_field import LightField
from r2l_core.types import Precision


class BuildAbandoned(Exception):
    """Nobody wants the engine any more that was being built."""


def _never() -> bool:
    return False


def build_engine(
    light_field: LightField,
    precision: Precision,
    engine: str = "auto",
    device: str = "auto",
    abandoned: Callable[[], bool] = _never,
) -> Engine:
    """A ready engine. Raises EngineUnavailable (cannot run here) or EngineError (failed).

    `abandoned` is asked between any two steps, of which none takes long, and ends it by
    BuildAbandoned. With `auto` the processor steps in where all engines of the GPU fail;
    `info.fallback` says so.
    """
    return _on_a_device(_Builder.best, light_field, precision, engine, device, abandoned)


def build_at_once(
    light_field: LightField,
    precision: Precision,
    engine: str = "auto",
    device: str = "auto",
    abandoned: Callable[[], bool] = _never,
) -> Engine:
    """As `build_engine`, but `auto` tries nothing out: it takes what was chosen before for this
    machine and model, or else the first of ENGINES that can. `contest` finds out which is faster.
    """
    return _on_a_device(_Builder.first, light_field, precision, engine, device, abandoned)


def _on_a_device(
    choose: Callable[[_Builder], Engine],
    light_field: LightField,
    precision: Precision,
    engine: str,
    device: str,
    abandoned: Callable[[], bool],
) -> Engine:
    candidates(precision, engine, device)  # raises where there is none
    failures: list[EngineError] = []
    for place, names in places(precision, engine, device):
        try:
            built = choose(_Builder(light_field, precision, place, names, abandoned))
        except EngineError as error:
            failures.append(error)
        else:
            reasons = [_reason(one) for one in failures]
            reasons += [built.info.fallback] if built.info.fallback else []
            reasons += broken(precision, engine, place)
            if reasons:
                built.info = replace(built.info, fallback=reasons[0])
            return built
    raise failures[0]


class _Builder:
    """Builds a light field's engines in one precision on one device, and keeps what failed."""

    def __init__(
        self,
        light_field: LightField,
        precision: Precision,
        device: str,
        names: list[str],
        abandoned: Callable[[], bool],
    ) -> None:
        """names: of the engines that can."""
        self._light_field = light_field
        self._precision = precision
        self._device = device
        self._names = names
        self._abandoned = abandoned
        self._failures: list[EngineError] = []
        self._remembered = choice.recall(light_field, precision, device, names)
        # Whether a kernel is right on a GPU depends on driver and compiler, which change.
        self._trusted = {"reference"} if device == "cuda" else {"reference", self._remembered}

    def first(self) -> Engine:
        """The engine chosen before, or else the first that is right."""
        for name in self._remembered_first():
            # The fused engine checks itself, on fewer rays and in the same precision.
            if engine := self._right(name, {*self._trusted, "fused"}):
                return self._with_reason(engine)
        raise self._failures[0]

    def best(self) -> Engine:
        """The engine chosen before, or else the fastest that agrees with the reference, which is
        remembered."""
        built: dict[str, Engine] = {}
        for name in self._remembered_first():
            if engine := self._right(name, self._trusted):
                if name == self._remembered:
                    return engine
                built[name] = engine
        self._require_wanted()
        if not built:
            raise self._failures[0]
        name = choice.fastest(built, self._light_field) if len(built) > 1 else next(iter(built))
        # Where one failed it is tried again, and the reason is there the next time too.
        if not self._failures:
            choice.remember(self._light_field, self._precision, self._device, self._names, name)
        return self._with_reason(built[name])

    def _remembered_first(self) -> list[str]:
        return sorted(self._names, key=lambda name: name != self._remembered)

    def _right(self, name: str, trusted: Set[str | None]) -> Engine | None:
        """An engine that is right, or else None.

        Only those that are not trusted are checked; and the only one of a simulation is right
        however bad it is, since it shows what a rounding does.
        """
        several = len(self._names) > 1
        try:
            self._require_wanted()
            engine = _build(name, self._light_field, self._precision, self._device)
            self._require_wanted()
            if name not in trusted and (several or self._precision in choice.CLAIMS):
                choice.check(engine, self._light_field)
        except EngineError as error:
            self._failures.append(error)
            return None
        return engine

    def _require_wanted(self) -> None:
        if self._abandoned():
            raise BuildAbandoned

    def _with_reason(self, engine: Engine) -> Engine:
        """The engine, which says why it is not the one before it."""
        if self._failures:
            engine.info = replace(engine.info, fallback=_reason(self._failures[0]))
        return engine


def _reason(failure: EngineError) -> str:
    return f"{failure.what}: {failure.why}"


def rebuilt(before: Engine, light_field: LightField) -> Engine:
    """The same engine for other weights of the same network: what was found out about it holds.

    Raises EngineError.
    """
    info = before.info
    device = "cpu" if info.device == "cpu" else "cuda"
    return _build(info.engine, light_field, info.precision, device)


def expected_engine(
    light_field: LightField, precision: Precision, engine: str = "auto", device: str = "auto"
) -> str:
    """The name of the engine that `build_at_once` tries first; `engine` where there is none."""
    for place, names in places(precision, engine, device):
        return choice.recall(light_field, precision, place, names) or names[0]
    return engine


def _build(name: str, light_field: LightField, precision: Precision, device: str) -> Engine:
    try:
        return backends.ENGINES[name].build(light_field, precision, device)
    except R2LError:
        raise
    except Exception as error:
        # Backends raise all kinds of errors; a failed engine is one thing to the user.
        raise EngineError(
            f"The {name} engine could not be built for {precision}",
            first_line(error),
            "Choose another precision or engine.",
        ) from error
