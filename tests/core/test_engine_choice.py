"""What `auto` takes: the fastest engine that draws the right picture, remembered for next time."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest
import torch

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines import backends, building, choice, tiles
from r2l_core.engines.backends import availability
from r2l_core.engines.base import Shaded
from r2l_core.engines.building import build_engine
from r2l_core.engines.faithful import default_precision
from r2l_core.engines.processor import Processor
from r2l_core.engines.reference import ReferenceEngine, ReferenceFactory
from r2l_core.errors import EngineError, EngineUnavailable, QuantizationError
from r2l_core.types import Availability, Precision

pytestmark = pytest.mark.slow


class FakeEngine:
    """The reference engine under another name, in small tiles, with something added to its
    colours."""

    tile_rays = 100
    small_tiles = ()
    any_rays = False
    quiet_torch = False

    def __init__(self, light_field, precision: Precision, name: str, error: float) -> None:
        self._exact = ReferenceEngine(light_field)
        self._error = error
        self.info = replace(self._exact.info, engine=name, precision=precision)
        self.tiles = 0

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        assert origins.shape == directions.shape == (self.tile_rays, 3)
        self.tiles += 1
        shaded = self._exact.shade(origins, directions)
        return replace(shaded, colors=shaded.colors + self._error)


class FakeFactory:
    """Builds a FakeEngine, or fails."""

    def __init__(
        self,
        name: str,
        seconds: float = 1.0,
        error: float = 0.0,
        fails: Exception | None = None,
        why_not: str = "",
        device: str = "cpu",
    ) -> None:
        self.name, self.seconds, self.error = name, seconds, error
        self.fails, self.why_not = fails, why_not
        self.device = device
        self.builds = 0
        self.built: list[FakeEngine] = []

    def available(self, precision: Precision, device: str) -> Availability:
        able = not self.why_not and device == self.device
        return Availability(able, "" if able else self.why_not or "no such device")

    def build(self, light_field, precision: Precision, device: str) -> FakeEngine:
        self.builds += 1
        if self.fails is not None:
            raise self.fails
        self.built.append(FakeEngine(light_field, precision, self.name, self.error))
        return self.built[-1]


@pytest.fixture
def opened(light_field, tmp_path):
    """A light field that is on disk, as every opened one is."""
    path = tmp_path / "opened.safetensors"
    save_light_field(light_field, path)
    return load_light_field(str(path))


@pytest.fixture
def have(monkeypatch):
    """A function that makes these factories all there are, with speeds to order; returns them by
    name."""

    def install(*factories: FakeFactory) -> dict[str, FakeFactory]:
        by_name = {factory.name: factory for factory in factories}
        monkeypatch.setattr(backends, "ENGINES", {**by_name, "reference": ReferenceFactory()})
        monkeypatch.setattr(
            choice, "fastest", lambda built, _: min(built, key=lambda name: by_name[name].seconds)
        )
        return by_name

    return install


@pytest.fixture
def cache(user_dirs) -> Path:
    """Where choices are remembered, in the test's own home."""
    path = choice._path()
    assert path.is_relative_to(user_dirs)
    assert path.is_relative_to(platformdirs.user_cache_path("r2l-viewer"))
    return path


def chosen(light_field, precision: Precision = Precision.FP32) -> str:
    return build_engine(light_field, precision, "auto", "cpu").info.engine


# --- which one ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fastest", ["first", "second", "third"])
def test_the_fastest_is_taken(opened, have, fastest):
    names = ["first", "second", "third"]
    have(*(FakeFactory(name, seconds=0.5 if name == fastest else 1.0) for name in names))
    assert chosen(opened) == fastest


def test_the_engine_that_was_measured_is_the_one_returned(opened, have):
    factories = have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    engine = build_engine(opened, Precision.FP32, "auto", "cpu")
    assert engine.tiles == 1, "the self-check has used it"
    assert [factory.builds for factory in factories.values()] == [1, 1]


