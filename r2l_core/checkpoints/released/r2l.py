"""Released R2L checkpoints (snap-research/R2L, `save_ckpt`) and what R2L-quant makes of them.

The network is said by the options that the pickled module brings along (`network_fn.args`) and by
the names and shapes of its weights; what neither says is assumed, and said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from r2l_core import limits
from r2l_core.checkpoints.opening import NO_SCENE
from r2l_core.checkpoints.released.stand_ins import Record, Refused
from r2l_core.checkpoints.released.state_dict import StateDict
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.arithmetic import LEVELS
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from r2l_core.model.quantized import Quantization

ASSUMED: dict[str, Any] = {
    "n_frequencies": 10,
    "res_scale": 1.0,
    "use_residual": True,
    "act": "relu",
    "inact": "relu",
    "outact": "none",
    "plucker": False,
}
"""What a file without options is taken for, by the names of NetworkConfig; `n_sample` then follows
from the size of the input."""

_OPTIONS = {
    "n_frequencies": "multires",
    "n_sample": "n_sample_per_ray",
    "use_residual": "use_residual",
    "act": "act",
    "plucker": "plucker",
    "res_scale": "trial.res_scale",
    "inact": "trial.inact",
    "outact": "trial.outact",
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "n_frequencies": int,
    "n_sample": int,
    "use_residual": bool,
    "plucker": bool,
    "res_scale": (int, float),
    "act": str,
    "inact": str,
    "outact": str,
}
_LARGEST = 2**31
_DEPTH_OUTPUTS = (4, 6)
_UNKNOWN_NETWORK = "Only residual networks of the class NeRF_v3_2 are light fields here."


@dataclass(frozen=True)
class Options:
    """What `network_fn.args` says: nothing where no module was pickled."""

    values: Mapping[str, Any]

    @staticmethod
    def of(root: Mapping[Any, Any]) -> Options:
        """The options in a checkpoint. Raises Refused for modules of another class."""
        module = root.get("network_fn")
        if module is None:
            return Options({})
        # A wrapper may contain itself.
        for _ in range(limits.WRAPPERS):
            if not isinstance(module, Record) or not module.kind.endswith("DataParallel"):
                break
            modules = module.state.get("_modules")
            module = modules.get("module") if isinstance(modules, dict) else None
        if not isinstance(module, Record) or module.kind != "model.nerf_raybased.NeRF_v3_2":
            kind = module.kind if isinstance(module, Record) else type(module).__name__
            raise Refused(f"its network_fn is of the class {kind}", _UNKNOWN_NETWORK)
        arguments = module.state.get("args")
        if not isinstance(arguments, Record):
            return Options({})
        trial = arguments.state.get("trial")
        nested = trial.state if isinstance(trial, Record) else {}
        return Options({**arguments.state, **{f"trial.{key}": nested[key] for key in nested}})

    def get(self, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """An option, or the default where it is missing. Raises Refused for another type."""
        value = self.values.get(name)
        if value is None:
            return default
        # True and False count as integers in Python, but not here.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refused(f"its option {name} is a {type(value).__name__}")
        if isinstance(value, int | float) and not abs(value) < _LARGEST:
            raise Refused(f"its option {name} is not finite, or too large")
        return value


def build_light_field(
    state: StateDict,
    options: Options,
    name: str,
    scene: SceneSpec | None,
    assumed: Mapping[str, Any],
    converted: bool,
) -> LightField:
    """The light field of a checkpoint. `converted`: the weights are R2L-quant's. Raises Refused."""
    _refuse_other_networks(state, options)
    config, notes = _network(state, options, assumed)
    notes += state.notes
    shapes = config.tensor_shapes()
    outputs = state.shape("tail.0.weight")[0]
    if outputs in _DEPTH_OUTPUTS:
        notes.append(
            f"The network also predicts depth; of its {outputs} outputs only the three of colour "
            "are used."
        )
        shapes |= {"tail.0.weight": (outputs, config.width), "tail.0.bias": (outputs,)}
    tensors = state.read(shapes)
    for tail in ("tail.0.weight", "tail.0.bias"):
        tensors[tail] = tensors[tail][:3].contiguous()
    stored = state.references["head.0.weight"].storage.dtype
    recipe = _recipe(tensors, stored) if converted else None
    return LightField(
        name=name,
        network=config,
        scene=_scene(options, name, scene, notes),
        tensors=tensors,
        quantization=recipe,
        stored_dtype=str(stored).removeprefix("torch."),
        plain_rays=True,
        says_scene=False,
        notes=tuple(notes),
    )


def _refuse_other_networks(state: StateDict, options: Options) -> None:
    """What NeRF_v3_2 can be besides a residual network, by name."""
    body = options.get("trial.body_arch", str, "resmlp")
    if body != "resmlp" or "body.0.weight" in state.references:
        raise Refused(
            "its option trial.body_arch is 'mlp': a network without residual blocks",
            _UNKNOWN_NETWORK,
        )
    if options.get("linear_tail", bool, False) or "tail.weight" in state.references:
        raise Refused(
            "its option linear_tail leaves out the sigmoid, so its outputs are no colours",
            _UNKNOWN_NETWORK,
        )
    widths = options.get("layerwise_netwidths", str, "")
    if len(set(widths.replace(" ", "").split(","))) > 1:
        raise Refused(
            f"its option layerwise_netwidths gives layers different widths ({widths[:40]})",
            _UNKNOWN_NETWORK,
        )


