"""Small random light fields and rays. Fixtures that are functions are for the session, so that
hypothesis may call them for every example."""

from __future__ import annotations

import math

import pytest
import torch

from r2l_core.geometry.orbit import Orbit
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
