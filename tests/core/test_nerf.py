"""NeRF teachers: the engine against the volume rendering formulas, and the commands for them."""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from r2l_core.checkpoints.opening import load_checkpoint, load_light_field, save_light_field
from r2l_core.commands.cli import main
from r2l_core.engines.teacher_engines import NerfEngine, importance_depths
from r2l_core.errors import CheckpointError
from r2l_core.evaluation import bench as bench_module
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import image_rays, ndc_rays
from r2l_core.geometry.scene import PRESETS, load_scene
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.training import distillation as training
from r2l_core.training.schedule import Schedule, Stage
from r2l_core.types import Precision
from tests.core.released_files import (
    arguments,
    checkpoint,
    file_bytes,
    student,
    teacher,
    teacher_checkpoint,
)

pytestmark = pytest.mark.slow

LEGO = load_scene("blender:lego")
FERN = load_scene("llff:fern")
SMALL = {"width": 16, "octaves": 4, "view_octaves": 2}
FEW = {"n_coarse": 12, "n_fine": 8}


@pytest.fixture
def written(tmp_path):
    """A function that writes a teacher and returns its path as text."""

    def write(coarse, fine=None, name: str = "nerf.tar") -> str:
        path = tmp_path / name
        path.write_bytes(file_bytes(teacher_checkpoint(coarse, fine)))
        return str(path)

    return write


