"""Small random light fields and rays. Fixtures that are functions are for the session, so that
hypothesis may call them for every example."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.engines import processor
from r2l_core.geometry.camera import Orbit
from r2l_core.geometry.rays import image_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig

# Off-centre and not white, so that a forgotten centre or background shows.
SCENE = SceneSpec(
    name="off-centre",
    near=2.6,
    far=5.4,
    background_rgb=(0.25, 0.5, 1.0),
    center=(0.1, -0.2, 0.3),
    bound_radius=1.4,
    origin_radius=4.0,
    min_elevation_deg=0.0,
    width_px=40,
    height_px=30,
)


def random_tensors(config: NetworkConfig, seed: int) -> dict[str, torch.Tensor]:
    """Weights of a network whose colours differ from ray to ray."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in config.tensor_shapes().items():
        if name.endswith("bias"):
            scale = 0.2
        else:
            # About what keeps the variance through a ReLU; blocks add up, so theirs are smaller.
            scale = (0.7 if name.startswith("body") else 2.0) / math.sqrt(shape[1])
        tensors[name] = torch.randn(shape, generator=generator) * scale
    return tensors


@pytest.fixture(scope="module", autouse=True)
def _one_torch_thread():
    """Two threads on a busy machine mostly wait for each other: five times slower here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def scene():
    """A scene with an origin sphere, away from the origin, with a blue background."""
    return SCENE


@pytest.fixture(scope="session")
def make_light_field():
    """A function that makes a random light field: (scene=, seed=, provenance=, **NetworkConfig)."""

    def make(scene: SceneSpec = SCENE, seed: int = 0, provenance=None, **network) -> LightField:
        small = {"depth": 6, "width": 16, "n_sample": 8, "n_frequencies": 4}
        config = NetworkConfig(**{**small, **network})
        return LightField(
            name="random",
            network=config,
            scene=scene,
            tensors=random_tensors(config, seed),
            provenance=provenance or {},
        )

    return make


@pytest.fixture(scope="session")
def light_field(make_light_field):
    """W16 D6 over the off-centre scene. Read-only."""
    return make_light_field()


@pytest.fixture
def light_field_file(light_field, tmp_path):
    """`light_field` on disk."""
    path = tmp_path / "random.safetensors"
    save_light_field(light_field, path)
    return path


@pytest.fixture(scope="session")
def scene_rays():
    """A function that gives `n` rays of cameras on the scene's origin sphere: origins and
    directions, float32 (n, 3)."""

    def rays(n: int, scene: SceneSpec = SCENE, seed: int = 0):
        per_camera = 256
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for _ in range(-(-n // per_camera)):
            azimuth, elevation = torch.rand(2, generator=generator).tolist()
            orbit = Orbit(360 * azimuth, 80 * elevation, scene.origin_radius, scene.center)
            parts.append(image_rays(orbit.camera(16, 16, scene.focal_px(16))))
        origins, directions = (torch.cat(rays)[:n] for rays in zip(*parts, strict=True))
        return origins.contiguous(), directions

    return rays


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
    may be set.
    """

    def install(*modules, seconds_per_look: float = 0.0):
        clock = SimpleNamespace(now=1000.0)

        def perf_counter() -> float:
            clock.now += seconds_per_look
            return clock.now

        for module in modules:
            monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=perf_counter))
        return clock

    return install


@pytest.fixture(scope="session")
def decode():
    """A function that gives all frames of a video file, uint8 (n, H, W, 3), also of one that was
    cut off. ffmpeg itself: imageio's reader leaves pipes open, and warnings are errors here."""

    def frames(path: Path) -> np.ndarray:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)]
        command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        done = subprocess.run(command, capture_output=True, check=False)
        size = re.search(rb"Video: .* (\d+)x(\d+)[ ,]", done.stderr)
        assert size, done.stderr.decode()
        width, height = int(size[1]), int(size[2])
        return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)

    return frames