def timed(light_field, clock, tile_rays: int, small_tiles: tuple[int, ...], cost) -> FakeEngine:
    """An engine that takes `cost(rays)` seconds for a tile."""
    engine = FakeEngine(light_field, Precision.FP32, "fake", 0.0)
    engine.tile_rays, engine.small_tiles = tile_rays, small_tiles

    def shade(origins, directions) -> Shaded:
        clock.now += cost(len(origins))
        return Shaded(torch.zeros(len(origins), 3), 0.0, 0.0)

    engine.shade = shade
    return engine


def test_speed_is_that_of_a_preview(opened, fake_clock):
    clock = fake_clock(choice, tiles)
    # As fast on many rays; but the rest of a preview takes the second a tile of its own.
    built = {
        "small tiles": timed(opened, clock, 1024, (64,), lambda rays: 0.002 + rays / 60e3),
        "one tile": timed(opened, clock, 3072, (2112,), lambda rays: 0.002 + rays / 58e3),
    }
    assert choice.fastest(built, opened) == "one tile"


def test_a_busy_moment_decides_nothing(opened, fake_clock):
    clock = fake_clock(choice, tiles)
    slow_once = iter([9.0, 9.0, 9.0])
    built = {
        "fast": timed(opened, clock, 2080, (), lambda _: next(slow_once, 0.5)),
        "slow": timed(opened, clock, 2080, (), lambda _: 1.0),
    }
    assert choice.fastest(built, opened) == "fast"


def test_the_reference_is_never_chosen(opened, have):
    have(FakeFactory("a", 100.0), FakeFactory("b", 200.0))
    assert chosen(opened) == "a"


def test_those_that_cannot_are_not_asked(opened, have):
    factories = have(
        FakeFactory("absent", 0.1, why_not="not here"), FakeFactory("a", 1.0), FakeFactory("b", 2.0)
    )
    assert chosen(opened) == "a"
    assert factories["absent"].builds == 0


@pytest.mark.parametrize("error", [0.5, float("nan")])
@pytest.mark.parametrize("name", ["auto", "only"])
@pytest.mark.parametrize("precision", choice.CLAIMS)
def test_a_single_candidate_is_checked_too(opened, have, cache, error, name, precision):
    have(FakeFactory("only", error=error), FakeFactory("absent", why_not="not here"))
    with pytest.raises(EngineError, match=f"only engine was refused for {precision}"):
        build_engine(opened, precision, name, "cpu")
    assert not cache.exists()


def test_a_lone_rounding_is_shown_however_bad_it_is(opened, have):
    have(FakeFactory("only", error=0.5))
    assert chosen(opened, Precision.INT8_STATIC_SIM) == "only"


def test_an_engine_that_is_asked_for_by_name(opened, have):
    factories = have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    assert build_engine(opened, Precision.FP32, "slow", "cpu").info.engine == "slow"
    assert factories["fast"].builds == 0
    assert chosen(opened) == "fast", "which says nothing about the fastest"


def test_the_check_is_not_made_again_on_the_processor(opened, have):
    (factory,) = have(FakeFactory("only")).values()
    assert [chosen(opened), chosen(opened)] == ["only", "only"]
    assert [engine.tiles for engine in factory.built] == [1, 0]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_unknown_names_list_the_known_ones(opened, have, device):
    have(FakeFactory("torch"), FakeFactory("openvino"))
    for name in ("magic", "", "Torch"):
        with pytest.raises(EngineUnavailable, match="torch, openvino, reference"):
            build_engine(opened, Precision.FP32, name, device)
        assert not availability(Precision.FP32, name, device).available


def test_why_there_is_none(opened, have):
    have(FakeFactory("a", why_not="no such chip"), FakeFactory("b", why_not="not installed"))
    with pytest.raises(EngineUnavailable, match="no such chip, and not installed"):
        build_engine(opened, Precision.INT8, "auto", "cpu")


