"""What the tests of r2l_core share."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.engines import processor
from tests.small_light_fields import light_field, make_light_field, scene, scene_rays

__all__ = ["light_field", "make_light_field", "scene", "scene_rays"]


@pytest.fixture(scope="module", autouse=True)
def _one_torch_thread():
    """Two threads on a busy machine mostly wait for each other: five times slower here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def light_field_file(light_field, tmp_path):
    """`light_field` on disk."""
    path = tmp_path / "random.safetensors"
    save_light_field(light_field, path)
    return path


@pytest.fixture
def pretend(monkeypatch):
    """A function that makes our code believe in an older processor: a level of `LEVELS`."""

    def older(level: str) -> processor.Processor:
        monkeypatch.setenv(processor.VARIABLE, level)
        processor.this_processor.cache_clear()
        return processor.this_processor()

    yield older
    monkeypatch.undo()
    processor.this_processor.cache_clear()


@pytest.fixture
def fake_clock(monkeypatch):
    """A function that gives modules a clock which only advances when it is told to.

    `fake_clock(*modules, seconds_per_look=)` replaces their `time`; returns the clock, whose `now`
    may be set. The process works all the time, but for what `now` is set on by.
    """

    def install(*modules, seconds_per_look: float = 0.0):
        clock, worked_s = SimpleNamespace(now=1000.0), itertools.count(0.0, seconds_per_look)

        def perf_counter() -> float:
            clock.now += seconds_per_look
            return clock.now

        time = SimpleNamespace(perf_counter=perf_counter, process_time=lambda: next(worked_s))
        for module in modules:
            monkeypatch.setattr(module, "time", time)
        return clock

    return install


@pytest.fixture(scope="session")
def decode():
    """A function that gives all frames of a video file, uint8 (n, H, W, 3), also of one that was
    cut off. ffmpeg itself: imageio's reader leaves pipes open, and warnings are errors here."""
    import imageio_ffmpeg

    def frames(path: Path) -> np.ndarray:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)]
        command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        done = subprocess.run(command, capture_output=True, check=False)
        size = re.search(rb"Video: .* (\d+)x(\d+)[ ,]", done.stderr)
        assert size, done.stderr.decode()
        width, height = int(size[1]), int(size[2])
        return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)

    return frames