@pytest.fixture
def run(capsys):
    """A function that runs a command: exit code, output, errors."""

    def run_it(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = stopped.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


# --- as published ------------------------------------------------------------------------------


def encoded(x: torch.Tensor, octaves: int) -> torch.Tensor:
    """x, then sine and cosine of every octave."""
    rows = [x]
    for k in range(octaves):
        rows += [torch.sin(x * 2.0**k), torch.cos(x * 2.0**k)]
    return torch.cat(rows, -1)


def raw_of(network, points, view, octaves, view_octaves):
    """What a network says about the points of one ray."""
    views = encoded(view.expand_as(points), view_octaves)
    with torch.no_grad():
        return network(encoded(points, octaves), views).double()


def weights_of(raw, depths, length):
    """Of each sample in the colour, one after the other."""
    through, weights = 1.0, []
    for k, density in enumerate(raw[:, 3].tolist()):
        step = depths[k + 1] - depths[k] if k + 1 < len(depths) else 1e10
        alpha = 1.0 - np.exp(-max(density, 0.0) * step * length)
        weights.append(alpha * through)
        through *= 1.0 - alpha + 1e-10
    return np.array(weights)


def fine_depths(depths, weights, count):
    """Where the distribution reaches 0, 1/(count-1), ..., 1."""
    edges = [(a + b) / 2 for a, b in pairwise(depths)]
    inner = weights[1:-1] + 1e-5
    cumulative = [0.0, *np.cumsum(inner / inner.sum())]
    found = []
    for u in np.linspace(0, 1, count):
        above = bisect_right(cumulative, u)
        below, above = max(above - 1, 0), min(above, len(cumulative) - 1)
        step = cumulative[above] - cumulative[below]
        share = (u - cumulative[below]) / (step if step >= 1e-5 else 1.0)
        found.append(edges[below] + share * (edges[above] - edges[below]))
    return found


def color_of(coarse, fine, origin, direction, view, scene, counts, octaves, view_octaves):
    """One ray."""
    background = np.array(scene.background_rgb)
    length = float(direction.norm())
    t = np.linspace(0, 1, counts[0])
    depths = list(scene.near * (1 - t) + scene.far * t)

    def shaded(network, depths):
        points = origin + direction * torch.tensor(depths, dtype=torch.float32)[:, None]
        raw = raw_of(network, points, view, octaves, view_octaves)
        weights = weights_of(raw, depths, length)
        colors = torch.sigmoid(raw[:, :3]).numpy()
        return (weights[:, None] * colors).sum(0) + (1 - weights.sum()) * background, weights

    color, weights = shaded(coarse, depths)
    if fine is None:
        return color
    depths = sorted([*depths, *fine_depths(depths, weights, counts[1])])
    return shaded(fine, depths)[0]


def as_published(coarse, fine, camera, scene, counts=(12, 8), octaves=4, view_octaves=2):
    """The image, ray by ray."""
    origins, directions = image_rays(camera)
    views = directions / directions.norm(dim=-1, keepdim=True)
    if scene.nerf_ndc:
        size = scene.width_px, scene.height_px, scene.focal_px(scene.width_px)
        origins, directions = ndc_rays(origins, directions, *size)
    rays = zip(origins, directions, views, strict=True)
    colors = [color_of(coarse, fine, *ray, scene, counts, octaves, view_octaves) for ray in rays]
    return np.reshape(colors, (camera.height_px, camera.width_px, 3))


def image(opened, camera) -> np.ndarray:
    return render_image(NetworkSource(NerfEngine(opened), opened.scene), camera).numpy()


@pytest.mark.parametrize(
    "shape",
    [{}, {"depth": 3}, {"depth": 5, "skip": 1}, {"use_viewdirs": False}],
    ids=str,
)
@pytest.mark.parametrize("with_fine", [True, False])
def test_the_picture_is_the_published_one(written, shape, with_fine):
    coarse = teacher(0, **SMALL, **shape)
    fine = teacher(1, **{**SMALL, "width": 24}, **shape) if with_fine else None
    opened = load_checkpoint(written(coarse, fine), LEGO, FEW)
    camera = Orbit(20.0, 30.0, 4.031).camera(9, 7, 12.0)
    expected = as_published(coarse, fine, camera, LEGO)
    assert expected.std(axis=(0, 1)).min() > 1e-3, "a picture that shows something"
    assert np.abs(image(opened, camera) - expected).max() <= 1e-4


def test_forward_facing_scenes_are_sampled_in_their_own_coordinates(written):
    coarse, fine = teacher(0, **SMALL), teacher(1, **SMALL)
    opened = load_checkpoint(written(coarse, fine), FERN, FEW)
    camera = FERN.home().camera(9, 7, 8.0)
    expected = as_published(coarse, fine, camera, FERN)
    assert expected.std(axis=(0, 1)).min() > 1e-3, "a picture that shows something"
    assert np.abs(image(opened, camera) - expected).max() <= 1e-4


@pytest.mark.parametrize("background", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.2, 0.4, 0.6)])
def test_an_empty_nerf_shows_the_background(written, background):
    empty = teacher(0, **SMALL)
    with torch.no_grad():
        empty.alpha_linear.weight.zero_()
        empty.alpha_linear.bias.fill_(-1.0)
    scene = load_scene("blender:lego")
    scene = type(scene)(**{**vars(scene), "background_rgb": background})
    opened = load_checkpoint(written(empty, empty), scene, FEW)
    picture = image(opened, scene.home().camera(4, 3, 5.0))
    assert np.abs(picture - np.array(background)).max() <= 1e-6


def test_a_ray_has_one_colour_wherever_it_is_rendered(written):
    engine = NerfEngine(load_checkpoint(written(teacher(**SMALL), teacher(1, **SMALL)), LEGO, FEW))
    origins, directions = image_rays(LEGO.home().camera(20, 15, 30.0))
    together = engine.colors(origins, directions)
    assert together.shape == (300, 3)
    assert torch.equal(engine.colors(origins, directions), together), "no chance in it"
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    assert torch.equal(engine.colors(origins[order], directions[order]), together[order])


def test_even_weights_give_even_depths():
    edges = torch.linspace(2.0, 6.0, 9).expand(2, -1)
    depths = importance_depths(edges, torch.ones(2, 8), 5)
    torch.testing.assert_close(depths, torch.tensor([[2.0, 3.0, 4.0, 5.0, 6.0]]).expand(2, -1))


def test_samples_gather_where_the_weight_is():
    weights = torch.zeros(1, 8)
    weights[0, 3] = 1.0
    depths = importance_depths(torch.linspace(2.0, 6.0, 9)[None], weights, 21)
    assert ((depths[0, 1:-1] >= 3.5) & (depths[0, 1:-1] <= 4.0)).all()


