"""Released checkpoints: every variant opens, looks as published, and says what it left open."""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines.building import build_engine
from r2l_core.errors import CheckpointError, EngineUnavailable, SceneError
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import SceneSpec, load_scene
from r2l_core.model.arithmetic import fake_quantize
from r2l_core.quantization.calibration import layer_inputs
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision
from tests.core.released_files import (
    arguments,
    checkpoint,
    file_bytes,
    prefixed,
    student,
)

pytestmark = pytest.mark.slow

LEGO = load_scene("blender:lego")

VARIANTS = {
    "published": {},
    "deeper": {"netdepth": 12, "netwidth": 24, "n_sample_per_ray": 16},
    "odd-depth": {"netdepth": 9},
    "no-body": {"netdepth": 2},
    "n-block": {"trial_n_block": 2, "netdepth": 20},
    "no-global-skip": {"use_residual": False},
    "res-scale": {"trial_res_scale": 0.3},
    "octaves": {"multires": 6},
    "leaky-head": {"act": "lrelu"},
    "leaky-blocks": {"trial_inact": "lrelu"},
    "linear-blocks": {"trial_inact": "none"},
    "relu-after": {"trial_outact": "relu"},
    "leaky-after": {"trial_outact": "lrelu"},
    "everything-leaky": {
        "act": "lrelu",
        "trial_inact": "lrelu",
        "trial_outact": "lrelu",
        "trial_res_scale": 0.5,
    },
    "three-layer-blocks": {"trial_n_learnable": 3},
    "one-layer-blocks": {"trial_n_learnable": 1, "trial_outact": "relu"},
    "plucker": {"plucker": True},
    "learn-depth-off-the-tail": {"learn_depth": "depth"},
    "equal-layerwise-widths": {"layerwise_netwidths": ",".join(["16"] * 7)},
}


@pytest.fixture
def written(tmp_path):
    """A function that writes a checkpoint and returns its path as text."""

    def write(saved, name: str = "lego.tar", **options) -> str:
        path = tmp_path / name
        path.write_bytes(file_bytes(saved, **options))
        return str(path)

    return write


def as_published(network, camera, near: float = 2.0, far: float = 6.0) -> np.ndarray:
    """The image by the formulas of the released code, written down anew."""
    args = network.args
    columns, rows = torch.meshgrid(
        torch.arange(float(camera.width_px)), torch.arange(float(camera.height_px)), indexing="xy"
    )
    x = (columns - camera.width_px * 0.5) / camera.focal_px
    y = -(rows - camera.height_px * 0.5) / camera.focal_px
    pose = torch.tensor(camera.T_world_camera, dtype=torch.float32)
    in_camera = torch.stack([x, y, -torch.ones_like(x)], -1)
    directions = torch.sum(in_camera.unsqueeze(-2) * pose[:3, :3], -1).view(-1, 3)
    origins = pose[:3, -1].expand(directions.shape)
    if args.plucker:
        coordinates = torch.cat([directions, torch.cross(origins, directions, dim=-1)], -1)
    else:
        t = torch.linspace(0, 1, args.n_sample_per_ray)
        depths = near * (1 - t) + far * t
        coordinates = (origins[:, None] + directions[:, None] * depths[:, None]).flatten(1)
    angles = coordinates[..., None] * 2.0 ** torch.arange(args.multires)
    features = torch.cat([angles.sin(), angles.cos(), coordinates[..., None]], -1).flatten(1)
    with torch.no_grad():
        colors = network(features)[:, :3]
    return colors.reshape(camera.height_px, camera.width_px, 3).numpy()


def camera_of(width_px: int, height_px: int, radius: float = 4.031):
    return Orbit(20.0, 30.0, radius).camera(width_px, height_px, LEGO.focal_px(width_px))


def image(light_field, camera, precision=Precision.FP32, engine="auto") -> np.ndarray:
    built = build_engine(light_field, precision, engine, "cpu")
    source = NetworkSource(built, light_field.scene, light_field.ray_mode())
    return render_image(source, camera).numpy()


