"""Backends that turn rays into colours: a plain dict, and what of it can run on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from r2l_core.engines.base import EngineFactory
from r2l_core.engines.cuda.engine import CudaFactory
from r2l_core.engines.fused.engine import FusedFactory
from r2l_core.engines.openvino_engine import OpenVinoFactory
from r2l_core.engines.reference import ReferenceFactory
from r2l_core.engines.simulated import SimulatedFactory
from r2l_core.engines.torch_engine import TorchFactory
from r2l_core.errors import EngineUnavailable
from r2l_core.types import Availability, Precision

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
    for place, names in places(precision, engine, device):
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


def places(precision: Precision, engine: str, device: str) -> Iterator[tuple[str, list[str]]]:
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


def broken(precision: Precision, engine: str, device: str) -> list[str]:
    """Why engines that should run here do not."""
    answers = [ENGINES[name].available(precision, device) for name in _asked(engine)]
    return [one.why_not for one in answers if one.broken]