def test_ndc_of_points_on_a_ray():
    """Depth 0 is the near plane, and points at any depth project to where they did."""
    generator = torch.Generator().manual_seed(3)
    origins = torch.rand(50, 3, generator=generator) - 0.5
    directions = torch.rand(50, 3, generator=generator) - 0.5
    directions[:, 2] = -1.0
    ndc_origins, ndc_directions = ndc_rays(origins, directions, 504, 378, 407.57)
    near = origins + (-1.0 - origins[:, 2:]) / directions[:, 2:] * directions
    for k, size in enumerate((504, 378)):
        expected = near[:, k] / -near[:, 2] * 407.57 / (size / 2)
        torch.testing.assert_close(ndc_origins[:, k], expected)
    torch.testing.assert_close(ndc_origins[:, 2], torch.full((50,), -1.0))
    torch.testing.assert_close((ndc_origins + ndc_directions)[:, 2], torch.ones(50))
    # A point at any depth, by projection, lies on the ray.
    point = near + 2.7 * directions
    x = point[:, 0] / -point[:, 2] * 407.57 / 252
    z = 1.0 + 2.0 / point[:, 2]
    depth = (z - ndc_origins[:, 2]) / ndc_directions[:, 2]
    torch.testing.assert_close(ndc_origins[:, 0] + depth * ndc_directions[:, 0], x)


# --- files -------------------------------------------------------------------------------------


def test_what_a_teacher_file_says(written):
    opened = load_checkpoint(written(teacher(width=16), teacher(1, width=16)))
    assert (opened.coarse.depth, opened.coarse.width, set(opened.coarse.skips)) == (8, 16, {5})
    assert (opened.coarse.n_frequencies, opened.coarse.n_view_frequencies) == (10, 4)
    assert (opened.n_coarse, opened.n_fine) == (64, 128)
    assert any("n_coarse 64, n_fine 128" in note for note in opened.notes)
    assert any("No scene was given" in note for note in opened.notes)


def test_forward_facing_teachers_have_fewer_fine_samples(written):
    opened = load_checkpoint(written(teacher(width=8), teacher(1, width=8)), FERN)
    assert (opened.n_coarse, opened.n_fine) == (64, 64)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop("alpha_linear.bias"), "alpha_linear.bias"),
        (lambda state: state.pop("pts_linears.3.weight"), "pts_linears.3.weight"),
        (lambda state: state.update({"rgb_linear.weight": torch.zeros(4, 4)}), "rgb_linear"),
        (lambda state: state.update({"pts_linears.0.weight": torch.zeros(8, 64)}), "pts_linears."),
        (lambda state: state.update({"more": torch.zeros(1)}), "more"),
    ],
)
def test_teachers_that_do_not_fit_are_refused_by_name(tmp_path, change, named):
    saved = teacher_checkpoint(teacher(width=8), teacher(1, width=8))
    change(saved["network_fine_state_dict"])
    path = tmp_path / "nerf.tar"
    path.write_bytes(file_bytes(saved))
    with pytest.raises(CheckpointError, match=r"network_fine_state_dict") as caught:
        load_checkpoint(str(path))
    assert named in str(caught.value)


@pytest.mark.parametrize("assumed", [{"act": "relu"}, {"n_coarse": 1}, {"n_fine": 10**9}], ids=str)
def test_assumptions_that_cannot_be(written, assumed):
    with pytest.raises(CheckpointError, match="--assume"):
        load_checkpoint(written(teacher(width=8), teacher(1, width=8)), LEGO, assumed)


# --- commands ----------------------------------------------------------------------------------

VIEW = ("--azimuth", 20, "--elevation", 30, "--radius", 4.031, "--size", "9x7")
ASSUME = ("--assume", "n_coarse=12", "--assume", "n_fine=8")


def test_render_takes_a_teacher(written, run, tmp_path):
    path = written(teacher(**SMALL), teacher(1, **SMALL))
    out, report = tmp_path / "x.npy", tmp_path / "x.json"
    code, said, notes = run(
        *("render", "--checkpoint", path, "--scene", "blender:lego", *VIEW, *ASSUME),
        *("--out", out, "--json", report),
    )
    assert code == 0, notes
    camera = Orbit(20.0, 30.0, 4.031).camera(9, 7, LEGO.focal_px(9))
    assert np.array_equal(np.load(out), image(load_checkpoint(path, LEGO, FEW), camera))
    assert "12 + 8 samples a ray" in said
    engine = json.loads(report.read_text("utf-8"))["engine"]
    assert (engine["engine"], engine["precision"]) == ("nerf", "fp32")
    assert "ray" in notes, "a progress bar"