# --- the same picture --------------------------------------------------------------------------


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_variant_looks_as_published(written, options):
    network = student(arguments(**options))
    camera = camera_of(23, 17)
    expected = as_published(network, camera)
    assert expected.std(axis=(0, 1)).min() > 0.01, "a picture that shows something"
    opened = load_light_field(written(checkpoint(network)), LEGO)
    assert np.abs(image(opened, camera, engine="reference") - expected).max() <= 1e-5
    for engine in ("torch", "openvino"):
        assert np.abs(image(opened, camera, engine=engine) - expected).max() <= 1e-4, engine
    assert not opened.notes


def test_a_whole_frame_and_the_automatic_engine(written):
    network = student(arguments(netdepth=4, n_sample_per_ray=4))
    camera = camera_of(400, 400)
    expected = as_published(network, camera)
    opened = load_light_field(written(checkpoint(network)), LEGO)
    assert np.abs(image(opened, camera, engine="reference") - expected).max() <= 1e-5
    assert np.abs(image(opened, camera) - expected).max() <= 1e-4


@pytest.mark.parametrize(
    "options",
    [VARIANTS[name] for name in ("everything-leaky", "three-layer-blocks", "one-layer-blocks")],
    ids=str,
)
@pytest.mark.parametrize(
    ("precision", "engine", "bound"),
    [
        (Precision.BF16, "torch", 0.05),
        (Precision.BF16, "openvino", 0.05),
        (Precision.INT8_SIM, "simulated", 0.05),
        (Precision.INT8_STATIC_SIM, "simulated", 0.2),
        (Precision.DYNAMIC_INT8_FAKE, "simulated", 0.2),
        (Precision.WEIGHTS_INT8_FAKE, "torch", 0.2),
        (Precision.INT8, "openvino", 0.05),
    ],
)
def test_variants_in_fewer_bits(written, options, precision, engine, bound):
    network = student(arguments(**options))
    camera = camera_of(23, 17)
    opened = load_light_field(written(checkpoint(network)), LEGO)
    try:
        reduced = image(opened, camera, precision, engine)
    except EngineUnavailable as error:
        pytest.skip(str(error))
    difference = np.abs(reduced - as_published(network, camera))
    assert 0 < difference.mean() < bound


def test_calibration_sees_what_the_layers_of_a_variant_see(written):
    network = student(arguments(**VARIANTS["everything-leaky"], trial_n_learnable=3))
    opened = load_light_field(written(checkpoint(network)), LEGO)
    seen = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and name.startswith("body"):
            module.register_forward_hook(
                lambda _, inputs, __, name=name: seen.update({name: inputs[0].clone()})
            )
    as_published(network, camera_of(5, 4))
    source = NetworkSource(build_engine(opened, Precision.FP32, "reference"), LEGO)
    rays = source.plan(camera_of(5, 4), torch.arange(20)).batch.rays
    calibrated = dict(layer_inputs(opened, *rays))
    assert calibrated.keys() == seen.keys()
    for name, inputs in calibrated.items():
        torch.testing.assert_close(inputs, seen[name], atol=1e-4, rtol=1e-4)


