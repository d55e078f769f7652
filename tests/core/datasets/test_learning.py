"""Photographs of every kind of dataset become a light field: from their cameras to `eval`."""

from __future__ import annotations

import json
import math

import pytest

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.commands.cli import main
from r2l_core.training import distillation
from r2l_core.training.radiance import trainer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["blender", "donerf", "transforms", "llff"])
def test_every_format_becomes_a_light_field(
    write_dataset, around, in_front, tmp_path, fake_clock, kind
):
    # So that a run is some dozen steps: what it learns of pictures of noise does not matter here.
    for module in (trainer, distillation):
        fake_clock(module, seconds_per_look=3.0)
    folder = write_dataset(kind, in_front if kind == "llff" else around)
    out, report = tmp_path / "out.safetensors", tmp_path / "report.json"
    arguments = ["learn", "--dataset", str(folder), "--out", str(out), "--minutes", "1"]
    arguments += ["--width", "16", "--depth", "6", "--frequencies", "2", "--device", "cpu"]
    assert main([*arguments, "--state", str(tmp_path / "state"), "--json", str(report)]) == 0
    light_field = load_light_field(str(out))
    assert light_field.network.short_name == "W16 D6"
    assert (light_field.scene.origin_radius is None) == (kind in ("donerf", "llff"))
    assert math.isfinite(json.loads(report.read_text())["precisions"]["fp32"]["psnr_db_mean"])