@pytest.mark.parametrize(
    "flag", [("--precision", "bf16"), ("--engine", "torch"), ("--rays", "canonical")], ids=str
)
def test_what_a_teacher_cannot_do_is_refused(written, run, tmp_path, flag):
    path = written(teacher(**SMALL))
    out = tmp_path / "x.npy"
    code, _, error = run(
        "render", "--checkpoint", path, "--scene", "blender:lego", *VIEW, "--out", out, *flag
    )
    assert code == 2
    assert flag[0] in error
    assert not out.exists()


@pytest.mark.parametrize("command", ["quantize", "convert"])
def test_other_commands_want_a_light_field(written, run, tmp_path, command):
    path, out = written(teacher(width=8)), tmp_path / "x.safetensors"
    calls = {
        "quantize": ("--checkpoint", path, "--recipe", "int8", "--out", out),
        "convert": (path, out),
    }
    code, _, error = run(command, *calls[command])
    assert code == 2
    assert "it is a NeRF" in error
    assert not out.exists()


def test_bench_measures_a_teacher_on_a_stated_sample(
    written, run, tmp_path, light_field_file, monkeypatch, fake_clock
):
    monkeypatch.setattr(bench_module, "TEACHER_TILES", 2)
    monkeypatch.setattr(NerfEngine, "shade", lambda self, *rays: None)
    fake_clock(bench_module, seconds_per_look=0.064)  # from the start of a measurement to its end
    path, report = written(teacher(width=8), teacher(1, width=8)), tmp_path / "bench.json"
    code, said, error = run(
        *("bench", "--checkpoint", light_field_file, "--size", "40x32", "--precision", "fp32"),
        *("--engine", "torch", "--rounds", 2, "--teacher", path, "--json", report),
    )
    assert code == 0, error
    values = json.loads(report.read_text("utf-8"))
    measured = values["teacher"]
    assert (measured["rays_timed"], measured["tile_rays"], measured["rays_per_frame"]) == (
        256,
        128,
        1280,
    )
    assert measured["ms_timed_median"] == pytest.approx(64.0)
    assert measured["ms_median"] == pytest.approx(320.0)
    assert measured["krays_per_s"] == pytest.approx(4.0)
    assert "extrapolated" in measured["ms_median_is"]
    published_ms = values["published"]["ms_median"]
    assert measured["ratio_to_published"] == pytest.approx(published_ms / 320.0, rel=0.5)
    assert measured["engine_info"]["engine"] == "nerf"
    assert "extrapolated from 256 rays" in said
    assert "note: " in error


def test_bench_wants_a_teacher_that_is_one(run, light_field_file):
    code, _, error = run(
        *("bench", "--checkpoint", light_field_file, "--size", 8, "--precision", "fp32"),
        *("--teacher", light_field_file),
    )
    assert code == 2
    assert "no NeRF" in error


def test_distilling_from_a_teacher(written, run, tmp_path, monkeypatch, fake_clock):
    fake_clock(training, seconds_per_look=6.0)
    schedule = Schedule((Stage(mrays=1.0, batch_rays=32),))
    monkeypatch.setattr(
        training, "TrainingConfig", partial(training.TrainingConfig, schedule=schedule)
    )
    path, out = written(teacher(width=8), teacher(1, width=8)), tmp_path / "tiny.safetensors"
    code, _, error = run(
        *("distill", "--scene", "blender:lego", "--teacher", path, "--out", out),
        *("--minutes", 0.6, "--width", 8, "--depth", 6, "--frequencies", 2),
    )
    assert code == 0, error
    light_field = load_light_field(str(out))
    assert light_field.provenance["teacher"] == "nerf.tar"
    assert light_field.provenance["rays"] == 6 * 32
    assert light_field.scene == LEGO


