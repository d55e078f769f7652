"""What makes a pane's pictures: an engine, the ground truth, or nothing with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from r2l_core.errors import R2LError
from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import EngineInfo, Precision, RayMode
from viewer.state.panes import PaneChoice

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset
    from r2l_core.engines.base import Engine
    from r2l_core.render.panes import Pane
    from r2l_core.render.sources import PixelSource
    from viewer.rendering.opening import Opened


@dataclass(frozen=True)
class OpenedAs:
    """What a light field was opened as, to know whether it has to be opened again.

    lent: the scene of the open dataset, for files that do not know their own.
    """

    checkpoint: str
    scene: str | SceneSpec | None
    lent: SceneSpec | None
    assumed: tuple[str, ...]
    changed_ns: int


@dataclass(frozen=True)
class PaneKey:
    """Everything that a pane's pictures depend on."""

    opened: OpenedAs
    source: Precision | str
    engine: str
    device: str
    ray_mode: RayMode
    layers_in_fp32: frozenset[str]
    dataset: Dataset | None = None
    """Where the ground truth comes from; None for the scene's own, and for networks."""
    expected_engine: str = ""
    """The engine that `engine` means by now, so that another choice of `auto` is another pane."""


def expected_engine_of(light_field: Opened, pane: PaneChoice, device: str) -> str:
    """The engine that a pane's choice means by now."""
    from r2l_core.engines.building import expected_engine
    from r2l_core.model.light_field import LightField

    assert isinstance(light_field, LightField)
    assert isinstance(pane.source, Precision)
    return expected_engine(light_field, pane.source, pane.engine, device)


def pane_source(
    light_field: Opened,
    key: PaneKey,
    before: Engine | None,
    ready: Engine | None,
    abandoned: Callable[[], bool],
) -> PixelSource:
    """`before`: the engine of an earlier state, which is neither tried nor checked again. `ready`:
    one that was built already, maybe of the precision that is wanted."""
    from r2l_core.engines import choice
    from r2l_core.engines.backends import devices
    from r2l_core.engines.building import build_at_once, rebuilt
    from r2l_core.engines.teacher_engines import RadianceEngine
    from r2l_core.evaluation.ground_truth import DatasetSource, TeacherSource
    from r2l_core.model.light_field import LightField
    from r2l_core.model.quantized import body_layers
    from r2l_core.quantization.mix import with_mix
    from r2l_core.render.sources import NetworkSource
    from r2l_core.training.teachers import teacher_of

    scene = light_field.scene
    if isinstance(key.source, Precision):
        if not isinstance(light_field, LightField):
            teacher = RadianceEngine(light_field, devices(key.device)[0])
            return NetworkSource(teacher, scene, skip_background=True)
        mixed = with_mix(light_field, key.layers_in_fp32)
        if ready is not None and ready.info.precision is key.source:
            engine = ready
        elif before is not None:
            engine = rebuilt(before, mixed)
        else:
            engine = build_at_once(mixed, key.source, key.engine, key.device, abandoned)
        if key.layers_in_fp32:
            layers = len(body_layers(light_field.network))
            mix = f"{len(key.layers_in_fp32)} of {layers} layers in fp32"
            engine.info = replace(engine.info, mix=mix)
        else:
            known = choice.recall_fidelity(light_field, key.source)
            engine.info = replace(engine.info, fidelity_db=known)
        return NetworkSource(engine, scene, key.ray_mode, skip_background=True)
    if key.dataset is not None:
        return DatasetSource(key.dataset)
    return TeacherSource(scene, teacher_of(scene), key.source)


def blank_pane(precision: Precision, name: str, error: R2LError) -> Pane:
    from r2l_core.render.panes import Pane
    from r2l_core.render.sources import BlankSource

    info = EngineInfo("none", precision, "nothing", "none", "none", "nothing", 0)
    return Pane(BlankSource(info, f"{name} cannot be shown: {error.why}"))
