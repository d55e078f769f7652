"""What a scripted run measures, with clocks that stand still until the test moves them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from r2l_core.errors import RecordingError
from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import Frame, FrameTimings
from r2l_core.types import EngineInfo, Precision
from tests.viewer.manual_clock import ManualClock
from viewer.rendering import report as report_module
from viewer.rendering.report import Report
from viewer.rendering.running import Exact, Measured

KEYS = [
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
INFO = EngineInfo("torch", Precision.FP32, "cpu", "float32", "float32", "torch", 1)


def frame(seq: int, stride: int = 1, network_rays: int = 16, created_s: float = 0.0) -> Frame:
    camera = Camera(np.eye(4), 4, 4, 5.0)
    image = np.zeros((4, 4, 3), np.uint8)
    return Frame(seq, 1, camera, image, stride, network_rays, FrameTimings(), 1.0, INFO, created_s)


@pytest.fixture
def clock(monkeypatch):
    """`now` is the time of day and the stopwatch, `busy` the processor time."""
    clock = ManualClock(100.0)
    clock.busy = 0.0
    monkeypatch.setattr(
        report_module,
        "time",
        SimpleNamespace(time=lambda: clock.now, process_time=lambda: clock.busy),
    )
    process = SimpleNamespace(create_time=lambda: 98.5)
    monkeypatch.setattr(report_module.psutil, "Process", lambda _pid: process)
    return clock


@pytest.fixture
def report(qapp, clock) -> Report:
    return Report(clock)


@pytest.fixture
def written(report, tmp_path):
    """Writes the report and reads it back."""

    def write() -> dict:
        path = tmp_path / "reports" / "r.json"
        report.write(path)
        return json.loads(path.read_text(encoding="utf-8"))

    return write


def test_what_was_not_measured_is_null(written):
    values = written()
    assert list(values) == KEYS
    assert {key for key, value in values.items() if value is not None} == {
        "processor",
        "stale_frames",
        "errors",
    }
    assert (values["stale_frames"], values["errors"]) == (0, 0)


def test_the_first_picture_is_the_first_complete_one_on_the_screen(qtbot, report, clock, written):
    report.frames_shown((frame(1, stride=4),))
    report.painted(1)
    assert not report.has_picture
    report.frames_shown((frame(1),))
    assert not report.has_picture, "it is not on the screen yet"
    with qtbot.waitSignal(report.first_picture):
        report.painted(1)
    with qtbot.assertNotEmitted(report.first_picture):
        clock.now += 10
        report.painted(1)
    assert report.has_picture
    assert written()["first_frame_s"] == pytest.approx(1.5)


def test_the_first_preview_is_the_first_picture_of_a_network(report, clock, written):
    report.frames_shown((replace(frame(1), why_blank="there is none"),))
    report.painted(1)
    assert not report.has_picture
    clock.now += 1.0
    report.frames_shown((frame(2, stride=32),))
    report.painted(2)
    clock.now += 1.0
    report.frames_shown((frame(2),))
    report.painted(2)
    values = written()
    assert values["first_preview_s"] == pytest.approx(2.5)
    assert values["first_frame_s"] == pytest.approx(3.5)


def dragged(report: Report, clock, shown: list[Frame]) -> None:
    report.begin_drag()
    clock.now += 10.0
    for one in shown:
        report.frames_shown((one,))
    report.end_drag()


def judged(report: Report, image: np.ndarray) -> list[Camera]:
    """Have every picture compared with `image`; the cameras that were asked for."""
    cameras = []
    while (camera := report.next_camera()) is not None:
        cameras.append(camera)
        report.exact(Exact(camera, image))
        assert report.n_judged == len(cameras)
    return cameras


@pytest.mark.parametrize("n", [0, 1, 19, 20, 21, 39, 40, 41, 79, 80, 300])
def test_twenty_pictures_spread_over_the_drag_are_compared(report, clock, n):
    shown = [frame(seq, created_s=200.0) for seq in range(n)]
    dragged(report, clock, shown)
    cameras = judged(report, shown[0].image if shown else np.zeros(0))
    assert len(cameras) == min(n, 20)
    order = {id(one.camera): k for k, one in enumerate(shown)}
    places = [order[id(camera)] for camera in cameras]
    if n >= 20:
        assert places[0] == 0
        assert places[-1] >= 0.85 * (n - 1)
        assert max(np.diff(places)) <= 2 * n / 20
    assert places == sorted(set(places))


def test_what_was_shown_is_compared_with_what_it_stands_for(report, clock, written):
    exact = np.full((4, 4, 3), 100, np.uint8)
    grey = [replace(frame(k, created_s=200.0), image=exact + np.uint8(k)) for k in (1, 2, 4)]
    report.frames_shown((frame(0, created_s=99.0),))
    dragged(report, clock, grey)
    assert not report.has_judged(1)
    assert judged(report, exact) == [one.camera for one in grey]
    assert report.has_judged(3)
    expected = [20 * math.log10(255 / k) for k in (1, 2, 4)]
    assert written()["psnr_db_shown_mean"] == pytest.approx(sum(expected) / 3)


def test_nothing_but_exact_pictures_has_no_decibels(report, clock, written):
    dragged(report, clock, [frame(1, created_s=200.0)])
    judged(report, frame(1).image)
    assert written()["psnr_db_shown_mean"] is None


def test_how_many_rays_a_picture_had(report, clock, written):
    """Of those that asked for any."""
    rays = (500, 0, 700, 900, 100_000)
    dragged(report, clock, [frame(k, network_rays=n, created_s=200.0) for k, n in enumerate(rays)])
    assert written()["rays_per_image_median"] == 800


def test_errors_that_a_script_wanted_do_not_count(report, written):
    report.error()
    report.error()
    report.forgive()
    assert written()["errors"] == 1


def test_a_shown_frame_older_than_one_before_is_stale(report, written):
    for seq in (1, 2, 2, 1, 3, 2):
        report.frames_shown((frame(seq),))
    assert written()["stale_frames"] == 2


def test_the_engines_own_speed(report, written):
    assert not report.is_measured
    report.measured(Measured(rays=160_000, seconds=2.0))
    assert report.is_measured
    assert written()["krays_per_s_bench"] == 80.0


def test_a_drag(report, clock, written):
    report.frames_shown((frame(1, created_s=99.9),))
    report.begin_drag()
    for seq in range(2, 22):
        created_s = clock.now
        clock.now += 0.010 + 0.001 * seq
        report.frames_shown((frame(seq, stride=4, network_rays=500, created_s=created_s),))
        report.painted(seq)
        # The refinement counts as a picture, but answers no gesture.
        report.frames_shown((frame(seq, stride=2, network_rays=1500, created_s=created_s),))
        clock.now += 0.5
        report.painted(seq)
    report.frames_shown((frame(22, network_rays=0, created_s=clock.now),))
    seconds = clock.now - 100.0
    report.end_drag()
    report.frames_shown((frame(23, network_rays=99_999, created_s=clock.now),))
    values = written()
    assert values["images_per_s"] == pytest.approx(40 / seconds)
    assert values["krays_per_s_used"] == pytest.approx(20 * 2.0 / seconds)
    assert values["latency_ms_p50"] == pytest.approx(21.0)
    assert values["latency_ms_p95"] == pytest.approx(30.0)


def test_answers_to_what_came_before_the_drag_do_not_count(report, clock, written):
    report.begin_drag()
    report.frames_shown((frame(1, created_s=99.0),))
    clock.now += 1.0
    report.end_drag()
    values = written()
    assert (values["images_per_s"], values["krays_per_s_used"]) == (0.0, 0.0)
    assert values["latency_ms_p50"] is None


def test_how_long_the_window_did_not_answer(report, clock, written):
    report.begin_watching()
    for late_s in [0.005] * 99 + [0.125]:
        clock.now += late_s
        clock.fire()
    report.end_watching()
    running = [timer for timer in clock.timers if timer.isActive()]
    assert not running, "a heartbeat keeps an idle processor busy"
    values = written()
    assert values["gui_blocked_ms_max"] == pytest.approx(120.0)
    assert values["gui_blocked_ms_p99"] == pytest.approx(0.0, abs=1e-6)


def test_how_busy_doing_nothing_is(report, clock, written):
    report.begin_idle()
    clock.now += 2.0
    clock.busy += 0.05
    report.end_idle()
    report.refined(0.75)
    values = written()
    assert values["idle_cpu_percent"] == pytest.approx(2.5)
    assert values["full_frame_s"] == 0.75


def test_one_that_cannot_be_written(report, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="file"):
        report.write(tmp_path / "file" / "r.json")