# --- containers --------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("location", ["cpu", "cuda:0"])
@pytest.mark.parametrize("module", [True, False], ids=["module", "weights"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_containers(written, legacy, location, module, protocol):
    network = student(arguments())
    path = written(
        checkpoint(network, module), legacy=legacy, location=location, pickle_protocol=protocol
    )
    opened = load_light_field(path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(opened.tensors[name], tensor)
    assert opened.name == "lego"
    assert opened.provenance["global_step"] == 1200
    assert len(opened.sha256) == 64
    assert (opened.network.depth, opened.network.width, opened.network.n_sample) == (8, 16, 8)


def test_names_of_parallel_training(written):
    network = student(arguments())
    saved = checkpoint(network, module=False)
    saved["network_fn_state_dict"] = prefixed(saved["network_fn_state_dict"])
    opened = load_light_field(written(saved))
    assert torch.equal(opened.tensors["tail.0.bias"], network.state_dict()["tail.0.bias"])


def test_a_module_still_wrapped_for_parallel_training(written):
    saved = checkpoint(student(arguments(trial_res_scale=0.25)))
    saved["network_fn"] = nn.DataParallel(saved["network_fn"])
    assert load_light_field(written(saved)).network.res_scale == 0.25


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_types(written, dtype):
    state = OrderedDict((k, t.to(dtype)) for k, t in student(arguments()).state_dict().items())
    opened = load_light_field(written({"network_fn_state_dict": state}))
    assert opened.stored_dtype == str(dtype).removeprefix("torch.")
    for name, tensor in state.items():
        assert torch.equal(opened.tensors[name], tensor.float())


def test_a_bare_state_dict(written):
    network = student(arguments())
    opened = load_light_field(written(network.state_dict()))
    assert torch.equal(opened.tensors["head.0.bias"], network.state_dict()["head.0.bias"])


def test_views_of_larger_storages(written):
    network = student(arguments())
    state = network.state_dict()
    whole = torch.randn(3, 20, 40)
    state["tail.0.weight"] = whole[1, 2:5, 3:35:2]
    state["body.0.body.0.weight"] = torch.randn(16, 16).t()
    opened = load_light_field(written({"network_fn_state_dict": state}))
    for name in ("tail.0.weight", "body.0.body.0.weight"):
        assert torch.equal(opened.tensors[name], state[name])
        assert opened.tensors[name].is_contiguous()


# --- what R2L-quant makes of them --------------------------------------------------------------


def quantized_by_r2l_quant(network, convert) -> OrderedDict:
    """The state dict itself with one entry more, which holds the converted tensors."""
    state = network.state_dict()
    state["network_fn_state_dict"] = {k: convert(t) for k, t in state.items()}
    return state


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_sixteen_bits_of_r2l_quant(written, legacy):
    network = student(arguments())
    converted = quantized_by_r2l_quant(network, lambda t: t.to(torch.bfloat16))
    opened = load_light_field(written(converted, legacy=legacy, location="cuda:0"))
    assert opened.stored_dtype == "bfloat16"
    assert opened.quantization.recipe == "weights-bf16"
    for name, tensor in network.state_dict().items():
        assert torch.equal(opened.tensors[name], tensor.to(torch.bfloat16).float())


def test_eight_bits_of_r2l_quant(written):
    network = student(arguments())
    converted = quantized_by_r2l_quant(network, lambda t: fake_quantize(t, t.abs().max()))
    opened = load_light_field(written(converted))
    assert opened.quantization.recipe == "weights-int8-fake"
    name = "body.1.body.2.weight"
    original = network.state_dict()[name]
    assert not torch.equal(opened.tensors[name], original)
    assert torch.equal(opened.tensors[name], fake_quantize(original, original.abs().max()))


def test_unconverted_tensors_in_its_place_are_called_no_recipe(written):
    converted = quantized_by_r2l_quant(student(arguments()), lambda t: t * 1.5)
    assert load_light_field(written(converted)).quantization is None


# --- what files do not say ---------------------------------------------------------------------


def test_without_options_the_published_ones_are_assumed_and_said(written):
    network = student(arguments(n_sample_per_ray=16))
    opened = load_light_field(written(checkpoint(network, module=False)), LEGO)
    (note,) = opened.notes
    for said in ("n_frequencies 10", "n_sample 16", "res_scale 1", "use_residual True", "act relu"):
        assert said in note
    camera = camera_of(11, 7)
    assert np.abs(image(opened, camera) - as_published(network, camera)).max() <= 1e-4


def test_assumptions_replace_the_published_values(written):
    options = {"multires": 5, "use_residual": False, "trial_res_scale": 0.5, "act": "lrelu"}
    network = student(arguments(**options))
    assumed = {"n_frequencies": 5, "use_residual": False, "res_scale": 0.5, "act": "lrelu"}
    opened = load_light_field(written(checkpoint(network, module=False)), LEGO, assumed)
    (note,) = opened.notes
    assert "n_sample 8" in note
    assert "n_frequencies" not in note
    camera = camera_of(11, 7)
    assert np.abs(image(opened, camera) - as_published(network, camera)).max() <= 1e-4


def test_the_number_of_samples_gives_the_octaves(written):
    path = written(checkpoint(student(arguments(multires=5)), module=False))
    opened = load_light_field(path, LEGO, {"n_sample": 8})
    assert (opened.network.n_sample, opened.network.n_frequencies) == (8, 5)


def test_plucker_coordinates_can_be_assumed(written):
    network = student(arguments(plucker=True))
    opened = load_light_field(written(checkpoint(network, module=False)), LEGO, {"plucker": True})
    camera = camera_of(11, 7)
    assert np.abs(image(opened, camera) - as_published(network, camera)).max() <= 1e-4


@pytest.mark.parametrize(
    ("assumed", "problem"),
    [
        ({"n_frequencies": 9}, "says itself that n_frequencies is 10"),
        ({"n_coarse": 9}, "n_coarse does not go with a light field"),
    ],
)
def test_assumptions_that_cannot_be(written, assumed, problem):
    with pytest.raises(CheckpointError, match=problem):
        load_light_field(written(checkpoint(student(arguments()))), LEGO, assumed)


def test_inputs_that_ten_octaves_cannot_make(written):
    path = written(checkpoint(student(arguments(multires=3)), module=False))
    with pytest.raises(CheckpointError, match=r"168 inputs.*--assume n_frequencies"):
        load_light_field(path)


def test_native_files_need_no_assumptions(light_field_file):
    with pytest.raises(CheckpointError, match="--assume"):
        load_light_field(str(light_field_file), assumed={"n_sample": 8})


# --- scenes ------------------------------------------------------------------------------------


def test_depths_in_the_file_are_used(written):
    network = student(arguments(trial_near=1.25, trial_far=3.5))
    opened = load_light_field(written(checkpoint(network)))
    assert (opened.scene.near, opened.scene.far) == (1.25, 3.5)
    assert "No scene was given" in opened.notes[0]
    camera = camera_of(11, 7)
    expected = as_published(network, camera, 1.25, 3.5)
    assert np.abs(image(opened, camera) - expected).max() <= 1e-4


def test_without_depths_those_of_the_blender_scenes_are_assumed_and_said(written):
    opened = load_light_field(written(checkpoint(student(arguments()))))
    assert opened.scene == SceneSpec(name="lego")
    assert "near 2, far 6, white background" in opened.notes[0]


def test_a_scene_that_differs_from_the_file_is_used_and_said(written):
    path = written(checkpoint(student(arguments(trial_near=1.0, trial_far=3.0))))
    opened = load_light_field(path, LEGO)
    assert opened.scene is LEGO
    assert "trained with near 1.0 and far 3.0" in opened.notes[0]


def test_rays_stay_plain_unless_asked(written, tmp_path):
    opened = load_light_field(written(checkpoint(student(arguments()))), LEGO)
    assert LEGO.ray_mode() == "canonical"
    native = tmp_path / "native.safetensors"
    save_light_field(opened, native)
    for light_field in (opened, load_light_field(str(native))):
        modes = [light_field.ray_mode(wish) for wish in ("auto", "plain", "canonical")]
        assert modes == ["plain", "plain", "canonical"]
    with pytest.raises(SceneError, match="does not say on which sphere"):
        replace(opened, scene=SceneSpec("nowhere")).ray_mode("canonical")


def test_variants_come_back_from_native_files(written, tmp_path):
    network = student(arguments(**VARIANTS["everything-leaky"], plucker=True))
    opened = load_light_field(written(checkpoint(network)), LEGO)
    native = tmp_path / "native.safetensors"
    save_light_field(opened, native)
    again = load_light_field(str(native))
    assert again.network == opened.network
    camera = camera_of(11, 7)
    pictures = [image(field, camera, engine="torch") for field in (again, opened)]
    assert np.array_equal(*pictures)


# --- what is no light field --------------------------------------------------------------------


def test_depth_outputs_are_left_out_and_said(written):
    network = student(arguments(learn_depth="depth"), outputs=4)
    opened = load_light_field(written(checkpoint(network)), LEGO)
    assert "of its 4 outputs only the three of colour" in opened.notes[0]
    camera = camera_of(11, 7)
    assert np.abs(image(opened, camera) - as_published(network, camera)).max() <= 1e-4


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"linear_tail": True}, "linear_tail"),
        ({"trial_body_arch": "mlp"}, "trial.body_arch"),
        ({"layerwise_netwidths": "16,16,8,16,16,16,16"}, "layerwise_netwidths"),
        ({"act": "gelu"}, "gelu"),
        ({"act": 3}, "act is a int"),
        ({"netwidth": "16"}, "netwidth is a str"),
        ({"use_residual": 1}, "use_residual is a int"),
        ({"trial_near": 6.0, "trial_far": 2.0}, "trial.near 6.0 and trial.far 2.0"),
        ({"trial_res_scale": float("nan")}, "res_scale"),
        ({"trial_res_scale": 10**400}, "res_scale"),
        ({"trial_near": 1.0, "trial_far": float("inf")}, "trial.far"),
        ({"trial_near": 10**400, "trial_far": 10**401}, "trial.near"),
        ({"multires": 10**5000}, "multires"),
        ({"netwidth": 32}, "netwidth"),
        ({"netdepth": 88}, "43 residual blocks"),
        ({"trial_n_block": 5}, "5 residual blocks"),
        ({"trial_n_learnable": 3}, "n_learnable is 3"),
        ({"trial_inact": "none"}, "inact 'none'"),
        ({"n_sample_per_ray": 9}, "options make 567"),
        ({"multires": 9}, "options make 456"),
        ({"multires": -1}, "n_frequencies"),
        ({"plucker": True}, "options make 126"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "-".join(value),
)
def test_options_that_do_not_fit_are_refused_by_name(written, options, named):
    network = student(arguments())
    network.args = arguments(**options)
    path = written(checkpoint(network))
    with pytest.raises(CheckpointError, match=r"lego\.tar") as caught:
        load_light_field(path)
    assert named in str(caught.value)


def _without(name):
    return lambda state: state.pop(name)


def _put(name, value):
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_without("head.0.bias"), "head.0.bias"),
        (_without("body.1.body.0.weight"), "body.1"),
        (_without("tail.0.weight"), "tail.0.weight"),
        (_put("extra.weight", torch.zeros(2)), "extra.weight"),
        (_put("tail.weight", torch.zeros(3, 16)), "linear_tail"),
        (_put("body.0.weight", torch.zeros(16, 16)), "body_arch"),
        (_put("body.7.body.0.weight", torch.zeros(16, 16)), "body."),
        (_put("tail.0.bias", torch.zeros(4)), "tail.0.bias"),
        (_put("tail.0.weight", torch.zeros(1, 16)), "tail.0.weight"),
        (_put("tail.0.weight", torch.zeros(16)), "tail.0.weight"),
        (_put("head.0.weight", torch.zeros(16, 504, 1)), "head.0.weight"),
        (_put("tail.0.bias", torch.tensor([0.0, float("nan"), 0.0])), "tail.0.bias"),
        (_put("head.0.bias", torch.full((16,), 1e300, dtype=torch.float64)), "head.0.bias"),
        (_put("tail.0.bias", torch.zeros(3, dtype=torch.int64)), "tail.0.bias"),
        (_put("tail.0.bias", [0.0, 0.0, 0.0]), "tail.0.bias"),
        (_put(7, torch.zeros(3)), "7"),
        (_put("head.0.weight", torch.zeros(1).expand(16, 504)), "tensor (16, 504)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(written, change, named):
    state = student(arguments()).state_dict()
    change(state)
    with pytest.raises(CheckpointError, match=r"lego\.tar") as caught:
        load_light_field(written({"network_fn_state_dict": state}))
    assert named in str(caught.value)


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), "many", [1]], ids=str)
def test_facts_about_the_training_that_cannot_be(written, value, tmp_path):
    saved = {**checkpoint(student(arguments())), "global_step": value}
    opened = load_light_field(written(saved))
    assert "global_step" not in opened.provenance
    save_light_field(opened, tmp_path / "native.safetensors")


@pytest.mark.parametrize(
    "saved", [{}, [1, 2], {"network_fn_state_dict": {}}, {"weights": 3}, torch.zeros(3)], ids=str
)
def test_other_things_that_torch_saves(written, saved):
    with pytest.raises(CheckpointError, match=r"lego\.tar cannot be opened"):
        load_light_field(written(saved))


def test_a_pickled_module_alone(written):
    with pytest.raises(CheckpointError, match="no dictionary"):
        load_light_field(written(student(arguments())))


def test_another_class_of_network(written):
    saved = checkpoint(student(arguments()))
    saved["network_fn"] = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match=r"container\.Sequential"):
        load_light_field(written(saved))


def test_the_released_modules_are_not_there_when_files_are_opened(written):
    written(checkpoint(student(arguments())))
    assert "model.nerf_raybased" not in sys.modules
