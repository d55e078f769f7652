"""Backends that turn rays into colours: a plain dict, and the choice among them.

`auto` takes the fastest backend that agrees with the reference on the opened light field. The
choice is remembered per machine and model (`choice`), so that a later start need not try again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch

from r2l_core.engines import choice
from r2l_core.engines.base import Engine, EngineFactory, Shaded
from r2l_core.engines.cuda.engine import CudaFactory
from r2l_core.engines.fused.engine import FusedFactory
from r2l_core.engines.openvino_engine import OpenVinoFactory
from r2l_core.engines.reference import ReferenceFactory
from r2l_core.engines.simulated import SimulatedFactory
from r2l_core.engines.torch_engine import TorchFactory
from r2l_core.errors import EngineError, EngineUnavailable, R2LError
from r2l_core.model.light_field import LightField
from r2l_core.types import Availability, Precision

__all__ = [
    "ENGINES",
    "Engine",
    "Shaded",
    "availability",
    "available_engines",
    "build_at_once",
    "build_engine",
    "candidates",
    "default_precision",
    "devices",
    "expected_engine",
]

ENGINES: dict[str, EngineFactory] = {
    "cuda": CudaFactory(),
    "fused": FusedFactory(),
    "torch": TorchFactory(),
    "openvino": OpenVinoFactory(),
    "simulated": SimulatedFactory(),
    "reference": ReferenceFactory(),
}
"""By command-line name. `auto` tries all but the reference, which others are measured against."""


def devices(device: str) -> list[str]:
    """Where to look for an engine, best first: `auto` means the GPU, where torch sees one, and
    the processor for what the GPU's engine cannot do."""
    if device != "auto":
        return [device]
    return ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]


def availability(precision: Precision, engine: str = "auto", device: str = "auto") -> Availability:
    """Whether `precision` can run on this machine, and why not."""
    place, names, why_not = _candidates(precision, engine, device)
    return ENGINES[names[0]].available(precision, place) if names else Availability(False, why_not)


def default_precision(
    light_field: LightField | None = None, engine: str = "auto", device: str = "auto"
) -> Precision:
    """What a light field opens in: the recipe it was quantised with; otherwise the fastest
    floating precision the machine itself calculates in.

    bf16 comes first on GPUs as well: fp16 is as fast there, but ends at 65,504, and the residual of
    a deep network may not.
    """
    if light_field is not None and light_field.quantization is not None:
        wish = light_field.quantization.opens_in
        if availability(wish, engine, device).available:
            return wish
    for place in devices(device):
        for wish in (Precision.BF16, *([Precision.FP16] if place == "cuda" else [])):
            answer = availability(wish, engine, place)
            if answer.available and not answer.emulated:
                return wish
    return Precision.FP32


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
    build = partial(_best, abandoned=abandoned)
    return _on_a_device(build, light_field, precision, engine, device)


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
    build = partial(_first, abandoned=abandoned)
    return _on_a_device(build, light_field, precision, engine, device)


def _on_a_device(
    build: Callable[[list[str], LightField, Precision, str], Engine],
    light_field: LightField,
    precision: Precision,
    engine: str,
    device: str,
) -> Engine:
    candidates(precision, engine, device)  # raises where there is none
    failures: list[EngineError] = []
    for place, names in _places(precision, engine, device):
        try:
            built = build(names, light_field, precision, place)
        except EngineError as error:
            failures.append(error)
        else:
            reasons = [f"{one.what}: {one.why}" for one in failures]
            reasons += [built.info.fallback] if built.info.fallback else []
            reasons += _broken(precision, engine, place)
            if reasons:
                built.info = replace(built.info, fallback=reasons[0])
            return built
    raise failures[0]


def _broken(precision: Precision, engine: str, device: str) -> list[str]:
    """Why engines that should run here do not."""
    answers = [ENGINES[name].available(precision, device) for name in _asked(engine)]
    return [one.why_not for one in answers if one.broken]


def _first(
    names: list[str],
    light_field: LightField,
    precision: Precision,
    device: str,
    abandoned: Callable[[], bool],
) -> Engine:
    """The engine chosen before, or else the first of `names` that is right."""
    remembered = choice.recall(light_field, precision, device, names)
    failures: list[R2LError] = []
    for name in [remembered, *names] if remembered else names:
        try:
            engine = _build(name, light_field, precision, device)
            if abandoned():
                raise BuildAbandoned
            # The fused engine checks itself, on fewer rays and in the same precision.
            known = name == "fused" or (name == remembered and device != "cuda")
            if not known and _stands_for_itself(name, names, precision):
                choice.check(engine, light_field)
        except EngineError as error:
            failures.append(error)
        else:
            if failures:
                fallback = f"{failures[0].what}: {failures[0].why}"
                engine.info = replace(engine.info, fallback=fallback)
            return engine
    raise failures[0]