# --- convert -----------------------------------------------------------------------------------


def test_convert_makes_one_file_that_opens_by_itself(run, tmp_path):
    network = student(arguments(act="lrelu", trial_res_scale=0.5))
    source, out = tmp_path / "lego.tar", tmp_path / "lego.safetensors"
    source.write_bytes(file_bytes(checkpoint(network)))
    report = tmp_path / "convert.json"
    code, said, error = run("convert", source, out, "--scene", "blender:lego", "--json", report)
    assert (code, error) == (0, "")
    assert "W16 D8" in said
    opened, converted = load_light_field(str(source), LEGO), load_light_field(str(out))
    assert converted.scene == LEGO
    assert converted.network == opened.network
    assert converted.ray_mode() == "plain"
    assert converted.provenance["converted_from"] == "lego.tar"
    assert converted.provenance["converted_from_sha256"] == opened.sha256
    assert json.loads(report.read_text("utf-8"))["network"]["act"] == "lrelu"
    pictures = []
    for checkpoint_, scene in ((source, ("--scene", "blender:lego")), (out, ())):
        picture = tmp_path / "x.npy"
        code, _, error = run(
            *("render", "--checkpoint", checkpoint_, *scene, *VIEW, "--engine", "torch"),
            *("--out", picture),
        )
        assert (code, error) == (0, "")
        pictures.append(np.load(picture))
    assert np.array_equal(*pictures)


def test_convert_keeps_and_says_what_was_assumed(run, tmp_path):
    source, out = tmp_path / "lego.tar", tmp_path / "lego.safetensors"
    source.write_bytes(file_bytes(checkpoint(student(arguments(multires=4)), module=False)))
    code, _, error = run("convert", source, out, "--assume", "n_frequencies=4")
    assert code == 0
    notes = [line.removeprefix("note: ") for line in error.splitlines()]
    assert len(notes) == 2
    assert "n_sample 8" in notes[0]
    assert "No scene was given" in notes[1]
    assert load_light_field(str(out)).provenance["assumed"] == notes


def test_converted_sixteen_bits_stay_so(run, tmp_path):
    state = student(arguments()).state_dict()
    state["network_fn_state_dict"] = {k: t.to(torch.bfloat16) for k, t in state.items()}
    source, out = tmp_path / "lego_quant16.tar", tmp_path / "lego.safetensors"
    source.write_bytes(file_bytes(state))
    assert run("convert", source, out, "--scene", "blender:lego")[0] == 0
    converted = load_light_field(str(out))
    assert converted.stored_dtype == "bfloat16"
    assert converted.quantization.opens_in is Precision.FP32


@pytest.mark.parametrize(
    ("arguments_", "named"),
    [
        (("none.tar", "out.safetensors"), "none.tar"),
        (("none.tar", "out.tar"), "out.tar"),
        (("none.tar", "out.safetensors", "--scene", "blender:nosuch"), "blender:nosuch"),
        (("none.tar", "out.safetensors", "--assume", "colour=red"), "--assume"),
        (("none.tar", "out.safetensors", "--assume", "use_residual=maybe"), "--assume"),
        (("none.tar", "out.safetensors", "--assume", "act=gelu"), "--assume"),
    ],
)
def test_bad_conversions_are_refused(run, arguments_, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = run("convert", *arguments_)
    assert code == 2
    assert named in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_canonical_rays_need_a_sphere(run, light_field, tmp_path):
    plain = type(light_field)(
        **{**vars(light_field), "scene": type(light_field.scene)(name="no sphere")}
    )
    path, out = tmp_path / "plain.safetensors", tmp_path / "x.npy"
    save_light_field(plain, path)
    code, _, error = run("render", "--checkpoint", path, *VIEW, "--rays", "canonical", "--out", out)
    assert code == 2
    assert "no sphere" in error
    assert not out.exists()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_can_be_looked_at(name):
    """It can be saved, and its first view is one that its networks were trained for."""
    scene = load_scene(name)
    assert type(scene).from_mapping(json.loads(scene.to_json())) == scene
    assert scene.outside_trained_views(scene.home_camera().position, "plain") is None
