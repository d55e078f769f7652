"""The fused engine on every level of instruction sets that this processor has."""

from __future__ import annotations

import ctypes
import gc
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines import choice
from r2l_core.engines.backends import ENGINES
from r2l_core.engines.building import build_at_once, build_engine
from r2l_core.engines.fused import engine as engine_module
from r2l_core.engines.fused import library
from r2l_core.engines.fused.engine import FusedEngine, FusedFactory
from r2l_core.engines.fused.library import Level, level_for
from r2l_core.engines.integer_probe import runs_integers
from r2l_core.engines.processor import this_processor
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.quantization.mix import with_mix
from r2l_core.quantization.walk import Layers
from r2l_core.render.sources import NetworkSource
from r2l_core.training.teachers import supersampled_pixels, teacher_of
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

ALL_PRECISIONS = (Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8)
NETWORKS = {
    "plain": {},
    "published-encoding": {"n_sample": 16, "n_frequencies": 10, "depth": 4, "width": 64},
    "plucker": {"plucker": True},
    "width-181": {"width": 181},
    "width-320": {"width": 320, "depth": 4},
    "width-512": {"width": 512, "depth": 4},
    "no-body": {"depth": 2},
    "no-frequencies": {"depth": 9, "n_frequencies": 0},
    "scaled-no-skip": {"res_scale": -1.5, "use_residual": False, "n_sample": 2},
}


def levels() -> list[Level]:
    """All that run here."""
    able = library.levels_for(this_processor())
    return [library.level_of(library.load(library.library_path()), name) for name in able]


LEVELS = levels()
each_level = pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)


@pytest.fixture(scope="module")
def demo():
    return load_light_field("demo")


def agreement_db(one: torch.Tensor, other: torch.Tensor) -> float:
    return psnr_db(mse(one.numpy(), other.numpy()))


def test_this_processor_has_a_level():
    """So that nothing below is skipped in silence."""
    if this_processor().reached:
        assert [level.name for level in LEVELS][:1] == ["avx2"]
    assert LEVELS


# --- colours -----------------------------------------------------------------------------------


@each_level
@pytest.mark.parametrize("network", NETWORKS)
def test_fp32_is_the_reference(level, make_light_field, scene_rays, network):
    light_field = make_light_field(**NETWORKS[network])
    rays = scene_rays(301)
    expected = ReferenceEngine(light_field).shade(*rays).colors
    colors = FusedEngine(light_field, Precision.FP32, level).shade(*rays).colors
    assert expected.std() > 0.02, "otherwise anything would agree"
    torch.testing.assert_close(colors, expected, atol=5e-5, rtol=0)


@each_level
@pytest.mark.parametrize("network", NETWORKS)
def test_int8_is_its_simulation(level, make_light_field, scene_rays, network):
    """A value next to the middle of two levels may fall to either side; all else is equal."""
    light_field, rays = make_light_field(**NETWORKS[network]), scene_rays(301)
    colors = FusedEngine(light_field, Precision.INT8, level).shade(*rays).colors
    simulated = ENGINES["simulated"].build(light_field, Precision.INT8_SIM, "cpu")
    assert agreement_db(colors, simulated.shade(*rays).colors) > 55


@each_level
@pytest.mark.parametrize(("precision", "least_db"), [(Precision.BF16, 50), (Precision.FP16, 66)])
def test_16_bits_are_rounded_whether_native_or_not(
    level, make_light_field, scene_rays, precision, least_db
):
    light_field, rays = make_light_field(width=64), scene_rays(301)
    exact = ReferenceEngine(light_field).shade(*rays).colors
    engine = FusedEngine(light_field, precision, level)
    assert least_db < agreement_db(engine.shade(*rays).colors, exact) < least_db + 16
    assert (engine.info.emulated is None) == (precision is Precision.BF16 and level.bf16)


@each_level
def test_layers_of_a_mix_stay_in_float32(level, make_light_field, scene_rays):
    light_field, rays = make_light_field(width=64, depth=12), scene_rays(301)
    mixed = with_mix(light_field, ["body.0.body.0", "body.2.body.2", "body.3.body.0"])
    colors = FusedEngine(mixed, Precision.INT8, level).shade(*rays).colors
    simulated = ENGINES["simulated"].build(mixed, Precision.INT8_SIM, "cpu").shade(*rays).colors
    assert agreement_db(colors, simulated) > 60
    assert not torch.equal(
        colors, FusedEngine(light_field, Precision.INT8, level).shade(*rays).colors
    )


