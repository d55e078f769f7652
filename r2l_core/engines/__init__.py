"""Backends that turn rays into colours. A plain dict; `auto` takes the first that can."""

from __future__ import annotations

import torch

from r2l_core.checkpoint import LightField
from r2l_core.engines.base import Engine, EngineFactory, Shaded
from r2l_core.engines.reference import ReferenceFactory
from r2l_core.engines.torch_engine import TorchFactory
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.types import Availability, Precision

__all__ = [
    "ENGINES",
    "Engine",
    "Shaded",
    "availability",
    "build_engine",
    "default_precision",
    "resolve_device",
]

ENGINES: dict[str, EngineFactory] = {"torch": TorchFactory(), "reference": ReferenceFactory()}
"""By command-line name, fastest first: `auto` takes the first that can run a precision."""


def resolve_device(device: str) -> str:
    """`auto` becomes `cuda` where torch sees a GPU, otherwise `cpu`."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def availability(precision: Precision, engine: str = "auto", device: str = "auto") -> Availability:
    """Whether `precision` can run on this machine, and why not."""
    name, answer = _choose(precision, engine, resolve_device(device))
    return answer if name is None else Availability(True)


def default_precision(device: str = "auto") -> Precision:
    """The fastest precision that needs no apology: fp16 on a GPU, bf16 on a CPU that has it."""
    on_gpu = resolve_device(device) == "cuda"
    fast = Precision.FP16 if on_gpu else Precision.BF16
    return fast if availability(fast, device=device).available else Precision.FP32


def build_engine(
    light_field: LightField, precision: Precision, engine: str = "auto", device: str = "auto"
) -> Engine:
    """A ready engine. Raises EngineUnavailable (cannot run here) or EngineError (failed)."""
    device = resolve_device(device)
    name, answer = _choose(precision, engine, device)
    if name is None:
        raise EngineUnavailable(
            f"{precision} cannot run here with engine '{engine}' on {device}",
            answer.why_not,
            "Choose another precision, engine or device.",
        )
    try:
        return ENGINES[name].build(light_field, precision, device)
    except (RuntimeError, MemoryError) as error:
        raise EngineError(
            f"The {name} engine could not be built for {precision}",
            str(error).splitlines()[0] if str(error) else type(error).__name__,
            "Choose another precision or engine.",
        ) from error


def _choose(precision: Precision, engine: str, device: str) -> tuple[str | None, Availability]:
    """The first engine that can, or None and the reason why the first one tried cannot."""
    if engine != "auto" and engine not in ENGINES:
        return None, Availability(
            False, f"there is no engine of that name; there are {', '.join(ENGINES)}"
        )
    names = list(ENGINES) if engine == "auto" else [engine]
    answers = {name: ENGINES[name].available(precision, device) for name in names}
    for name, answer in answers.items():
        if answer.available:
            return name, answer
    return None, answers[names[0]]
