"""Session files: what they keep, what they refuse, and going on with one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PyQt6.QtWidgets import QMenu

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.errors import SessionError
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS
from r2l_core.images.difference import DifferenceKind
from r2l_core.types import Precision
from tests.viewer.states import shown
from viewer.state.display_options import Channel, DifferenceOptions, DisplayOptions
from viewer.state.panes import TRUTH, CompareMode, PaneChoice
from viewer.state.region import Region
from viewer.state.session import Session, load_session, parse_session, save_session, session_text
from viewer.state.view_state import LightFieldChoice, ViewState
from viewer.state.viewpoint import Viewpoint

VIEW = Viewpoint(Orbit(12.0, -3.5, 2.5, (0.1, 0.2, 0.3)), 50.0)
PANES = (
    PaneChoice(Precision.BF16, "lab"),
    PaneChoice(TRUTH),
    PaneChoice(Precision.FP32, checkpoint="/a/lego.tar"),
    PaneChoice(Precision.INT8, layers_in_fp32=frozenset({"body.0.body.0"})),
)
STATE = ViewState(
    LightFieldChoice("demo", "blender:lego", rays="plain", assumed=("n_sample=8",)),
    panes=PANES,
    active=1,
    pair=(3, 0),
    reference=2,
    region=Region(10, 20, 120, 80),
    mode=CompareMode.WIPE,
    viewpoint=VIEW,
    render_size_px=(320, 200),
    difference=DifferenceOptions(DifferenceKind.SIGNED, 32.0, True, "Magma"),
    display=DisplayOptions(1.5, -0.25, Channel.GREEN),
    target_fps=12.0,
    max_stride=4,
    match_window=True,
    fill_flat=True,
    path=CameraPath((Keyframe(VIEW.orbit.T_world_camera(), 40.0),), loop=True),
)
SESSION = Session(STATE, {3: VIEW}, {"demo": "12ab", "/a/lego.tar": "34cd"})


def test_everything_comes_back(tmp_path):
    save_session(SESSION, tmp_path / "s.json")
    found = load_session(tmp_path / "s.json")
    assert replace(found.state, path=None) == replace(STATE, path=None)
    assert (found.bookmarks, found.sha256) == (SESSION.bookmarks, SESSION.sha256)
    path = found.state.path
    assert path is not None
    assert path.loop
    assert np.array_equal(path.keyframes[0].T_world_camera, VIEW.orbit.T_world_camera())
    assert parse_session(session_text(SESSION)).state.panes == PANES


class TestVersion1:
    """What the version before wrote."""

    VALUES: ClassVar[dict] = {
        "format": "r2l-session",
        "version": 1,
        "checkpoint": "demo",
        "sha256": "9f86d0",
        "scene": None,
        "assumed": [],
        "dataset": None,
        "precision": "int8",
        "engine": "auto",
        "device": "auto",
        "rays": "auto",
        "layers_in_fp32": ["body.0.body.0"],
        "render_size_px": [400, 400],
        "camera": {
            "azimuth_deg": 35.0,
            "elevation_deg": 30.0,
            "radius": 4.0,
            "pivot": [0.0, 0.0, 0.0],
            "fov_x_deg": 39.6,
        },
        "bookmarks": {},
        "panes": [
            {"source": "int8", "engine": "auto", "checkpoint": None, "sha256": None},
            {"source": "truth", "engine": "auto", "checkpoint": None, "sha256": None},
        ],
        "active_pane": 0,
        "mode": "Single",
        "difference": {"kind": "absolute", "gain": 16.0, "locked": False, "scale": "Inferno"},
        "camera_path": None,
    }

    def state(self, **changed) -> ViewState:
        return parse_session(json.dumps({**self.VALUES, **changed})).state

    def test_its_mix_is_that_of_every_pane_that_can_have_one(self):
        mix = frozenset({"body.0.body.0"})
        panes = [pane.layers_in_fp32 for pane in self.state(mode="Wipe").panes]
        assert panes == [mix, frozenset()]

    @pytest.mark.parametrize("active", [0, 1])
    def test_alone_it_shows_the_precision_that_ran(self, active):
        state = self.state(active_pane=active)
        assert not state.comparing
        assert state.shown_panes == (
            PaneChoice(Precision.INT8, layers_in_fp32=frozenset({"body.0.body.0"})),
        )

    def test_it_may_have_no_panes(self):
        assert self.state(panes=[], precision="bf16").panes == (PaneChoice(Precision.BF16),)
        assert self.state(panes=[], precision=None).panes == ()


def test_a_scene_of_ones_own_comes_back():
    scene = replace(PRESETS["llff:fern"], far=3.25)
    light_field = replace(STATE.light_field, scene=scene)
    session = replace(SESSION, state=replace(STATE, light_field=light_field))
    assert parse_session(session_text(session)).state.light_field == light_field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"checkpoint": 3}, "checkpoint"),
        ({"scene": 3}, "scene"),
        ({"scene": {"name": "x", "near": 7}}, "scene cannot be used: near 7"),
        ({"assumed": [1]}, "assumed"),
        ({"version": 1, "active_pane": 0, "mode": "Single", "precision": "fp12"}, "precision"),
        ({"compared_panes": [0, 0]}, "compared_panes"),
        ({"compared_panes": [0, 7]}, "compared_panes"),
        ({"max_stride": 64}, "max_stride"),
        ({"target_fps": 0}, "target_fps"),
        ({"rays": "curved"}, "rays"),
        ({"camera": None}, "camera"),
        ({"camera": {"azimuth_deg": 1}}, "camera.pivot"),
        ({"render_size_px": [0, 10]}, "render_size_px"),
        ({"render_size_px": [10**9, 10]}, "render_size_px"),
        ({"render_size_px": [16384, 16384]}, "render_size_px"),
        ({"render_size_px": [4096, 2050]}, "render_size_px"),
        ({"render_size_px": [1, 4_000_000]}, "render_size_px"),
        ({"bookmarks": {"12": {}}}, "bookmarks.12"),
        ({"bookmarks": {"1": {"pivot": [0, 0, "x"]}}}, "bookmarks.1.pivot"),
        ({"panes": [{"source": "int9"}]}, r"panes\[0\].source"),
        ({"panes": [{}] * 5}, "panes"),
        ({"panes": [{"source": "fp32", "checkpoint": 1}]}, r"panes\[0\].checkpoint"),
        ({"panes": [{"source": "truth", "checkpoint": "x"}]}, r"panes\[0\].checkpoint"),
        ({"sha256": 1}, "sha256"),
        ({"active_pane": 4}, "active_pane"),
        ({"mode": "Upside down"}, "mode"),
        ({"difference": {"gain": 0}}, "difference.gain"),
        ({"difference": {"scale": "Rainbow"}}, "difference.scale"),
        ({"panes": [{"source": "int8", "layers_in_fp32": [1]}]}, r"panes\[0\].layers_in_fp32"),
        ({"camera_path": {"format": "r2l-camera-path", "version": 1}}, "camera_path.keyframes"),
        ({"version": 3}, "version 3"),
        ({"format": "other"}, "no session"),
    ],
)
def test_a_malformed_file_is_refused_by_the_name_of_the_field(tmp_path, change, field):
    values = {**json.loads(session_text(SESSION)), **change}
    file = tmp_path / "s.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(SessionError, match=field) as caught:
        load_session(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "[" * 5000, '{"format": NaN}', "not json"])
def test_rubbish_is_refused(tmp_path, text):
    file = tmp_path / "s.json"
    file.write_text(text)
    with pytest.raises(SessionError):
        load_session(file)
    with pytest.raises(SessionError):
        parse_session(text)


class TestInTheWindow:
    def arrange(self, app, until) -> None:
        """Something worth keeping."""
        app.bookmarks.set(4)
        app.window.commands.record.presets["dolly"].trigger()
        app.window.commands.compare.modes[CompareMode.WIPE].trigger()
        until(lambda: len(app.window.pane.frames) == 2)
        app.camera.stand_at(VIEW)

    def test_a_session_brings_everything_back(self, app, tmp_path, until, write_light_field):
        self.arrange(app, until)
        panes = app.store.state.panes
        file = str(tmp_path / "s.json")
        app.sessions.save(file)
        # Something quite different.
        app.window.commands.compare.modes[CompareMode.SINGLE].trigger()
        app.camera_path.editor.use(None)
        app.rendering.open(write_light_field("other"))
        until(lambda: app.rendering.running.name == "other")
        app.sessions.open(file)
        until(lambda: app.rendering.running.name == "tiny")
        until(lambda: len(app.window.pane.frames) == 2)
        assert app.store.state.mode is CompareMode.WIPE
        assert app.store.state.panes == panes
        assert app.camera.viewpoint == VIEW
        assert len(app.camera_path.editor.path.keyframes) == 2
        assert not app.has_failed

    def test_the_last_session_waits_for_the_next_start(self, app, make_app, until):
        assert not app.window.commands.sessions.restore.isEnabled()
        self.arrange(app, until)
        checkpoint = app.rendering.running.wish.light_field.checkpoint
        app.close()
        again = make_app(shown(checkpoint, precision=Precision.FP32))
        again.start()
        until(lambda: again.report.has_picture)
        # Offered, but nobody is asked.
        assert again.window.compare.view.mode is CompareMode.SINGLE
        again.window.commands.sessions.restore.trigger()
        until(lambda: again.window.compare.view.mode is CompareMode.WIPE)
        assert again.camera.viewpoint == VIEW

    def test_files_used_last_are_offered(self, app, tmp_path):
        for name in ("a.json", "b.json", "a.json"):
            app.sessions.save(str(tmp_path / name))
        menus = app.window.findChildren(QMenu)
        (recent,) = (menu for menu in menus if menu.title() == "Open &recent")
        entries = [action.text() for action in recent.actions() if action.text()]
        assert [text.split(" – ")[0] for text in entries[:2]] == ["a.json", "b.json"]

    def test_a_light_field_that_is_gone_leaves_all_as_it_is(self, app, tmp_path, until):
        app.sessions.save(str(tmp_path / "s.json"))
        values = json.loads((tmp_path / "s.json").read_text())
        values["checkpoint"] = str(tmp_path / "gone.safetensors")
        (tmp_path / "s.json").write_text(json.dumps(values))
        before = app.camera.viewpoint
        app.camera.stand_at(VIEW)
        app.sessions.open(str(tmp_path / "s.json"))
        until(lambda: app.has_failed)
        assert app.rendering.running.name == "tiny"
        assert app.camera.viewpoint == VIEW != before
        app.expect_error()

    def test_a_bad_file_is_said_above_the_picture(self, app, tmp_path):
        (tmp_path / "s.json").write_text("{}")
        app.sessions.open(str(tmp_path / "s.json"))
        assert "s.json" in app.window.message.details()
        app.expect_error()


def test_a_session_of_the_version_before_opens():
    """Written by it, not made up."""
    file = Path(__file__).parents[1] / "fixtures" / "from_59f9896" / "session.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    state = load_session(file).state
    assert state.light_field.checkpoint == values["checkpoint"]
    assert [pane.source for pane in state.panes] == [pane["source"] for pane in values["panes"]]
    assert state.mode == values["mode"]
    assert list(state.render_size_px) == values["render_size_px"]