def _network(
    state: StateDict, options: Options, assumed: Mapping[str, Any]
) -> tuple[NetworkConfig, list[str]]:
    said = {
        name: value
        for name, option in _OPTIONS.items()
        if (value := options.get(option, _TYPES[name])) is not None
    }
    n_blocks, n_learnable, gaps = _body(state)
    if n_learnable > 1:
        inact = said.get("inact", assumed.get("inact", "relu" if gaps else "none"))
        if gaps != (inact != "none"):
            raise Refused(f"the names of its body do not fit the activation inact '{inact}'")
        if not gaps:
            said["inact"] = "none"
    for name in assumed:
        if name in said:
            raise Refused(f"it says itself that {name} is {said[name]}", "Leave --assume out.")
        if name not in {"n_sample", *ASSUMED}:
            raise Refused(f"--assume {name} does not go with a light field", "Leave it out.")
    width, inputs = state.shape("head.0.weight")
    values: dict[str, Any] = {**ASSUMED, **assumed, **said}
    unsaid = [key for key in ASSUMED if key not in said and key not in assumed]
    if values["plucker"]:
        values.setdefault("n_sample", NetworkConfig.n_sample)
    elif "n_sample" not in values:
        values["n_sample"] = _samples(inputs, values["n_frequencies"])
        unsaid.append("n_sample")
    elif "n_frequencies" in unsaid:
        values["n_frequencies"] = (inputs // (3 * max(values["n_sample"], 1)) - 1) // 2
    depth = 2 + n_blocks * n_learnable
    try:
        config = NetworkConfig(depth=depth, width=width, n_learnable=n_learnable, **values)
    except ValueError as error:
        raise Refused(f"its options describe no network ({error})") from error
    _check(config, options, inputs, n_blocks)
    if not unsaid:
        return config, []
    listed = ", ".join(f"{key} {values[key]}" for key in unsaid)
    return config, [f"The file does not describe its network, so this was assumed: {listed}."]


def _body(state: StateDict) -> tuple[int, int, bool]:
    """Blocks, linear layers in each, and whether there are activations between those, by the names
    of the weights."""
    layers: dict[int, set[int]] = {}
    for name in state.references:
        if match := re.fullmatch(r"body\.(\d{1,5})\.body\.(\d{1,5})\.weight", name):
            layers.setdefault(int(match[1]), set()).add(int(match[2]))
    if not layers:
        return 0, 2, True
    first = sorted(layers.get(0, ()))
    gaps = len(first) > 1 and first[1] == 2
    expected = set(range(0, len(first) * (2 if gaps else 1), 2 if gaps else 1))
    for block in range(len(layers)):
        if layers.get(block) != expected or not expected:
            raise Refused(f"its {state.field} has an incomplete body.{block}")
    if len(layers) * len(first) > limits.DEPTH:
        raise Refused(f"it has more than {limits.DEPTH} layers")
    return len(layers), len(first), gaps


def _samples(inputs: int, n_frequencies: int) -> int:
    features = 3 * (2 * n_frequencies + 1)
    n_sample, rest = divmod(inputs, features)
    if rest or n_sample < 2:
        raise Refused(
            f"its head.0.weight takes {inputs} inputs, which no number of samples makes at "
            f"{n_frequencies} octaves",
            "Give --assume n_frequencies=L, or plucker=true with it.",
        )
    return n_sample


def _check(config: NetworkConfig, options: Options, inputs: int, n_blocks: int) -> None:
    """Whether options and weights say the same."""
    if config.input_size != inputs:
        raise Refused(
            f"its head.0.weight takes {inputs} inputs, and its options make {config.input_size}",
            "Correct --assume, where it was given.",
        )
    if (width := options.get("netwidth", int, config.width)) != config.width:
        raise Refused(f"its option netwidth is {width}, and its weights are {config.width} wide")
    wanted = options.get("trial.n_block", int, -1)
    if wanted <= 0:
        wanted = (options.get("netdepth", int, 2 + 2 * n_blocks) - 2) // 2
    if wanted != n_blocks:
        raise Refused(
            f"its options make {wanted} residual blocks, and its weights are of {n_blocks}"
        )
    n_learnable = options.get("trial.n_learnable", int, config.n_learnable)
    if n_blocks and n_learnable != config.n_learnable:
        raise Refused(
            f"its option trial.n_learnable is {n_learnable}, and its blocks have "
            f"{config.n_learnable} layers"
        )


def _scene(options: Options, name: str, given: SceneSpec | None, notes: list[str]) -> SceneSpec:
    """The scene given, or the released Blender configuration with the file's own depth range."""
    near = options.get("trial.near", (int, float), -1)
    far = options.get("trial.far", (int, float), -1)
    said = near > 0
    if said and not near < far:
        raise Refused(f"its options trial.near {near} and trial.far {far} are out of order")
    if given is not None:
        if said and (near, far) != (given.near, given.far):
            notes.append(
                f"The network was trained with near {near} and far {far}; the scene given says "
                f"{given.near} and {given.far}, and that is used."
            )
        return given
    scene = SceneSpec(name=name)
    if said:
        notes.append("No scene was given: background and camera of the Blender scenes are assumed.")
        return replace(scene, near=float(near), far=float(far))
    notes.append(NO_SCENE.format(scene))
    return scene


def _recipe(tensors: Mapping[str, Tensor], stored: torch.dtype) -> Quantization | None:
    """Which of R2L-quant's conversions the weights have gone through."""
    if stored is torch.bfloat16:
        return Quantization("weights-bf16", {})
    on_grid = (_on_grid(tensor) for tensor in tensors.values())
    return Quantization("weights-int8-fake", {}) if all(on_grid) else None


def _on_grid(tensor: Tensor) -> bool:
    """Whether all values are among 255 levels that span the largest magnitude."""
    levels = tensor.double() * (LEVELS / tensor.abs().amax().clamp_min(1e-30).double())
    return bool(((levels - levels.round()).abs() < 1e-3).all())
