"""Files that an older version of the program wrote still open, and say what they said."""

from __future__ import annotations

from pathlib import Path

from r2l_core.camera_paths.files import load_camera_path
from r2l_core.geometry.scene import PRESETS
from r2l_core.recording.loading import load_sidecar
from r2l_core.types import Precision

OLDER = Path(__file__).parent.parent / "fixtures" / "from_59f9896"
"""Named after the commit that wrote them."""


def test_a_camera_path():
    path = load_camera_path(OLDER / "path.json")
    assert (path.loop, path.even_speed, path.tension) == (True, True, 0.25)
    assert len(path.keyframes) > 4
    key = path.keyframes[1]
    assert (key.precision_a, key.precision_b, key.wipe, key.gain) == ("fp32", "int8", 0.25, 12.0)
    assert sum(one.transition_s for one in path.keyframes) > 3.9


def test_a_recordings_sidecar():
    loaded = load_sidecar(OLDER / "film.json")
    plan = loaded.recipe.plan
    assert (loaded.state, loaded.frames_done, plan.n_frames) == ("finished", 4, 4)
    assert (plan.mode, plan.gain, plan.labels) == ("difference", 8.0, "off")
    assert (plan.width_px, plan.height_px, plan.fps) == (32, 32, 8.0)
    assert loaded.recipe.scene == PRESETS["demo"]
    assert [list(pane) for pane in plan.used_precisions()] == [[Precision.FP32], [Precision.BF16]]
