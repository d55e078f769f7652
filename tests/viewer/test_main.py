"""`python -m viewer` as a person or a script starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from viewer import __main__ as viewer_main
from viewer import run as run_module

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
REPORT_KEYS = [
    "processor",
    "first_preview_s",
    "first_frame_s",
    "gui_blocked_ms_max",
    "gui_blocked_ms_p99",
    "images_per_s",
    "latency_ms_p50",
    "latency_ms_p95",
    "rays_per_image_median",
    "psnr_db_shown_mean",
    "krays_per_s_used",
    "krays_per_s_bench",
    "full_frame_s",
    "idle_cpu_percent",
    "stale_frames",
    "errors",
]


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the viewer to its end."""
    return subprocess.run(
        [sys.executable, "-m", "viewer", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )


class TestProcess:
    def test_the_first_frame_of_a_file(self, write_light_field, tmp_path):
        report = tmp_path / "r.json"
        done = start(write_light_field(), "--exit-after-first-frame", "--report", str(report))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        values = json.loads(report.read_text(encoding="utf-8"))
        assert sorted(values) == sorted(REPORT_KEYS)
        assert 0 < values["first_preview_s"] <= values["first_frame_s"]
        assert (values["stale_frames"], values["errors"]) == (0, 0)

    def test_a_file_that_cannot_be_opened(self, damaged):
        path = damaged("truncated")
        done = start(str(path), "--exit-after-first-frame")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    def test_a_dataset_that_cannot_be_opened(self, write_light_field, tmp_path):
        done = start(
            write_light_field(), "--dataset", str(tmp_path / "none"), "--exit-after-first-frame"
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert "none cannot be opened" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    @pytest.mark.parametrize("names", ["fp32", "fp32,nonsense", "fp32,bf16,int8,truth,fp16"])
    def test_what_cannot_be_compared(self, names, capsys, monkeypatch):
        monkeypatch.setenv("GOMP_SPINCOUNT", "1")  # so that it is put back
        assert viewer_main.main(["--compare", names, "--exit-after-first-frame"]) == 2
        said = capsys.readouterr().err
        assert "--compare" in said
        assert len(said.strip().splitlines()) == 1

    def test_a_precision_that_does_not_exist(self):
        done = start("--precision", "nonsense", "--exit-after-first-frame")
        assert (done.returncode, done.stdout) == (2, "")
        assert "--precision nonsense" in done.stderr
        assert "fp32" in done.stderr, "it says which there are"
        assert len(done.stderr.strip().splitlines()) == 1


class TestOptions:
    """What `viewer.app.run` would get."""

    @pytest.fixture
    def parsed(self, monkeypatch):
        seen = []
        monkeypatch.setattr(run_module, "run", lambda options: seen.append(options) or 7)
        monkeypatch.setenv("GOMP_SPINCOUNT", "1")  # so that it is put back

        def parse(*arguments: str):
            assert viewer_main.main(arguments) == 7, "the exit code is passed on"
            return seen[-1]

        return parse

    @pytest.fixture
    def _display(self, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")  # so that it is put back
        monkeypatch.setattr(viewer_main.system_check, "has_display", lambda *_: True)

    @pytest.mark.usefixtures("_display")
    def test_without_any_the_demo_is_opened(self, parsed, capsys):
        options = parsed()
        assert (options.checkpoint, options.precision, options.scene) == ("demo", None, None)
        assert (options.engine, options.device, options.rays) == ("auto", "auto", "auto")
        assert (options.tour, options.exit_after_first_frame) == (None, False)
        assert capsys.readouterr().out == ""

    @pytest.mark.usefixtures("_display")
    def test_all_of_them(self, parsed):
        options = parsed(
            *("x.safetensors", "--scene", "demo", "--precision", "bf16", "--engine", "torch"),
            *("--device", "cpu", "--rays", "plain", "--tour", "drag", "--exit-after-first-frame"),
            *("--report", "r.json", "--screens", "out", "--dataset", "toys"),
            *("--assume", "n_sample=8", "--assume", "act=lrelu", "--compare", "fp32,truth"),
        )
        assert vars(options) == {
            "checkpoint": "x.safetensors",
            "scene": "demo",
            "assume": ["n_sample=8", "act=lrelu"],
            "dataset": "toys",
            "precision": "bf16",
            "compare": "fp32,truth",
            "engine": "torch",
            "device": "cpu",
            "rays": "plain",
            "tour": "drag",
            "exit_after_first_frame": True,
            "report": Path("r.json"),
            "screens": Path("out"),
        }

    @pytest.mark.usefixtures("_display")
    @pytest.mark.parametrize("asked", ["", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
    def test_idle_threads_wait_briefly_unless_told_otherwise(self, parsed, monkeypatch, asked):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        monkeypatch.delenv("GOMP_SPINCOUNT")
        if asked:
            monkeypatch.setenv(asked, "7")
        parsed()
        found = {name: os.environ.get(name) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
        expected = {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": None}
        assert found == {**expected, **({asked: "7"} if asked else {"GOMP_SPINCOUNT": "50000"})}

    def test_without_a_display_it_tours_and_says_so(self, parsed, capsys, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
        options = parsed()
        assert (options.tour, options.screens) == ("all", Path("out"))
        said = capsys.readouterr().out
        assert "No visible display" in said
        assert "out/" in said

    @pytest.mark.parametrize(
        "arguments", [["--tour", "drag"], ["--exit-after-first-frame"]], ids=["tour", "first frame"]
    )
    def test_a_script_does_without_a_display(self, parsed, capsys, monkeypatch, arguments):
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
        options = parsed(*arguments)
        assert options.screens is None
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        "arguments", [["--tour", "nonsense"], ["--device", "nonsense"], ["--nonsense"]]
    )
    def test_words_it_does_not_know(self, arguments, capsys):
        with pytest.raises(SystemExit, match="2"):
            viewer_main.main(arguments)
        assert "nonsense" in capsys.readouterr().err


class TestMachine:
    """Qt ends the process where it finds no library; the check comes first."""

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")

    def test_a_missing_library_is_named_before_qt_is_asked(self, monkeypatch, capsys):
        library = viewer_main.system_check.MissingLibrary("libEGL.so.1", "libegl1")
        monkeypatch.setattr(viewer_main.system_check, "missing_libraries", lambda _: [library])
        monkeypatch.setattr(run_module, "run", lambda _: pytest.fail("Qt was started"))
        assert viewer_main.main(["--tour", "drag"]) == 2
        assert "libEGL.so.1" in capsys.readouterr().err

    def test_missing_fonts_are_only_remarked_upon(self, monkeypatch, capsys):
        monkeypatch.setattr(viewer_main.system_check, "missing_libraries", lambda _: [])
        monkeypatch.setattr(viewer_main.system_check, "has_font", lambda: False)
        monkeypatch.setattr(run_module, "run", lambda _: 0)
        assert viewer_main.main(["--tour", "drag"]) == 0
        assert "font" in capsys.readouterr().err
