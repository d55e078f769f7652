"""Pictures that a light field itself has rendered through a shifted lens, or with pixels that are
not square, compare with it as equal, in either family of files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from r2l_core.commands.cli import main
from r2l_core.datasets import open_dataset
from r2l_core.engines.building import build_engine
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision

WIDTH, HEIGHT, FOCAL = 48, 36, 60.0
LENSES = {
    "shifted": {"fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2 + 12, "cy": HEIGHT / 2 - 6},
    "not square": {"fl_x": FOCAL, "fl_y": 1.4 * FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2},
}


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_equal_to_what_was_rendered(light_field, light_field_file, tmp_path, lens):
    engine = build_engine(light_field, Precision.FP32, "reference", "cpu")
    source = NetworkSource(engine, light_field.scene, light_field.ray_mode())
    frames = []
    for index in range(3):
        pose = Orbit(100.0 * index, 25.0, 4.0, light_field.scene.center).T_world_camera()
        # Theirs is the corner of a pixel, ours its point.
        center = (lens["cx"] - 0.5, lens["cy"] - 0.5)
        camera = Camera(pose, WIDTH, HEIGHT, lens["fl_x"], lens["fl_y"], center)
        colors = render_image(source, camera)
        assert colors is not None
        for family in ("blender", "transforms"):
            file = tmp_path / family / f"test/{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.rint(np.clip(colors.numpy(), 0, 1) * 255).astype(np.uint8)
            Image.fromarray(pixels).save(file)
        frames.append({"file_path": f"test/{index}.png", "transform_matrix": pose.tolist()})
    angle = 2 * float(np.arctan(WIDTH / 2 / FOCAL))
    values = {"camera_angle_x": angle, **lens, "w": WIDTH, "h": HEIGHT, "frames": frames}
    (tmp_path / "blender" / "transforms_test.json").write_text(json.dumps(values))
    names = [frame["file_path"] for frame in frames]
    (tmp_path / "transforms" / "transforms.json").write_text(
        json.dumps({**values, "test_filenames": names})
    )
    for family in ("blender", "transforms"):
        report = tmp_path / f"{family}.json"
        evaluate = ["eval", "--checkpoint", str(light_field_file), "--precision", "fp32"]
        evaluate += ["--engine", "reference", "--dataset", str(tmp_path / family)]
        assert main([*evaluate, "--json", str(report)]) == 0
        measured = json.loads(report.read_text())["precisions"]["fp32"]
        assert measured["psnr_db_mean"] > 55, family  # rounding to eight bits alone is 59 dB
        assert open_dataset(tmp_path / family).notes == () or family == "transforms"
