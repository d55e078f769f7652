"""A session that an older version of the program wrote still opens, and says what it said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS
from r2l_core.images.difference import DifferenceKind
from r2l_core.types import Precision
from viewer.state.display_options import DifferenceOptions
from viewer.state.panes import CompareMode
from viewer.state.session import load_session
from viewer.state.viewpoint import Viewpoint

OLDER = Path(__file__).parent.parent / "fixtures" / "from_59f9896"
"""Named after the commit that wrote it."""


def test_a_session():
    session = load_session(OLDER / "session.json")
    state = session.state
    light_field = state.light_field
    assert light_field.checkpoint == "demo"
    assert light_field.scene == replace(PRESETS["demo"], near=2.5)
    assert (light_field.engine, light_field.device) == ("torch", "cpu")
    assert (light_field.rays, light_field.assumed) == ("canonical", ("n_sample=16",))
    assert state.viewpoint == Viewpoint(Orbit(10.0, 20.0, 4.5, (0.1, -0.2, 0.3)), 35.0)
    assert state.render_size_px == (320, 240)
    assert set(session.bookmarks) == {1, 9}
    assert [(pane.source, pane.engine, pane.checkpoint) for pane in state.panes] == [
        (Precision.FP32, "auto", None),
        (Precision.INT8_SIM, "simulated", None),
        ("truth", "auto", None),
        (Precision.BF16, "auto", "/somewhere/other.safetensors"),
    ]
    assert state.panes[1].layers_in_fp32 == {"body.0.body.0", "body.3.body.1"}
    assert (state.active, state.mode) == (2, CompareMode.WIPE)
    assert state.difference == DifferenceOptions(
        DifferenceKind.FLIP, 32.0, True, "Grey", "Blue – grey – yellow"
    )
    assert session.sha256["demo"] == "ab" * 32
    assert state.path is not None
    assert state.path.even_speed
