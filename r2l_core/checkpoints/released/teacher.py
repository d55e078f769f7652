"""NeRF teachers: checkpoints of `model.nerf_raybased.NeRF` and of nerf-pytorch, its origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r2l_core.checkpoints.opening import NO_SCENE
from r2l_core.checkpoints.released.stand_ins import Refused
from r2l_core.checkpoints.released.state_dict import StateDict
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.nerf import NerfNetwork, NerfTeacher

ASSUMED = {"n_coarse": 64, "n_fine": 128}
"""Samples of the Blender configurations; LLFF's have 64 fine ones."""

_LLFF_N_FINE = 64
_MAX_SAMPLES = 4096
_MAX_LAYERS = 64


def is_nerf(state: StateDict) -> bool:
    """Whether these are the weights of a NeRF."""
    return "pts_linears.0.weight" in state.references


def build_teacher(
    coarse: StateDict,
    fine: StateDict | None,
    name: str,
    scene: SceneSpec | None,
    assumed: Mapping[str, Any],
) -> NerfTeacher:
    """The teacher of a checkpoint. Raises Refused."""
    if unknown := sorted(set(assumed) - set(ASSUMED)):
        raise Refused(f"--assume {unknown[0]} does not go with a NeRF", "Leave it out.")
    notes = [*coarse.notes]
    if scene is None:
        scene = SceneSpec(name=name)
        notes.append(NO_SCENE.format(scene))
    samples = {**ASSUMED, **({"n_fine": _LLFF_N_FINE} if scene.nerf_ndc else {}), **assumed}
    if fine is None:
        samples["n_fine"] = 0
    for key, count in samples.items():
        if not (2 if key == "n_coarse" else 0) <= count <= _MAX_SAMPLES:
            raise Refused(f"--assume {key}={count} is no number of samples", "Correct it.")
    if unsaid := [key for key in samples if key not in assumed]:
        listed = ", ".join(f"{key} {samples[key]}" for key in unsaid)
        notes.append(f"The file does not say how rays are sampled, so this was assumed: {listed}.")
    return NerfTeacher(
        name=name,
        scene=scene,
        coarse=_network(coarse),
        fine=None if fine is None else _network(fine),
        n_coarse=samples["n_coarse"],
        n_fine=samples["n_fine"],
        notes=tuple(notes),
    )


def _network(state: StateDict) -> NerfNetwork:
    width, inputs = state.shape("pts_linears.0.weight")
    depth = sum(
        key.startswith("pts_linears.") and key.endswith(".weight") for key in state.references
    )
    if depth > _MAX_LAYERS:
        raise Refused(f"its {state.field} has {depth} layers")
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, outputs: int, inputs: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)

    skips = set()
    for k in range(depth):
        if k and state.shape(f"pts_linears.{k}.weight")[1] == width + inputs:
            skips.add(k)
        layer(f"pts_linears.{k}", width, width * (k > 0) + inputs * (k == 0 or k in skips))
    view_inputs = state.shape("views_linears.0.weight")[1] - width
    half = state.shape("views_linears.0.weight")[0]
    if width < 1 or half < 1:
        raise Refused(f"its {state.field} has layers without outputs")
    layer("views_linears.0", half, width + view_inputs)
    directed = "output_linear.weight" not in state.references
    if directed:
        layer("feature_linear", width, width)
        layer("alpha_linear", 1, width)
        layer("rgb_linear", 3, half)
    else:
        outputs = state.shape("output_linear.weight")[0]
        if outputs < 4:
            raise Refused(f"its output_linear.weight has {outputs} outputs")
        layer("output_linear", outputs, width)
    return NerfNetwork(
        tensors=state.read(shapes),
        depth=depth,
        width=width,
        skips=frozenset(skips),
        n_frequencies=_octaves(state, "pts_linears.0.weight", inputs),
        n_view_frequencies=_octaves(state, "views_linears.0.weight", view_inputs)
        if directed
        else None,
    )


def _octaves(state: StateDict, name: str, features: int) -> int:
    """Octaves of an encoding of three coordinates."""
    octaves, rest = divmod(features - 3, 6)
    if rest or not 0 <= octaves <= 30:
        raise Refused(f"{name} in its {state.field} takes {features} encoded features")
    return octaves