def test_eight_bits_cost_the_demo_little_against_the_truth(demo):
    teacher = teacher_of(demo.scene)
    pixels = torch.randperm(160_000, generator=torch.Generator().manual_seed(0))[:2000]
    db = {}
    for precision in (Precision.FP32, Precision.INT8):
        source = NetworkSource(FusedFactory().build(demo, precision, "cpu"), demo.scene)
        errors = []
        for azimuth_deg in (10.0, 190.0):
            orbit = replace(demo.scene.home(), azimuth_deg=azimuth_deg)
            camera = orbit.camera(400, 400, demo.scene.focal_px(400))
            batch = source.plan(camera, pixels).batch
            colors = torch.cat([part.clone() for part, _ in source.shade(camera, batch)])
            truth = supersampled_pixels(teacher, camera, pixels)
            errors.append(mse(colors.numpy(), truth.numpy()))
        db[precision] = psnr_db(sum(errors) / len(errors))
    assert db[Precision.FP32] > 34
    assert db[Precision.FP32] - db[Precision.INT8] <= 0.05


@each_level
def test_the_demo_in_int8(level, demo):
    rays = choice.check_rays(demo, 700)
    colors = FusedEngine(demo, Precision.INT8, level).shade(*rays).colors
    exact = FusedEngine(demo, Precision.FP32, level).shade(*rays).colors
    simulated = ENGINES["simulated"].build(demo, Precision.INT8_SIM, "cpu")
    twin = choice.shade_all(simulated, *rays)
    assert agreement_db(colors, exact) >= 53
    assert agreement_db(colors, twin) >= 60
    assert not torch.equal(colors, twin)


@each_level
@pytest.mark.parametrize("width", [64, 181, 256, 320, 512])
def test_the_integer_probe_passes(level, width):
    assert runs_integers(lambda field: FusedEngine(field, Precision.INT8, level), width)


# --- any number of rays ------------------------------------------------------------------------


@each_level
@pytest.mark.parametrize("precision", ALL_PRECISIONS)
def test_a_colour_does_not_depend_on_its_batch(level, make_light_field, scene_rays, precision):
    light_field = make_light_field(width=128)
    origins, directions = scene_rays(411)
    one, two = (FusedEngine(light_field, precision, level, n) for n in (1, 2))
    expected = one.shade(origins, directions).colors
    assert torch.equal(two.shade(origins, directions).colors, expected)
    for n in (1, 2, 11, 12, 13, 31, 33, 96, 97, 193):
        for engine in (one, two):
            colors = engine.shade(origins[-n:], directions[-n:]).colors
            assert torch.equal(colors, expected[-n:])


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origins", "directions"),
    [
        (torch.zeros(4, 2), torch.zeros(4, 3)),
        (torch.zeros(4, 3), torch.zeros(5, 3)),
        (torch.zeros(4, 3), torch.zeros(4, 3, dtype=torch.float64)),
        (torch.zeros(3), torch.zeros(3)),
        (torch.zeros(1, 4, 3), torch.zeros(1, 4, 3)),
        (torch.zeros(4, 3, device="meta"), torch.zeros(4, 3)),
    ],
)
def test_hostile_rays_do_not_reach_the_kernel(light_field, origins, directions):
    engine = FusedEngine(light_field, Precision.FP32, LEVELS[0])
    with pytest.raises(ValueError, match=r"rays are|do not go with"):
        engine.shade(origins, directions)


def test_rays_in_any_order_of_memory(light_field, scene_rays):
    engine = FusedEngine(light_field, Precision.FP32, LEVELS[0])
    rays = scene_rays(50)
    strided = [x.T.contiguous().T for x in rays]
    assert torch.equal(engine.shade(*strided).colors, engine.shade(*rays).colors)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e38, 1e-42])
def test_senseless_rays_harm_no_others(light_field, scene_rays, value):
    engine = FusedEngine(light_field, Precision.INT8, LEVELS[-1])
    origins, directions = scene_rays(100)
    expected = engine.shade(origins, directions).colors
    spoilt = origins.clone()
    spoilt[::3] = value
    colors = engine.shade(spoilt, directions).colors
    keep = torch.arange(100) % 3 != 0
    assert torch.equal(colors[keep], expected[keep])


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ({"width": 513}, "513 wide"),
        ({"n_learnable": 3}, "not as published"),
        ({"inact": "lrelu"}, "not as published"),
        ({"outact": "relu"}, "not as published"),
        ({"act": "none"}, "not as published"),
    ],
)
def test_networks_it_cannot_run_go_to_another_engine(make_light_field, network, reason):
    light_field = make_light_field(**network)
    with pytest.raises(EngineUnavailable, match=reason):
        build_engine(light_field, Precision.FP32, "fused", "cpu")
    info = build_engine(light_field, Precision.FP32, "auto", "cpu").info
    assert info.engine != "fused"
    assert reason in info.fallback


def test_a_library_that_is_none(tmp_path):
    path = tmp_path / "fused.so"
    path.write_bytes(b"no library")
    with pytest.raises(EngineUnavailable, match="could not be loaded"):
        library.load(path)