# --- the self-check ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [0.5, 1e-3, float("nan"), float("inf")])
def test_a_fast_engine_with_a_wrong_picture_is_refused(opened, have, error):
    have(FakeFactory("wrong", 0.1, error), FakeFactory("right", 1.0))
    assert chosen(opened) == "right"


@pytest.mark.parametrize(
    ("precision", "least_db"),
    [
        (Precision.FP32, 70),
        (Precision.FP16, 40),
        (Precision.BF16, 30),
        (Precision.INT8, 20),
        (Precision.INT8_SIM, 20),
        (Precision.DYNAMIC_INT8_FAKE, 20),
    ],
)
def test_how_much_disagreement_a_precision_may_have(opened, precision, least_db):
    for margin_db in (+1, -1):
        error = 10 ** (-(least_db + margin_db) / 20)
        engine = FakeEngine(opened, precision, "fake", error)
        if margin_db > 0:
            choice.check(engine, opened)
        else:
            with pytest.raises(EngineError, match=f"{least_db} needed") as caught:
                choice.check(engine, opened)
            assert "fake" in str(caught.value)
            assert precision in str(caught.value)


def test_the_self_check_looks_at_the_whole_first_view(opened):
    origins, directions = choice.check_rays(opened, 50)
    camera = opened.scene.home_camera()
    assert len(directions.unique(dim=0)) == 50
    corner = directions @ torch.tensor(camera.T_world_camera[:3, :3], dtype=torch.float32)
    assert corner[0, 0] < 0 < corner[-1, 0]
    assert corner[0, 1] > 0 > corner[-1, 1]
    assert torch.equal(origins, origins[:1].expand(50, 3))


def test_engines_with_tiles_larger_than_the_view(opened):
    small = replace(opened, scene=replace(opened.scene, width_px=3, height_px=2))
    origins, directions = choice.check_rays(small, 4096)
    assert origins.shape == directions.shape == (4096, 3)
    assert len(directions.unique(dim=0)) == 6


