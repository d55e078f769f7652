"""The light field of photographs that comes along."""

from __future__ import annotations

import pytest

from r2l_core.checkpoints.opening import checkpoint_file, embedded_names, load_light_field


def test_the_chair_comes_along_as_it_was_learned():
    assert {"chair", "demo"} <= set(embedded_names())
    chair = load_light_field("chair")
    assert chair.network.short_name == "W256 D88"
    assert chair.stored_dtype == "float16"
    assert chair.provenance["photographs"] == "chair"
    assert chair.scene.origin_radius == pytest.approx(4.031, abs=1e-3)
    assert checkpoint_file("chair").stat().st_size < 12e6