def _stands_for_itself(name: str, names: list[str], precision: Precision) -> bool:
    """Whether an engine has to agree with the reference: the only one of a simulation shows what a
    rounding does, however bad that is."""
    return name != "reference" and (len(names) > 1 or precision in choice.CLAIMS)


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
    for place, names in _places(precision, engine, device):
        return choice.recall(light_field, precision, place, names) or names[0]
    return engine


def _best(
    names: list[str],
    light_field: LightField,
    precision: Precision,
    device: str,
    abandoned: Callable[[], bool],
) -> Engine:
    """The engine chosen before for this machine and model, or else the fastest of `names`."""
    remembered = choice.recall(light_field, precision, device, names)
    if remembered is not None:
        # What failed since then is no reason to fail while there are others.
        with contextlib.suppress(EngineError):
            built = _build(remembered, light_field, precision, device)
            if device == "cuda":
                # Whether a kernel is right there depends on driver and compiler, which change.
                choice.check(built, light_field)
            return built
    return _fastest(names, light_field, precision, device, abandoned)


def _build(name: str, light_field: LightField, precision: Precision, device: str) -> Engine:
    try:
        return ENGINES[name].build(light_field, precision, device)
    except R2LError:
        raise
    except Exception as error:
        # Backends raise all kinds of errors; a failed engine is one thing to the user.
        lines = str(error).splitlines()
        raise EngineError(
            f"The {name} engine could not be built for {precision}",
            lines[0] if lines else type(error).__name__,
            "Choose another precision or engine.",
        ) from error


def candidates(
    precision: Precision, engine: str = "auto", device: str = "auto"
) -> tuple[str, list[str]]:
    """The device and the names of its engines that can run `precision` here.

    Raises EngineUnavailable where there is none.
    """
    place, names, why_not = _candidates(precision, engine, device)
    if not names:
        raise EngineUnavailable(
            f"{precision} cannot run here with engine '{engine}' on device '{device}'",
            why_not,
            "Choose another precision, engine or device.",
        )
    return place, names


def available_engines(precision: Precision, device: str = "auto") -> tuple[str, ...]:
    """Names of the engines that can run `precision` here, fast ones only; may be none."""
    return tuple(_candidates(precision, "auto", device)[1])


def _candidates(precision: Precision, engine: str, device: str) -> tuple[str, list[str], str]:
    """Device, names of the engines that can, and the reason why not where there is none."""
    for place, names in _places(precision, engine, device):
        return place, names, ""
    if engine != "auto" and engine not in ENGINES:
        return device, [], f"there is no engine of that name; there are {', '.join(ENGINES)}"
    reasons = {
        ENGINES[name].available(precision, place).why_not: None
        for place in devices(device)
        for name in _asked(engine)
    }
    return device, [], _one_reason([reason for reason in reasons if reason])


def _one_reason(reasons: list[str]) -> str:
    """A clause that a person can read: what this machine lacks, or else what an engine does not
    do, and no more than two of these."""
    of_machine = [one for one in reasons if not one.startswith("the ")]
    return ", and ".join((of_machine or reasons)[:2])


def _places(precision: Precision, engine: str, device: str) -> Iterator[tuple[str, list[str]]]:
    """Devices that have an engine, best first, and the names of their engines that can."""
    for place in devices(device):
        answers = {name: ENGINES[name].available(precision, place) for name in _asked(engine)}
        if able := [name for name, answer in answers.items() if answer.available]:
            # What a device calculates in need not be emulated there.
            yield place, [name for name in able if not answers[name].emulated] or able


def _asked(engine: str) -> list[str]:
    if engine == "auto":
        return [name for name in ENGINES if name != "reference"]
    return [engine] if engine in ENGINES else []


def _fastest(
    names: list[str],
    light_field: LightField,
    precision: Precision,
    device: str,
    abandoned: Callable[[], bool],
) -> Engine:
    """Build all candidates, keep the fastest that agrees with the reference, and remember it."""

    def require_wanted() -> None:
        if abandoned():
            raise BuildAbandoned

    built: dict[str, Engine] = {}
    failures: list[R2LError] = []
    for name in names:
        try:
            require_wanted()
            engine = _build(name, light_field, precision, device)
            if _stands_for_itself(name, names, precision):
                require_wanted()
                choice.check(engine, light_field)
            built[name] = engine
        except EngineError as error:
            failures.append(error)
    require_wanted()
    if not built:
        raise failures[0]
    name = next(iter(built)) if len(built) == 1 else choice.fastest(built, light_field)
    engine = built[name]
    if failures:
        # Not remembered, so that it is tried again, and the reason is there the next time too.
        engine.info = replace(engine.info, fallback=f"{failures[0].what}: {failures[0].why}")
    else:
        choice.remember(light_field, precision, device, names, name)
    return engine
