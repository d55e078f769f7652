"""The benchmark's report, and that it measures what it says. No test looks at a real clock."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from types import SimpleNamespace

import pytest
import torch

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.commands.cli import main
from r2l_core.engines.backends import ENGINES, availability, available_engines
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.evaluation import bench as bench_module
from r2l_core.evaluation.bench import Bench
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import hits_bounds, image_rays
from r2l_core.render.frames import FrameTimings
from r2l_core.types import EngineInfo, Precision

pytestmark = pytest.mark.slow

REPORT_KEYS = {
    "published",
    "published_by_threads",
    "teacher",
    "runs",
    "rounds",
    "size",
    "processor",
}
PUBLISHED_KEYS = {"ms_median", "krays_per_s", "gops", "threads"}
RUN_KEYS = {
    "precision",
    "engine",
    "ms_median",
    "ms_p95",
    "krays_per_s",
    "ratio_to_published",
    "gops",
    "peak_share",
    "threads",
    "share",
    "psnr_db_vs_fp32",
    "peak_rss_mb",
    "engine_info",
    "failed",
}
SHARES = {"rays", "encode", "network", "copy"}
ABLE = [precision for precision in Precision if availability(precision, device="cpu").available]


@pytest.fixture
def camera(scene):
    """Sees mostly background: 40 x 30 pixels from far away."""
    return Orbit(35.0, 30.0, 8.0, scene.center).camera(40, 30, scene.focal_px(40))


def all_pairs(precisions: list[Precision]) -> list[tuple[Precision, str]]:
    """Every precision on every engine that has it, but for the reference, and for emulations of
    what another calculates in."""
    return [
        (precision, name)
        for precision in precisions
        for name in available_engines(precision, "cpu")
    ]


def run_pairs(report: dict) -> list[tuple[str, str]]:
    return [(run["precision"], run["engine"]) for run in report["runs"]]


def test_every_precision_on_every_engine(make_light_field, camera):
    bench = Bench(make_light_field(width=24), ABLE, camera, "canonical", device="cpu")
    order = list(bench.measure(rounds=2))
    everything = [bench.published, *bench.runs]
    assert order == [*everything, *everything], "in turn, the published path first"
    report = bench.report()
    assert run_pairs(report) == all_pairs(ABLE)
    assert {Precision.FP32, Precision.INT8_SIM, Precision.WEIGHTS_BF16} <= {
        p for p, _ in all_pairs(ABLE)
    }
    assert bench.published.info.engine == "reference"
    assert report["rounds"] == 2
    assert report["size"] == [40, 30]
    for run in report["runs"]:
        assert run["ms_median"] > 0
        assert run["ms_p95"] >= run["ms_median"]
        assert run["krays_per_s"] == pytest.approx(1200 / run["ms_median"])
        assert sum(run["share"].values()) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in run["share"].values())
        assert run["engine_info"]["precision"] == run["precision"]
        assert run["engine_info"]["engine"] == run["engine"]
        # How close each is to fp32 says that each drew the picture.
        assert run["psnr_db_vs_fp32"] > (70 if run["precision"] == Precision.FP32 else 25)


def test_the_report_has_the_promised_keys(light_field_file, tmp_path, capsys):
    path = tmp_path / "bench.json"
    command = ["bench", "--checkpoint", str(light_field_file), "--size", "20x10", "--rounds", "1"]
    flags = ["--precision", "fp32,int8-sim,weights-bf16", "--device", "cpu", "--json", str(path)]
    assert main([*command, *flags]) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report.keys() == REPORT_KEYS
    assert report["published"].keys() == PUBLISHED_KEYS
    assert report["size"] == [20, 10]
    precisions = [Precision.FP32, Precision.INT8_SIM, Precision.WEIGHTS_BF16]
    assert run_pairs(report) == all_pairs(precisions)
    for run in report["runs"]:
        assert run.keys() == RUN_KEYS
        assert run["share"].keys() == SHARES
        assert run["engine_info"].keys() == {field.name for field in fields(EngineInfo)}
        assert isinstance(run["peak_rss_mb"], float | None)
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith(report["processor"])
    assert "published" in table[2]
    assert len(table) == 3 + len(report["runs"])


def test_speed_on_several_numbers_of_threads(light_field_file, tmp_path, capsys):
    path = tmp_path / "bench.json"
    threads = torch.get_num_threads()
    command = ["bench", "--checkpoint", str(light_field_file), "--size", "20x10", "--rounds", "1"]
    flags = ["--precision", "fp32", "--engine", "fused", "--threads", "1,2", "--json", str(path)]
    assert main([*command, *flags]) == 0
    assert torch.get_num_threads() == threads
    report = json.loads(path.read_text(encoding="utf-8"))
    assert [one["threads"] for one in report["published_by_threads"]] == [1, 2]
    assert [run["threads"] for run in report["runs"]] == [1, 2]
    assert "1 thread" in report["runs"][0]["engine_info"]["kernel"]
    assert "2 threads" in report["runs"][1]["engine_info"]["kernel"]
    flop_per_ray = load_light_field(str(light_field_file)).network.flop_per_ray
    for run in report["runs"]:
        assert run["gops"] == pytest.approx(run["krays_per_s"] * flop_per_ray / 1e6)
        assert 0 < run["peak_share"] < 1
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["fp32", "fused"]


def test_a_precision_that_is_asked_for_twice_is_measured_once(light_field_file, tmp_path):
    path = tmp_path / "bench.json"
    command = ["bench", "--checkpoint", str(light_field_file), "--size", "8", "--rounds", "1"]
    flags = ["--precision", "int8-sim,int8-sim", "--device", "cpu", "--json", str(path)]
    assert main([*command, *flags]) == 0
    assert run_pairs(json.loads(path.read_text())) == [("int8-sim", "simulated")]


def test_one_engine_alone(light_field, camera):
    bench = Bench(light_field, [Precision.FP32], camera, "plain", engine="torch", device="cpu")
    assert [run.info.engine for run in bench.runs] == ["torch"]


def test_a_precision_that_no_engine_has(light_field, camera):
    with pytest.raises(EngineUnavailable, match="int8-sim"):
        Bench(light_field, [Precision.INT8_SIM], camera, "plain", engine="torch", device="cpu")


def test_unknown_precisions_are_named(light_field_file, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["bench", "--checkpoint", str(light_field_file), "--precision", "fp32,int4"])
    assert caught.value.code == 2
    assert "int4" in capsys.readouterr().err


@pytest.mark.parametrize("ray_mode", ["plain", "canonical"])
def test_every_pixel_goes_through_the_network(light_field, camera, ray_mode):
    """Background too, which the viewer skips."""
    assert not hits_bounds(*image_rays(camera), light_field.scene).float().mean() > 0.5
    precisions = [Precision.FP32, Precision.INT8_SIM]
    bench = Bench(light_field, precisions, camera, ray_mode, device="cpu")
    seen: dict[int, list[torch.Tensor]] = {}
    for run in (bench.published, *bench.runs):
        rays = seen[id(run)] = []

        def build(build=run.build, rays=rays):
            source = build()

            def shade(origins, directions, shade=source.engine.shade):
                rays.append(directions.clone())
                return shade(origins, directions)

            source.engine.shade = shade
            return source

        run.build = build
    for run in bench.measure(rounds=1):
        warm_up = 2
        frame = torch.cat(seen[id(run)][warm_up:])
        assert len(frame.unique(dim=0)) == 40 * 30


def test_the_warm_up_is_not_counted(light_field, camera):
    bench = Bench(light_field, [Precision.FP32], camera, "plain", "torch", "cpu")
    rounds = bench.measure(rounds=3)
    next(rounds)
    assert len(bench.published.ms) == 1
    assert [run.ms for run in bench.runs] == [[]]
    assert len(list(rounds)) == 3 * 2 - 1
    assert [len(run.ms) for run in (bench.published, *bench.runs)] == [3, 3]


def test_the_arithmetic_of_the_report(light_field, camera):
    bench = Bench(light_field, [Precision.FP32], camera, "plain", "torch", "cpu")
    (run,) = bench.runs
    bench.published.ms = [100.0, 200.0, 600.0]
    run.ms = [10.0, 10.0, 30.0]
    run.timings = [FrameTimings(1, 2, 3, 4), FrameTimings(0, 0, 10, 0), FrameTimings(1, 0, 9, 0)]
    run.mse_vs_fp32 = 1e-5
    run.peak_rss_mb = 12.5
    report = bench.report()
    assert report["published"] == {
        "ms_median": 200.0,
        "krays_per_s": 1200 / 200.0,
        "gops": pytest.approx(light_field.network.flop_per_ray * 1200 / 200.0 / 1e6),
        "threads": torch.get_num_threads(),
    }
    (row,) = report["runs"]
    assert row["ms_median"] == 10.0
    assert row["ms_p95"] == pytest.approx(28.0)
    assert row["krays_per_s"] == 120.0
    assert row["ratio_to_published"] == 20.0, "the median of 10, 20 and 20"
    expected = {"rays": 2 / 30, "encode": 2 / 30, "network": 22 / 30, "copy": 4 / 30}
    assert row["share"] == pytest.approx(expected)
    assert row["psnr_db_vs_fp32"] == pytest.approx(50.0)
    assert row["peak_rss_mb"] == 12.5
    assert row["engine_info"] == asdict(run.info)


def test_a_single_round_has_no_spread(light_field, camera):
    bench = Bench(light_field, [Precision.FP32], camera, "plain", "torch", "cpu")
    list(bench.measure(rounds=1))
    (row,) = bench.report()["runs"]
    assert row["ms_p95"] == row["ms_median"]


def test_an_infinite_psnr_becomes_null(light_field_file, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_module, "psnr_db", lambda _: float("inf"))
    path = tmp_path / "bench.json"
    command = ["bench", "--checkpoint", str(light_field_file), "--size", "8", "--rounds", "1"]
    assert main([*command, "--precision", "fp32", "--device", "cpu", "--json", str(path)]) == 0
    runs = json.loads(path.read_text())["runs"]
    assert [run["psnr_db_vs_fp32"] for run in runs] == [None] * len(runs)


def test_memory_is_measured_where_the_system_tells(light_field, camera, monkeypatch):
    with_system = Bench(light_field, [Precision.FP32], camera, "plain", "torch", "cpu")
    monkeypatch.setattr(bench_module, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(bench_module, "_reset_peak_rss", lambda: None)
    monkeypatch.setattr(
        bench_module,
        "Path",
        lambda _: SimpleNamespace(read_text=lambda **_: "VmPeak: 9 kB\nVmHWM:\t 2000 kB\n"),
    )
    list(with_system.measure(rounds=1))
    assert with_system.report()["runs"][0]["peak_rss_mb"] == pytest.approx(2.048)
    monkeypatch.setattr(bench_module, "sys", SimpleNamespace(platform="darwin"))
    list(with_system.measure(rounds=1))
    assert with_system.report()["runs"][0]["peak_rss_mb"] is None


def test_a_light_field_that_is_quantised_already(light_field_file, tmp_path, camera):
    """Compared with the fp32 picture of what its integers stand for."""
    out = tmp_path / "q.safetensors"
    command = ["quantize", "--checkpoint", str(light_field_file), "--recipe", "int8"]
    assert main([*command, "--out", str(out)]) == 0
    light_field = load_light_field(str(out))
    bench = Bench(light_field, [Precision.FP32, Precision.INT8_SIM], camera, "plain", device="cpu")
    list(bench.measure(rounds=1))
    rows = {row["precision"]: row["psnr_db_vs_fp32"] for row in bench.report()["runs"]}
    assert rows[Precision.FP32] > 70
    assert 25 < rows[Precision.INT8_SIM] < 90


def broken_factory(monkeypatch, name: str, when: str) -> None:
    """Have an engine fail while it is built, or while it renders its first frame."""
    factory = ENGINES[name]
    good = factory.build

    def build(light_field, precision, device):
        if when == "build":
            raise RuntimeError("out of luck")
        engine = good(light_field, precision, device)

        def shade(origins, directions):
            raise EngineError("The engine failed", "out of luck", "Choose another.")

        engine.shade = shade
        return engine

    monkeypatch.setattr(factory, "build", build)


@pytest.mark.parametrize("when", ["build", "frame"])
def test_a_failing_engine_is_reported_and_the_others_go_on(
    light_field_file, tmp_path, capsys, monkeypatch, when
):
    broken_factory(monkeypatch, "simulated", when)
    path = tmp_path / "bench.json"
    command = ["bench", "--checkpoint", str(light_field_file), "--size", "8", "--rounds", "2"]
    flags = ["--precision", "int8-sim,fp32", "--device", "cpu", "--json", str(path)]
    assert main([*command, *flags]) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    failed, *others = report["runs"]
    assert (failed["precision"], failed["engine"]) == ("int8-sim", "simulated")
    assert "out of luck" in failed["failed"]
    assert failed.keys() == RUN_KEYS
    measured = {
        k: v for k, v in failed.items() if k not in ("precision", "engine", "threads", "failed")
    }
    assert (measured.pop("engine_info") is None) == (when == "build")
    assert measured.pop("share") == dict.fromkeys(SHARES)
    assert set(measured.values()) == {None}
    assert others
    assert all(run["failed"] is None and run["ms_median"] > 0 for run in others)
    assert "out of luck" in capsys.readouterr().out


def test_nothing_but_failures_is_an_error(light_field_file, capsys, monkeypatch):
    broken_factory(monkeypatch, "simulated", "build")
    command = ["bench", "--checkpoint", str(light_field_file), "--size", "8"]
    assert main([*command, "--precision", "int8-sim", "--device", "cpu"]) == 2
    assert "out of luck" in capsys.readouterr().err
