"""What was measured, as readings and as a table."""

from __future__ import annotations

import csv
import gc
import weakref

import numpy as np
import pytest

from r2l_core.errors import RecordingError
from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import Frame, FrameTimings
from r2l_core.types import EngineInfo, Precision
from tests.viewer.manual_clock import ManualClock
from viewer.rendering import performance as performance_module
from viewer.rendering.performance import HISTORY, Performance, PerformanceMonitor, write_table
from viewer.widgets.panels.performance_readout import ImageCost

START_S = 500.0
INFO = EngineInfo("torch", Precision.BF16, "cpu", "bf16", "bf16", "oneDNN", 1)
CAMERA = Camera(np.eye(4), 200, 100, 240.0)


def frame(seq: int, created_s: float = START_S, stride: int = 1, rays: int = 1000) -> Frame:
    timings = FrameTimings(1.0, 2.0, 6.0, 1.0)
    image = np.zeros((100, 200, 3), np.uint8)
    return Frame(seq, 1, CAMERA, image, stride, rays, timings, 12.0, INFO, created_s)


@pytest.fixture
def performance() -> Performance:
    return Performance(START_S)


def answer(performance: Performance, seq: int, at_s: float, latency_ms: float) -> None:
    """A gesture whose picture was painted at `at_s`, in 2 ms."""
    performance.add(frame(seq, at_s - latency_ms / 1e3), at_s)
    performance.painted(seq, 2.0, at_s)


def test_latency_of_the_last_two_seconds(performance):
    for seq in range(1, 101):
        answer(performance, seq, START_S + 0.01 * seq, float(seq))
    readout = performance.readout(START_S + 1.0)
    assert readout.latency_p50_ms == pytest.approx(50.0)
    assert readout.latency_p95_ms == pytest.approx(95.0)
    answer(performance, 101, START_S + 2.905, 7.0)
    readout = performance.readout(START_S + 2.905)
    assert readout.latency_p50_ms == pytest.approx(95.0), "those of 91 to 100, and 7"
    assert readout.latency_p95_ms == pytest.approx(100.0)


def test_the_last_latency_stays_while_the_camera_rests(performance):
    answer(performance, 1, START_S + 1, 40.0)
    answer(performance, 2, START_S + 2, 60.0)
    readout = performance.readout(START_S + 60)
    assert readout.latency_p50_ms == readout.latency_p95_ms == pytest.approx(60.0)


def test_a_refinement_of_a_picture_that_was_only_shown_again_answers_no_gesture(performance):
    performance.add(frame(1, START_S, rays=0), START_S + 0.01)
    performance.painted(1, 2.0, START_S + 0.02)
    performance.add(frame(1, START_S), START_S + 0.9)
    performance.painted(1, 2.0, START_S + 0.9)
    assert performance.readout(START_S + 0.9).latency_p50_ms == 0.0


def test_a_picture_that_cost_nothing_is_told_of_too(qapp):
    clock, read = ManualClock(START_S), []
    monitor = PerformanceMonitor(clock=clock)
    monitor.readout_ready.connect(read.append)
    monitor.frames_shown((frame(1, stride=4),))
    clock.now += 5
    clock.fire()
    assert [one.stride for one in read] == [4]
    monitor.frames_shown((frame(2, stride=16, rays=0),))
    clock.fire()
    clock.fire()
    assert [one.stride for one in read] == [4, 16], "and nothing runs on while nothing changes"


def test_a_truth_before_a_network_hides_nothing(qapp):
    clock, read = ManualClock(START_S), []
    monitor = PerformanceMonitor(clock=clock)
    monitor.readout_ready.connect(read.append)
    monitor.frames_shown((frame(1, rays=0), frame(1, rays=500)))
    clock.fire()
    assert read[-1].frame_ms == 12.0
    assert [one.network_rays for one in monitor.samples()] == [500]


def test_parts_are_of_the_last_second_and_only_of_what_was_painted(performance):
    answer(performance, 1, START_S, 10.0)
    performance.add(frame(2, stride=8), START_S + 2.0)
    performance.add(frame(3, stride=4), START_S + 2.1)
    performance.painted(3, 5.0, START_S + 2.1)
    readout = performance.readout(START_S + 2.2)
    assert readout.mean == ImageCost(1.0, 2.0, 6.0, 1.0, 5.0)
    assert [(one.stride, one.paint_ms) for one in readout.history] == [(1, 2.0), (8, 0.0), (4, 5.0)]


def test_the_history_is_as_long_as_the_plot(performance):
    for seq in range(HISTORY + 30):
        performance.add(frame(seq, stride=8 if seq < 100 else 1), START_S + seq)
    history = performance.readout(START_S + HISTORY).history
    assert [one.stride for one in history] == [8] * 70 + [1] * 50


def test_pictures_are_let_go(performance):
    one = frame(1)
    image = weakref.ref(one)
    performance.add(one, START_S)
    del one
    gc.collect()
    assert image() is None


def test_the_log_is_bounded(monkeypatch):
    monkeypatch.setattr(performance_module, "LOG_LIMIT", 10)
    performance = Performance(START_S)
    for seq in range(25):
        performance.add(frame(seq), START_S + seq)
    assert [sample.seq for sample in performance.samples()] == list(range(15, 25))


def test_the_table_has_a_line_for_every_measured_frame(performance, tmp_path):
    performance.add(frame(1, START_S + 0.25, stride=8), START_S + 0.26)
    performance.painted(1, 2.5, START_S + 0.27)
    performance.add(frame(2, START_S + 0.5, stride=4), START_S + 0.51)
    performance.add(frame(2, START_S + 0.5, stride=2, rays=0), START_S + 0.51)
    performance.add(frame(3, START_S + 0.6, stride=4), START_S + 0.61)
    performance.painted(3, 2.5, START_S + 0.62)
    performance.add(frame(3, START_S + 0.6), START_S + 0.9)
    performance.painted(3, 3.5, START_S + 0.91)
    path = tmp_path / "table.csv"
    write_table(performance.samples(), path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "time_s": "0.260000",
        "seq": "1",
        "stride": "8",
        "network_rays": "1000",
        "rays_ms": "1.000",
        "encode_ms": "2.000",
        "network_ms": "6.000",
        "copy_ms": "1.000",
        "paint_ms": "2.500",
        "latency_ms": "20.000",
        "precision": "bf16",
        "engine": "torch",
    }
    assert [(row["seq"], row["stride"], row["paint_ms"], row["latency_ms"]) for row in rows] == [
        ("1", "8", "2.500", "20.000"),
        ("2", "4", "", ""),
        ("3", "4", "2.500", "20.000"),
        ("3", "1", "3.500", ""),
    ]


def test_a_table_that_cannot_be_written_is_explained(tmp_path):
    with pytest.raises(RecordingError, match=r"missing.a\.csv could not be written"):
        write_table([], tmp_path / "missing" / "a.csv")