def test_why_a_library_cannot_be_loaded_is_in_the_account_of_what_runs(
    light_field, monkeypatch, tmp_path
):
    path = tmp_path / "fused.so"
    path.write_bytes(b"no library")
    monkeypatch.setattr(library, "library_path", lambda: path)
    library.level_for.cache_clear()
    for build in (build_engine, build_at_once):
        info = build(light_field, Precision.FP32, "auto", "cpu").info
        assert info.engine != "fused"
        assert "library could not be loaded" in info.fallback
    assert build_engine(light_field, Precision.FP32, "torch", "cpu").info.fallback == ""


def test_fp16_that_overflows_is_no_black_picture(make_light_field, scene_rays):
    light_field = make_light_field(depth=8, width=64)
    tensors = dict(light_field.tensors)
    tensors["head.0.bias"] = tensors["head.0.bias"] + 6e4
    tensors["body.0.body.2.bias"] = tensors["body.0.body.2.bias"] + 2e4
    hot = replace(light_field, tensors=tensors)
    engine = FusedEngine(hot, Precision.FP16, library.level_for(this_processor()))
    with pytest.raises(EngineError, match="exceed 65,504"):
        engine.shade(*scene_rays(100))


def test_a_wrong_picture_is_refused(light_field, monkeypatch):
    monkeypatch.setattr(engine_module, "layers_in", lambda *_: Layers(lambda _, x: x[:, :16] * 0))
    monkeypatch.setattr(
        engine_module, "colors_of", lambda _: torch.zeros(engine_module._CHECK_RAYS, 3)
    )
    with pytest.raises(EngineError, match="refused for fp32"):
        build_engine(light_field, Precision.FP32, "fused", "cpu")


@pytest.mark.parametrize("name", [level.name for level in LEVELS])
def test_an_older_processor_gets_its_own_level(light_field, pretend, name):
    if name not in library.X86_64_LEVELS:
        pytest.skip("pretending is for x86-64")
    assert level_for(pretend(name)).name == name
    assert f", {name}," in build_engine(light_field, Precision.INT8, "fused").info.kernel


# --- threads, cancelling, memory ---------------------------------------------------------------


def test_eight_threads_at_once(make_light_field, scene_rays):
    light_field = make_light_field(width=64)
    engine = FusedEngine(light_field, Precision.INT8, LEVELS[-1], 2)
    rays = scene_rays(500)
    expected = engine.shade(*rays).colors
    wrong = []

    def call(own: FusedEngine) -> None:
        for n in (500, 1, 97, 400):
            if not torch.equal(own.shade(*(x[:n] for x in rays)).colors, expected[:n]):
                wrong.append(n)

    own = [FusedEngine(light_field, Precision.INT8, LEVELS[-1], 2) for _ in range(4)]
    threads = [threading.Thread(target=call, args=[e]) for e in [*own, *[engine] * 4]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@each_level
def test_cancelling_in_the_middle(level, demo, monkeypatch):
    """The call ends with an error, and the next is as if nothing had been."""
    engine = FusedEngine(demo, Precision.FP32, level, 2)
    rays = choice.check_rays(demo, 96)
    expected = engine.shade(*rays).colors
    many = [x.repeat(2000, 1) for x in rays]
    run = level.run

    def run_and_cancel(*arguments) -> None:
        timer = threading.Timer(0.05, engine.cancel)
        timer.start()
        run(*arguments)
        timer.join()

    monkeypatch.setattr(level.__class__, "run", run_and_cancel, raising=False)
    object.__setattr__(level, "run", run_and_cancel)
    try:
        with pytest.raises(EngineError, match="cancelled"):
            engine.shade(*many)
    finally:
        object.__setattr__(level, "run", run)
    engine.cancel()  # nothing is running
    assert torch.equal(engine.shade(*rays).colors, expected)


def test_engines_come_and_go_without_a_trace(make_light_field, scene_rays):
    light_field = make_light_field(width=64, depth=4)
    rays = scene_rays(130)
    process = psutil.Process()

    def come_and_go(n: int) -> int:
        for _ in range(n):
            FusedEngine(light_field, Precision.INT8, LEVELS[-1], 2).shade(*rays)
        gc.collect()
        return process.memory_info().rss

    before = come_and_go(100)
    threads = threading.active_count()
    half = come_and_go(450)
    # What leaks grows in both halves; what the system hands out in large pieces, in one.
    assert min(half - before, come_and_go(450) - half) < 4e6
    assert threading.active_count() == threads


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_the_library_itself_comes_and_goes():
    dlclose = ctypes.CDLL(None).dlclose
    dlclose.argtypes = [ctypes.c_void_p]
    path = library.library_path()
    library.load(path)
    maps = len(Path("/proc/self/maps").read_text().splitlines())
    for _ in range(1000):
        handle = ctypes.CDLL(str(path))
        assert library.level_of(handle, LEVELS[0].name).panel > 0
        dlclose(handle._handle)
    assert len(Path("/proc/self/maps").read_text().splitlines()) <= maps + 2