@pytest.mark.parametrize("n_rays", [1, 99, 100, 101, 250])
def test_any_number_of_rays_tile_by_tile(opened, scene_rays, n_rays):
    engine = FakeEngine(opened, Precision.FP32, "fake", 0.0)
    rays = scene_rays(n_rays)
    colors = choice.shade_all(engine, *rays)
    assert colors.shape == (n_rays, 3)
    assert engine.tiles == -(-n_rays // 100)
    torch.testing.assert_close(colors, ReferenceEngine(opened).shade(*rays).colors)


# --- failures ----------------------------------------------------------------------------------

FAILURES = [
    RuntimeError("no room\nstack ..."),
    MemoryError(),
    ImportError("lib.so is missing"),
    EngineError("The engine failed", "it is broken"),
    EngineUnavailable("Not here", "something is missing"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_another_engine_steps_in_for_one_that_fails(opened, have, error):
    have(FakeFactory("broken", 0.1, fails=error), FakeFactory("sound", 1.0))
    for _ in range(2):
        info = build_engine(opened, Precision.FP32, "auto", "cpu").info
        assert info.engine == "sound"
        why = error.why if isinstance(error, EngineError) else "broken engine could not be built"
        assert why in info.fallback, "also the next time"


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_when_all_fail_the_first_reason_is_given(opened, have, cache, error):
    have(FakeFactory("a", fails=error), FakeFactory("b", fails=RuntimeError("second")))
    with pytest.raises(EngineError) as caught:
        chosen(opened)
    assert "second" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not cache.exists()


def test_when_all_are_wrong(opened, have):
    have(FakeFactory("a", error=0.5), FakeFactory("b", error=0.5))
    with pytest.raises(EngineError, match="refused"):
        chosen(opened)


def test_what_is_wrong_with_the_light_field_is_said(opened, have):
    """Not an engine's fault, so no other engine is tried for it."""
    error = QuantizationError("The layers cannot be calibrated", "they overflow")
    have(FakeFactory("a", fails=error), FakeFactory("b"))
    with pytest.raises(QuantizationError):
        chosen(opened)


# --- the GPU and the processor -----------------------------------------------------------------


@pytest.fixture
def gpu(monkeypatch):
    """A GPU as far as torch's answers go."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_the_processor_steps_in_for_a_gpu_that_fails(gpu, opened, have, error):
    have(FakeFactory("gpu", fails=error, device="cuda"), FakeFactory("processor"))
    engine = build_engine(opened, Precision.BF16)
    assert engine.info.engine == "processor"
    reason = error.why if isinstance(error, EngineError) else str(error).split("\n")[0]
    assert (reason or type(error).__name__) in engine.info.fallback
    with pytest.raises(EngineError):
        build_engine(opened, Precision.BF16, device="cuda")


@pytest.mark.parametrize("error", [0.5, float("nan")])
def test_a_wrong_gpu_is_never_seen(gpu, opened, have, error):
    have(FakeFactory("gpu", 0.1, error, device="cuda"), FakeFactory("processor"))
    engine = build_engine(opened, Precision.INT8)
    assert engine.info.engine == "processor"
    assert "The gpu engine was refused for int8" in engine.info.fallback
    for name in ("auto", "gpu"):
        with pytest.raises(EngineError, match="refused"):
            build_engine(opened, Precision.INT8, name, "cuda")


def test_a_gpu_that_has_gone_wrong_since_is_noticed(gpu, opened, have):
    have(FakeFactory("gpu", device="cuda"), FakeFactory("processor"))
    assert build_engine(opened, Precision.BF16).info.engine == "gpu"
    have(FakeFactory("gpu", error=0.5, device="cuda"), FakeFactory("processor"))
    assert build_engine(opened, Precision.BF16).info.engine == "processor"


def test_a_gpu_that_works_is_no_fallback(gpu, opened, have):
    have(FakeFactory("gpu", device="cuda"), FakeFactory("processor"))
    info = build_engine(opened, Precision.BF16).info
    assert (info.engine, info.fallback) == ("gpu", "")


def test_the_default_on_a_gpu_is_bf16(gpu, have):
    have(FakeFactory("gpu", device="cuda"), FakeFactory("processor"))
    assert default_precision() is Precision.BF16


def test_a_gpu_without_bf16_opens_in_fp16(gpu, have):
    """Rather than in bf16 on the processor."""

    class Old(FakeFactory):
        def available(self, precision: Precision, device: str) -> Availability:
            answer = super().available(precision, device)
            return answer if precision is not Precision.BF16 else Availability(False, "too old")

    have(Old("gpu", device="cuda"), FakeFactory("processor"))
    assert default_precision() is Precision.FP16
    assert default_precision(device="cpu") is Precision.BF16


# --- the memory --------------------------------------------------------------------------------


def test_a_choice_is_remembered(opened, have, cache):
    factories = have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    assert [chosen(opened), chosen(opened)] == ["fast", "fast"]
    assert [factories["slow"].builds, factories["fast"].builds] == [1, 2]
    assert list(json.loads(cache.read_text(encoding="utf-8")).values()) == ["fast"]
    assert list(cache.parent.iterdir()) == [cache], "nothing temporary is left"


def test_the_memory_is_of_one_precision_and_model(opened, have, make_light_field, tmp_path, cache):
    factories = have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    other_path = tmp_path / "other.safetensors"
    save_light_field(make_light_field(seed=1), other_path)
    other = load_light_field(str(other_path))
    for light_field, precision in [
        (opened, Precision.FP32),
        (opened, Precision.BF16),
        (other, Precision.FP32),
    ]:
        chosen(light_field, precision)
    assert factories["slow"].builds == 3
    assert len(json.loads(cache.read_text(encoding="utf-8"))) == 3


@pytest.mark.parametrize("what", ["threads", "torch", "processor", "openvino"])
def test_another_machine_chooses_again(opened, have, monkeypatch, what):
    factories = have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    chosen(opened)
    if what == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    elif what == "torch":
        monkeypatch.setattr(torch, "__version__", "9.9")
    elif what == "processor":
        other = Processor("other", frozenset(), "avx2")
        monkeypatch.setattr(choice, "this_processor", lambda: other)
    else:
        monkeypatch.setattr(choice, "version", lambda _: "9.9")
    chosen(opened)
    assert factories["slow"].builds == 2


def test_a_light_field_that_was_never_on_disk_is_not_remembered(light_field, have, cache):
    """Nothing tells it from another of the same shape, which may need another engine."""
    have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    assert chosen(light_field) == "fast"
    assert not cache.exists()


def test_a_remembered_engine_that_is_gone(opened, have):
    have(FakeFactory("slow", 2.0), FakeFactory("middle", 1.5), FakeFactory("gone", 1.0))
    assert chosen(opened) == "gone"
    have(FakeFactory("slow", 2.0), FakeFactory("middle", 1.5))
    assert chosen(opened) == "middle"
    have(FakeFactory("slow", 0.1), FakeFactory("middle", 1.5, why_not="not any more"))
    assert chosen(opened) == "slow"


def test_a_remembered_engine_that_fails_now(opened, have):
    have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    assert chosen(opened) == "fast"
    have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0, fails=RuntimeError("broken")))
    assert chosen(opened) == "slow"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe\x00", b"[" * 100_000, b'"text"', b"\x00" * 99],
    ids=lambda content: repr(content[:8]),
)
def test_a_damaged_memory_is_forgotten(opened, have, cache, content):
    have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    cache.parent.mkdir(parents=True)
    cache.write_bytes(content)
    assert chosen(opened) == "fast"
    assert list(json.loads(cache.read_text(encoding="utf-8")).values()) == ["fast"]


@pytest.mark.parametrize("value", [None, 3, ["fast"], {"fast": 1}, "reference", "unheard-of", ""])
def test_a_memory_of_nonsense(opened, have, cache, value):
    factories = have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    chosen(opened)
    (key,) = json.loads(cache.read_text(encoding="utf-8"))
    cache.write_text(json.dumps({key: value, "other": "kept"}), encoding="utf-8")
    assert chosen(opened) == "fast"
    assert factories["slow"].builds == 2
    assert json.loads(cache.read_text(encoding="utf-8")) == {key: "fast", "other": "kept"}


@pytest.mark.parametrize("obstacle", ["folder", "parent-is-a-file", "no-permission"])
def test_a_memory_that_cannot_be_written(opened, have, cache, monkeypatch, obstacle):
    factories = have(FakeFactory("slow", 2.0), FakeFactory("fast", 1.0))
    if obstacle == "folder":
        cache.mkdir(parents=True)
    elif obstacle == "parent-is-a-file":
        cache.parent.parent.mkdir(parents=True, exist_ok=True)
        cache.parent.write_text("in the way")
    else:

        def refuse(*_, **__) -> None:
            raise PermissionError(13, "Permission denied")

        # Not by chmod: the administrator may write anyway.
        monkeypatch.setattr(os, "replace", refuse)
    assert [chosen(opened), chosen(opened)] == ["fast", "fast"]
    assert factories["slow"].builds == 2
    if obstacle != "parent-is-a-file":
        assert not list(cache.parent.glob("*.tmp*"))


def test_the_only_engine_of_a_simulation_may_be_far_from_fp32(monkeypatch):
    def refuse(*_: object) -> None:
        raise EngineError("refused", "too far from the reference", "none")

    monkeypatch.setattr(choice, "check", refuse)
    demo = load_light_field("demo")
    engine = building.build_at_once(demo, Precision.INT8_STATIC_SIM)
    assert engine.info.precision is Precision.INT8_STATIC_SIM
