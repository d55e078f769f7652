"""Session files: what they keep, what they refuse, and going on with one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.errors import SessionError
from r2l_core.geometry.camera import Orbit
from r2l_core.geometry.scene import PRESETS
from r2l_core.images.difference import DifferenceKind
from r2l_core.types import Precision
from viewer.state.difference_options import DifferenceOptions
from viewer.state.panes import TRUTH, CompareMode, PaneChoice
from viewer.state.session import Session, load_session, parse_session, save_session, session_text
from viewer.state.viewpoint import Viewpoint
from viewer.state.wish import Wish

VIEW = Viewpoint(Orbit(12.0, -3.5, 2.5, (0.1, 0.2, 0.3)), 50.0)
PANES = (
    PaneChoice(Precision.BF16, "lab"),
    PaneChoice(TRUTH),
    PaneChoice(Precision.FP32, checkpoint="/a/lego.tar"),
)
SESSION = Session(
    wish=Wish(
        "demo",
        "blender:lego",
        Precision.INT8,
        rays="plain",
        panes=PANES,
        layers_in_fp32=frozenset({"body.0.body.0"}),
        assumed=("n_sample=8",),
    ),
    view=VIEW,
    render_size_px=(320, 200),
    bookmarks={3: VIEW},
    path=CameraPath((Keyframe(VIEW.orbit.T_world_camera(), 40.0),), loop=True),
    panes=PANES,
    active_pane=1,
    mode=CompareMode.WIPE,
    difference=DifferenceOptions(DifferenceKind.SIGNED, 32.0, True, "Magma"),
    sha256={"demo": "12ab", "/a/lego.tar": "34cd"},
)


def test_everything_comes_back(tmp_path):
    save_session(SESSION, tmp_path / "s.json")
    found = load_session(tmp_path / "s.json")
    assert replace(found, path=None) == replace(SESSION, path=None)
    assert found.path is not None
    assert found.path.loop
    assert np.array_equal(
        found.path.keyframes[0].T_world_camera, SESSION.path.keyframes[0].T_world_camera
    )
    assert parse_session(session_text(SESSION)).panes == PANES


def test_a_scene_of_ones_own_comes_back():
    scene = replace(PRESETS["llff:fern"], far=3.25)
    session = replace(SESSION, wish=replace(SESSION.wish, scene=scene))
    assert parse_session(session_text(session)).wish == session.wish


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"checkpoint": 3}, "checkpoint"),
        ({"scene": 3}, "scene"),
        ({"scene": {"name": "x", "near": 7}}, "scene cannot be used: near 7"),
        ({"assumed": [1]}, "assumed"),
        ({"precision": "fp12"}, "precision"),
        ({"rays": "curved"}, "rays"),
        ({"camera": None}, "camera"),
        ({"camera": {"azimuth_deg": 1}}, "camera.pivot"),
        ({"render_size_px": [0, 10]}, "render_size_px"),
        ({"render_size_px": [10**9, 10]}, "render_size_px"),
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
        ({"layers_in_fp32": [1]}, "layers_in_fp32"),
        ({"camera_path": {"format": "r2l-camera-path", "version": 1}}, "camera_path.keyframes"),
        ({"version": 2}, "version 2"),
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
        app.controller.set_bookmark(4)
        app.window.commands.record.presets["dolly"].trigger()
        app.window.compare.view.set_mode(CompareMode.WIPE)
        until(lambda: len(app.window.pane.frames) == 2)
        app.controller.stand_at(VIEW)

    def test_a_session_brings_everything_back(self, app, tmp_path, until, write_light_field):
        self.arrange(app, until)
        panes = app.window.compare.panes.panes
        file = str(tmp_path / "s.json")
        app.sessions.save(file)
        # Something quite different.
        app.window.compare.view.set_mode(CompareMode.SINGLE)
        app.camera_path.editor.use(None)
        app.controller.open(write_light_field("other"))
        until(lambda: app.controller.running.name == "other")
        app.sessions.open(file)
        until(lambda: app.controller.running.name == "tiny")
        until(lambda: len(app.window.pane.frames) == 2)
        assert app.window.compare.view.mode is CompareMode.WIPE
        assert app.window.compare.panes.panes == panes
        assert app.controller.viewpoint == VIEW
        assert len(app.camera_path.editor.path.keyframes) == 2
        assert not app.has_failed

    def test_the_last_session_waits_for_the_next_start(self, app, make_app, until):
        assert not app.window.commands.sessions.restore.isEnabled()
        self.arrange(app, until)
        checkpoint = app.controller.running.wish.checkpoint
        app.close()
        again = make_app(Wish(checkpoint, precision=Precision.FP32))
        again.start()
        until(lambda: again.report.has_picture)
        # Offered, but nobody is asked.
        assert again.window.compare.view.mode is CompareMode.SINGLE
        again.window.commands.sessions.restore.trigger()
        until(lambda: again.window.compare.view.mode is CompareMode.WIPE)
        assert again.controller.viewpoint == VIEW

    def test_files_used_last_are_offered(self, app, tmp_path):
        for name in ("a.json", "b.json", "a.json"):
            app.sessions.save(str(tmp_path / name))
        menu = app.window.commands.sessions._recent
        assert [action.text() for action in menu.actions()] == ["a.json", "b.json"]

    def test_a_light_field_that_is_gone_leaves_all_as_it_is(self, app, tmp_path, until):
        app.sessions.save(str(tmp_path / "s.json"))
        values = json.loads((tmp_path / "s.json").read_text())
        values["checkpoint"] = str(tmp_path / "gone.safetensors")
        (tmp_path / "s.json").write_text(json.dumps(values))
        before = app.controller.viewpoint
        app.controller.stand_at(VIEW)
        app.sessions.open(str(tmp_path / "s.json"))
        until(lambda: app.has_failed)
        assert app.controller.running.name == "tiny"
        assert app.controller.viewpoint == VIEW != before
        app.expect_error()

    def test_a_bad_file_is_said_above_the_picture(self, app, tmp_path):
        (tmp_path / "s.json").write_text("{}")
        app.sessions.open(str(tmp_path / "s.json"))
        assert "s.json" in app.window._view.message.details()
        app.expect_error()
