"""What a light field opens in where nobody has said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from r2l_core.engines import choice
from r2l_core.engines.backends import availability, available_engines, devices
from r2l_core.engines.base import Engine
from r2l_core.engines.building import build_at_once
from r2l_core.errors import EngineError
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.types import Precision

FAITHFUL_DB = 50.0
"""To fp32: differences of a third of an 8-bit step on average, which nobody sees."""

_RAYS = 512
_FASTEST = (Precision.INT8, Precision.BF16)
"""On the fused engine, fastest first; fp32 comes after."""


@dataclass(frozen=True, eq=False)
class Opening:
    """`engine`: one that was built on the way to find out; None where none was."""

    precision: Precision
    engine: Engine | None = None


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


def opening_precision(
    light_field: LightField,
    engine: str = "auto",
    device: str = "auto",
    busy: Callable[[str], object] = str,
) -> Opening:
    """What the light field opens in: the recipe it was quantised with; on a processor that has the
    fused engine the fastest precision of at least `FAITHFUL_DB`; elsewhere `default_precision`.

    Measures, and remembers, the agreement with fp32 where that is not known yet; `busy` is told.
    """
    default = default_precision(light_field, engine, device)
    own = light_field.quantization
    fused = engine in ("auto", "fused") and devices(device)[0] == "cpu"
    if not fused or (own is not None and own.opens_in is default):
        return Opening(default)
    for precision in _FASTEST:
        answer = availability(precision, engine, device)
        if not answer.available or answer.emulated:
            continue
        if "fused" not in available_engines(precision, device):
            return Opening(default)
        known = choice.recall_fidelity(light_field, precision)
        if known is not None and known >= FAITHFUL_DB:
            return Opening(precision)
        if known is None:
            busy(f"Comparing {precision} with fp32…")
            if (found := _measured(light_field, precision)) is not None:
                return Opening(precision, found)
    return Opening(Precision.FP32)


def _measured(light_field: LightField, precision: Precision) -> Engine | None:
    """An engine of `precision` if that is faithful; remembers what it is."""
    rays = choice.check_rays(light_field, _RAYS)
    try:
        built = build_at_once(light_field, precision, "auto", "cpu")
        exact = build_at_once(light_field, Precision.FP32, "auto", "cpu")
        colors, truth = (choice.shade_all(one, *rays) for one in (built, exact))
    except EngineError:
        return None
    agreement_db = psnr_db(float((colors - truth).square().mean()))
    choice.remember_fidelity(light_field, precision, agreement_db)
    return built if agreement_db >= FAITHFUL_DB else None
