"""The whole viewer in one process: a real window, a real thread, a tiny light field."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from PyQt6.QtCore import (
    QPoint,
    QRunnable,
    Qt,
    QThreadPool,
    QTimer,
    QtMsgType,
)
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QAbstractButton, QFileDialog, QLabel

from r2l_core.checkpoints import opening as checkpoint
from r2l_core.errors import EngineError
from r2l_core.geometry.scene import PRESETS
from r2l_core.types import Precision
from tests.viewer.find import drop, words
from tests.viewer.states import shown
from viewer import run as run_module
from viewer.app import App
from viewer.state.panes import TRUTHS
from viewer.widgets.picture.message_bar import MessageBar
from viewer.widgets.picture.picture_footer import NOTE_MS

pytestmark = pytest.mark.slow

DEMO_SCENE = replace(PRESETS["demo"], width_px=64, height_px=64)


def bar(app: App) -> MessageBar:
    """The error above the picture."""
    found = app.window.findChild(MessageBar)
    assert found is not None
    return found


def click(app: App, text: str) -> None:
    """Press the visible button that says `text`."""
    (button,) = (
        one
        for one in app.window.findChildren(QAbstractButton)
        if one.isVisible() and one.text() == text
    )
    button.click()


def active_precisions(app: App) -> list[str]:
    """What the switch shows as running."""
    return [
        one.text()
        for one in app.window.findChildren(QAbstractButton)
        if one.accessibleName().startswith("Precision ") and one.isChecked()
    ]


def label(app: App, accessible_name: str) -> str:
    """Text of the visible label of that name, or nothing."""
    found = [
        one.text()
        for one in app.window.findChildren(QLabel)
        if one.accessibleName() == accessible_name and one.isVisible()
    ]
    return found[0] if found else ""


def is_shown(app: App) -> bool:
    """Whether the exact picture of the present camera is on the screen."""
    frame, camera = app.window.pane.frame, app.camera.camera()
    return (
        frame is not None
        and frame.complete
        and (frame.camera.width_px, frame.camera.focal_px) == (camera.width_px, camera.focal_px)
        and np.array_equal(frame.camera.T_world_camera, camera.T_world_camera)
    )


def pixels_of(image) -> np.ndarray:
    """uint8 (H, W, 3) of a QImage."""
    image = image.convertToFormat(image.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())
    # The rows are those of the converted image, which ends with this function.
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


@pytest.fixture
def rendered_anew(app, until) -> Callable[[], None]:
    """Turns the camera and waits for its exact picture."""

    def turn() -> None:
        app.gestures.orbit_dragged(30, 10)
        until(lambda: is_shown(app))

    return turn


class TestFirstPicture:
    def test_the_window_says_what_it_shows(self, app):
        assert is_shown(app)
        assert app.window.pane.frame.image.shape == (64, 64, 3)
        assert app.window.windowTitle().startswith("tiny")
        assert active_precisions(app) == ["fp32"]
        assert not bar(app).isVisible()
        assert label(app, "Busy") == ""

    def test_the_panels_get_numbers(self, app, until):
        # Every reading has the memory, whatever the machine's speed rounds to.
        until(lambda: label(app, "Memory MB") not in ("", "–", "—"))

    def test_what_is_waited_for_is_said_over_the_picture(
        self, lab, write_light_field, make_app, until
    ):
        app = make_app(shown(write_light_field(), precision=Precision.FP32))
        lab.close_gate()
        app.start()
        until(lambda: label(app, "Busy") == "Building fp32…")
        lab.open_gate()
        until(lambda: is_shown(app))
        assert label(app, "Busy") == ""

    def test_the_persons_own_settings_stay_alone(self, app, user_dirs):
        app.close()
        files = [path for path in user_dirs.rglob("*") if path.is_file()]
        assert [path for path in files if path.name != "engine-choices.json"] == []


class TestGestures:
    def test_dragging_turns_the_picture(self, qtbot, app, until):
        pane, before = app.window.pane, app.window.pane.frame
        start = app.camera.orbit
        qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
        qtbot.mouseMove(pane, QPoint(120, 110))
        qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton)
        until(lambda: is_shown(app))
        assert app.camera.orbit.azimuth_deg < start.azimuth_deg
        assert app.camera.orbit.elevation_deg > start.elevation_deg
        assert app.window.pane.frame.seq > before.seq
        assert not np.array_equal(app.window.pane.frame.image, before.image)

    def test_keys_and_menus_reach_the_camera(self, qtbot, app, until):
        qtbot.keyClick(app.window.pane, Qt.Key.Key_Right)
        assert app.camera.orbit != app.rendering.running.scene.home()
        app.window.commands.views["home"].trigger()
        assert app.camera.orbit == app.rendering.running.scene.home()
        until(lambda: is_shown(app))

    def test_panels_reach_the_camera(self, app, until):
        app.window.camera.fov_x_edited.emit(90.0)
        until(lambda: is_shown(app))
        camera = app.window.pane.frame.camera
        assert camera.focal_px == pytest.approx(32)
        app.window.scene.render_size_chosen.emit(48, 32)
        until(lambda: is_shown(app) and app.window.pane.frame.camera.width_px == 48)
        assert app.window.pane.frame.camera.height_px == 32

    def test_bookmarks_outlast_the_window(self, qtbot, app, until, make_app):
        pane, control = app.window.pane, Qt.KeyboardModifier.ControlModifier
        qtbot.keyClick(pane, Qt.Key.Key_Right)
        kept = app.camera.orbit
        qtbot.keyClick(pane, Qt.Key.Key_7, control)
        app.close()
        other = make_app(app.first_state)
        other.start()
        until(lambda: other.report.has_picture)
        assert other.camera.orbit != kept
        qtbot.keyClick(other.window.pane, Qt.Key.Key_7, Qt.KeyboardModifier.ShiftModifier)
        assert other.camera.orbit == kept
        qtbot.keyClick(other.window.pane, Qt.Key.Key_Z, control)
        assert other.camera.orbit == other.rendering.running.scene.home()

    def test_inertia_and_target_frame_rate(self, app, lab):
        app.window.commands.inertia.setChecked(True)
        app.window.scene.target_fps_chosen.emit(5.0)
        lab.close_gate()
        app.gestures.drag_started()
        app.gestures.orbit_dragged(10, 0)
        lab.wait_for_tile()
        app.gestures.orbit_dragged(10, 0)
        waiting = app.render_thread.mailbox.take()
        assert waiting is not None
        assert waiting.request is not None
        assert waiting.request.target_ms == pytest.approx(200.0)

    def test_a_view_the_network_never_saw_is_remarked_upon(
        self, lab, write_light_field, make_app, until
    ):
        app = make_app(shown(write_light_field(scene=DEMO_SCENE)))
        app.start()
        until(lambda: app.report.has_picture)
        assert label(app, "Remark on this view") == ""
        app.gestures.orbit_dragged(0, -300)
        assert label(app, "Remark on this view") == "below the horizon: outside trained views"


class TestChoices:
    def test_a_precision_and_back(self, app, lab, until):
        first = app.rendering.running.engine
        app.window.commands.precisions[Precision.BF16].trigger()
        until(lambda: active_precisions(app) == ["bf16"])
        until(lambda: is_shown(app) and app.window.pane.frame.engine.precision == "bf16")
        app.window.commands.precisions[Precision.FP32].trigger()
        until(lambda: active_precisions(app) == ["fp32"])
        until(lambda: is_shown(app) and app.window.pane.frame.engine is first)
        assert len(lab.built) == 2, "the first engine was still there"

    def test_rays(self, lab, write_light_field, make_app, until):
        app = make_app(shown(write_light_field(scene=DEMO_SCENE)))
        app.start()
        until(lambda: app.report.has_picture)
        assert app.window.commands.canonical.isChecked()
        app.window.commands.canonical.trigger()
        until(lambda: app.rendering.running.ray_mode == "plain")
        assert not app.window.commands.canonical.isChecked()

    @pytest.mark.parametrize("way", ["menu", "drop"])
    def test_another_file(self, app, until, write_light_field, way):
        app.gestures.orbit_dragged(50, 0)
        path = write_light_field("other")
        if way == "menu":
            app.window.open_requested.emit(path)
        else:
            drop(app, path)
        until(lambda: app.window.windowTitle().startswith("other"))
        assert app.camera.orbit == app.rendering.running.scene.home()
        until(lambda: is_shown(app) and app.window.pane.frame.epoch == 2)


class TestFailures:
    @pytest.mark.parametrize("kind", ["missing", "nan", "truncated"])
    def test_a_bad_file_is_explained_and_changes_nothing(
        self, app, until, damaged, rendered_anew, capsys, kind
    ):
        path = damaged(kind)
        app.window.open_requested.emit(str(path))
        until(lambda: bar(app).isVisible())
        what, why_and_remedy = bar(app).details().splitlines()
        assert str(path) in what
        assert len(why_and_remedy.split(". ")) >= 2, "why, and what to do"
        printed = capsys.readouterr().err
        assert printed.startswith("error: ")
        assert str(path) in printed
        assert "Traceback" not in printed
        rendered_anew()
        assert app.window.windowTitle().startswith("tiny")
        assert bar(app).isVisible(), "it stays until it was read"

    def test_a_precision_that_cannot_be_built_switches_back(self, app, lab, until, rendered_anew):
        lab.build_error = RuntimeError("no room\nfor details")
        app.window.commands.precisions[Precision.BF16].trigger()
        until(lambda: bar(app).isVisible())
        assert "bf16" in bar(app).details()
        assert "No room." in bar(app).details()
        assert active_precisions(app) == ["fp32"]
        assert app.window.commands.precisions[Precision.FP32].isChecked()
        rendered_anew()

    def test_rays_that_cannot_be_changed_switch_back(self, lab, write_light_field, make_app, until):
        app = make_app(shown(write_light_field(scene=DEMO_SCENE)))
        app.start()
        until(lambda: app.report.has_picture)
        lab.build_error = RuntimeError("no room")
        app.window.commands.canonical.trigger()
        until(lambda: bar(app).isVisible())
        assert app.window.commands.canonical.isChecked()

    def test_trying_again_asks_for_what_failed(self, app, until, damaged, write_light_field):
        path = damaged("missing")
        app.window.open_requested.emit(str(path))
        until(lambda: bar(app).isVisible())
        click(app, "Try again")
        assert not bar(app).isVisible(), "it belongs to the past until it fails again"
        until(lambda: bar(app).isVisible())
        write_light_field(path.stem)
        click(app, "Try again")
        until(lambda: app.window.windowTitle().startswith("missing"))
        assert not bar(app).isVisible()

    def test_something_else_takes_an_old_error_away(self, app, until, damaged):
        app.window.open_requested.emit(str(damaged("missing")))
        until(lambda: bar(app).isVisible())
        app.window.commands.precisions[Precision.BF16].trigger()
        until(lambda: active_precisions(app) == ["bf16"])
        assert not bar(app).isVisible()

    def test_an_engine_that_fails_can_be_tried_again(self, app, lab, until):
        lab.shade_error = EngineError("The lab failed", "of itself", "Repair it.")
        app.gestures.orbit_dragged(30, 0)
        until(lambda: bar(app).isVisible())
        assert bar(app).details() == "The lab failed\nOf itself. Repair it."
        lab.shade_error = None
        click(app, "Try again")
        until(lambda: is_shown(app))
        assert not bar(app).isVisible()
        assert app.rendering.running.epoch == 1, "nothing was built or opened for it"

    def test_after_a_failed_picture_an_older_failed_file_is_not_opened(
        self, app, lab, until, damaged
    ):
        app.window.open_requested.emit(str(damaged("missing")))
        until(lambda: bar(app).isVisible())
        app.window.message.dismiss()
        lab.shade_error = EngineError("The lab failed", "of itself", "Repair it.")
        app.gestures.orbit_dragged(30, 0)
        until(lambda: bar(app).isVisible())
        lab.shade_error = None
        click(app, "Try again")
        until(lambda: is_shown(app))
        assert not bar(app).isVisible()


def asked(app, action) -> QFileDialog:
    """The dialog that an action opens."""
    action.trigger()
    (dialog,) = (one for one in app.window.findChildren(QFileDialog) if one.isVisible())
    return dialog


class TestPictures:
    def test_a_screenshot_holds_the_exact_rendered_pixels(self, app, tmp_path):
        path = tmp_path / "picture.png"
        app.saving.save_picture(str(path))
        QThreadPool.globalInstance().waitForDone()
        np.testing.assert_array_equal(iio.imread(path), app.window.pane.frame.image)

    @pytest.mark.parametrize("name", ["no-such-folder/picture.png", "picture.nonsense"])
    def test_one_that_cannot_be_written_says_so(self, app, until, tmp_path, name):
        app.saving.save_picture(str(tmp_path / name))
        until(lambda: bar(app).isVisible())
        assert name in bar(app).details()

    def test_it_can_be_tried_again_with_the_same_picture(self, app, until, tmp_path, rendered_anew):
        path, wanted = tmp_path / "folder" / "picture.png", app.window.pane.frame.image
        app.saving.save_picture(str(path))
        until(lambda: bar(app).isVisible())
        rendered_anew()
        path.parent.mkdir()
        click(app, "Try again")
        QThreadPool.globalInstance().waitForDone()
        np.testing.assert_array_equal(iio.imread(path), wanted)
        assert not bar(app).isVisible()

    def test_it_says_what_it_shows(self, app, tmp_path):
        path = tmp_path / "picture.png"
        app.saving.save_picture(str(path))
        QThreadPool.globalInstance().waitForDone()
        with Image.open(path) as picture:
            facts = dict(picture.text)
        camera = json.loads(facts["camera"])
        assert np.array_equal(camera["T_world_camera"], app.camera.camera().T_world_camera)
        assert camera["fov_y_deg"] == pytest.approx(app.camera.camera().fov_y_deg)
        assert facts["precision"] == "fp32"
        said = facts["engine"].split(", ")
        assert (said[0], said[-1]) == ("lab", "cpu")
        assert len(set(said)) == len(said)
        assert facts["checkpoint_sha256"] == app.rendering.running.light_field.sha256
        assert facts["rendered"].endswith("exact")

    def test_one_of_a_preview_waits_for_the_exact_picture(self, app, lab, until, tmp_path):
        path = tmp_path / "picture.png"
        previews = []

        def hold(frames) -> None:
            if not frames[0].complete and not previews:
                previews.append(frames[0])
                app.saving.save_picture(str(path))

        app.rendering.frames_shown.connect(hold)
        app.store.change(target_fps=1e5)  # no time for an exact one at once
        app.gestures.orbit_dragged(30, 0)
        until(lambda: is_shown(app))
        QThreadPool.globalInstance().waitForDone()
        assert previews
        np.testing.assert_array_equal(iio.imread(path), app.window.pane.frame.image)

    def test_a_name_is_proposed_that_says_what_it_is(self, app, tmp_path):
        dialog = asked(app, app.window.commands.screenshot)
        assert Path(dialog.selectedFiles()[0]).name == "r2l-fp32-64x64.png"
        dialog.fileSelected.emit(str(tmp_path / "a.png"))
        dialog.reject()
        QThreadPool.globalInstance().waitForDone()
        assert (tmp_path / "a.png").exists()

    @pytest.mark.parametrize("truth", TRUTHS)
    def test_one_of_a_truth_is_called_so(self, app, truth):
        frame = app.window.pane.frame
        app.window.show_frames([replace(frame, engine=replace(frame.engine, engine=truth))])
        dialog = asked(app, app.window.commands.screenshot)
        name = Path(dialog.selectedFiles()[0]).name
        dialog.reject()
        assert name == f"r2l-{truth.replace(' ', '-')}-64x64.png"

    def test_that_it_waits_is_said_until_it_is_saved(self, app, until, tmp_path):
        (leaves,) = (
            one
            for one in app.window.findChildren(QTimer)
            if one.isSingleShot() and one.interval() == NOTE_MS
        )
        exact = app.window.pane.frame
        app.window.show_frames([replace(exact, stride=2)])
        app.saving.save_picture(str(tmp_path / "picture.png"))
        assert "Saving picture.png once the picture is exact" in words(app.window)
        assert not leaves.isActive()
        app.compare.show_frames((exact,))
        app.rendering.frames_shown.emit((exact,))
        assert "once the picture is exact" not in words(app.window)
        until(lambda: f"Saved {tmp_path / 'picture.png'}" in words(app.window))

    def test_copying_says_so(self, app):
        app.window.commands.copy.trigger()
        notes = [one.text() for one in app.window.findChildren(QLabel) if one.isVisible()]
        assert any(text.startswith("Copied: 64×64") for text in notes)

    def test_the_copy_is_the_exact_picture(self, app):
        app.window.commands.copy.trigger()
        np.testing.assert_array_equal(
            pixels_of(QGuiApplication.clipboard().image()), app.window.pane.frame.image
        )

    def test_before_the_first_there_is_nothing_to_copy_or_save(self, make_app, tmp_path, lab):
        app = make_app(shown("never opened"))
        QGuiApplication.clipboard().setText("mine")
        app.window.commands.copy.trigger()
        app.saving.save_picture(str(tmp_path / "picture.png"))
        QThreadPool.globalInstance().waitForDone()
        assert QGuiApplication.clipboard().text() == "mine"
        assert not (tmp_path / "picture.png").exists()


class TestMeasurements:
    def test_every_rendered_frame_is_in_the_table(self, app, rendered_anew, until, tmp_path):
        rendered_anew()
        until(lambda: any(one.paint_ms for one in app.performance.samples()))
        path = tmp_path / "table.csv"
        app.saving.save_table(str(path))
        QThreadPool.globalInstance().waitForDone()
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(app.performance.samples()) >= 2
        assert int(rows[-1]["seq"]) == app.window.pane.frame.seq
        assert rows[-1]["stride"] == "1"
        assert {(row["precision"], row["engine"]) for row in rows} == {("fp32", "lab")}
        painted = [row for row in rows if row["paint_ms"]]
        assert painted
        assert all(float(row["paint_ms"]) > 0 for row in painted)
        assert sum(row["latency_ms"] != "" for row in rows) <= len({row["seq"] for row in rows})

    def test_where_the_table_goes_is_asked(self, app, tmp_path):
        dialog = asked(app, app.window.commands.export)
        assert Path(dialog.selectedFiles()[0]).name == "r2l-measurements.csv"
        dialog.fileSelected.emit(str(tmp_path / "a.csv"))
        dialog.reject()
        QThreadPool.globalInstance().waitForDone()
        assert (tmp_path / "a.csv").exists()

    def test_a_table_that_cannot_be_written_says_so(self, app, until, tmp_path):
        app.saving.save_table(str(tmp_path / "no-such-folder" / "table.csv"))
        until(lambda: bar(app).isVisible())
        assert "table.csv" in bar(app).details()


class TestTheEnd:
    def test_closing_ends_the_thread_in_the_middle_of_a_picture(self, app, lab, monkeypatch):
        """The tile in progress is let go once the thread was told to stop, and not before."""
        stop = app.render_thread.mailbox.stop

        def stop_then_open() -> None:
            stop()
            lab.open_gate()

        monkeypatch.setattr(app.render_thread.mailbox, "stop", stop_then_open)
        lab.close_gate()
        app.gestures.orbit_dragged(30, 0)
        lab.wait_for_tile()
        app.close()
        assert app.render_thread.isFinished()
        assert not app.window.isVisible()

    def test_closing_before_anything_was_opened(self, make_app, lab):
        app = make_app(shown("no-such-file.safetensors"))
        app.start()
        app.close()
        assert not app.render_thread.isRunning()


class TestUncaught:
    """A bug in a slot is shown; neither the process nor the picture ends."""

    @pytest.fixture
    def hooked(self, app, monkeypatch) -> App:
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # so that it is put back
        run_module.show_uncaught(app)
        return app

    def test_in_the_window(self, hooked, until, rendered_anew, capsys):
        def bug() -> None:
            raise ZeroDivisionError("division by zero")

        QTimer.singleShot(0, bug)
        until(lambda: bar(hooked).isVisible())
        assert "ZeroDivisionError: division by zero" in bar(hooked).details()
        assert "Traceback" in capsys.readouterr().err, "for the report"
        rendered_anew()
        click(hooked, "Try again")
        assert not bar(hooked).isVisible()

    def test_on_another_thread(self, hooked, until, capsys):
        class Bug(QRunnable):
            def run(self) -> None:
                raise ZeroDivisionError("division by zero")

        shown_by = []
        show = hooked.window.show_error
        hooked.window.show_error = lambda *message: (
            shown_by.append(hooked.thread().currentThread()),
            show(*message),
        )
        pool, job = QThreadPool.globalInstance(), Bug()
        pool.start(job)
        until(lambda: bar(hooked).isVisible())
        assert shown_by == [hooked.thread()], "widgets belong to one thread"

    def test_an_interrupt_is_none_of_the_viewers_business(self, hooked, monkeypatch):
        seen = []
        monkeypatch.setattr(sys, "__excepthook__", lambda *args: seen.append(args[0]))
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
        assert seen == [KeyboardInterrupt]
        assert not bar(hooked).isVisible()


class TestRun:
    """From the options to the exit code, in an event loop that ends when enough was seen."""

    OPTIONS = argparse.Namespace(tour=None, exit_after_first_frame=False, report=None, screens=None)

    @pytest.fixture
    def embedded(self, tmp_path, monkeypatch, write_light_field):
        """A tiny light field in the place of the demo."""
        monkeypatch.setattr(checkpoint, "CHECKPOINTS_DIR", tmp_path)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        write_light_field("demo")

    @pytest.fixture
    def run(self, until):
        """Runs an app by options until `enough`; closes it and returns the exit code."""

        def run(app: App, enough: Callable[[], bool], scripted: bool = False, **options) -> int:
            class Loop:
                @staticmethod
                def exec() -> None:
                    until(enough)
                    app.close()

            values = argparse.Namespace(**{**vars(self.OPTIONS), **options})
            return run_module.run_app(app, values, Loop(), scripted)

        return run

    @pytest.mark.parametrize(
        ("wish", "error"),
        [
            (shown("no-such-file.safetensors"), "no-such-file.safetensors"),
            (shown("demo", scene="nonsense"), "nonsense"),
            (shown("demo", engine="nonsense"), "nonsense"),
            (shown("demo", device="cuda"), "cuda"),
            (shown("no-such-file.safetensors", engine="nonsense"), "no-such-file.safetensors"),
        ],
    )
    def test_what_cannot_be_opened_is_explained_over_the_demo(
        self, embedded, lab, make_app, run, wish, error
    ):
        app = make_app(wish)
        code = run(app, lambda: app.report.has_picture and bar(app).isVisible())
        assert code == 0, "the person has seen it"
        assert app.window.windowTitle().startswith("demo")
        assert error in bar(app).details()

    def test_a_good_file_is_kept_where_only_the_precision_is_wrong(
        self, embedded, lab, make_app, run, write_light_field
    ):
        lab.unavailable = {Precision.FP16}
        app = make_app(shown(write_light_field("mine"), precision=Precision.FP16))
        run(app, lambda: app.report.has_picture)
        assert app.window.windowTitle().startswith("mine")

    def test_nothing_is_tried_for_ever(self, embedded, lab, make_app, run, tmp_path, capsys):
        (tmp_path / "demo.safetensors").unlink()
        app = make_app(shown("no-such-file.safetensors", engine="nonsense"))
        run(app, lambda: "light field demo" in bar(app).details())
        said = capsys.readouterr().err
        assert said.count("no-such-file") == 1, "other engines would not find it either"
        assert said.count("error: ") == 2
        assert app.render_thread.mailbox.take() is None

    def test_a_script_without_a_picture_ends(self, lab, make_app, run, monkeypatch, until):
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        app = make_app(shown("no-such-file.safetensors"))
        options = {"scripted": True, "exit_after_first_frame": True}
        assert run(app, lambda: not app.window.isVisible(), **options) == 2

    def test_a_script_that_fails_says_so_in_its_exit_code(
        self, embedded, lab, make_app, run, tmp_path
    ):
        app = make_app(shown("demo"))

        def failed() -> bool:
            if app.report.has_picture and not bar(app).isVisible():
                app.window.open_requested.emit("no-such-file.safetensors")
            return bar(app).isVisible()

        assert run(app, failed, scripted=True) == 2

    def test_a_report_that_cannot_be_written(self, embedded, lab, make_app, run, tmp_path, capsys):
        (tmp_path / "file").touch()
        app = make_app(shown("demo"))
        path = tmp_path / "file" / "report.json"
        assert run(app, lambda: app.report.has_picture, report=path) == 2
        assert str(path) in capsys.readouterr().err


def test_remarks_of_the_offscreen_plugin_are_not_printed(capsys):
    for text in ("This plugin does not support propagateSizeHints()", "Something is wrong", None):
        run_module.print_qt_message(QtMsgType.QtWarningMsg, None, text)
    assert capsys.readouterr().err == "Something is wrong\n"


def test_what_is_remembered_is_written_before_the_process_ends(app, tmp_path):
    app.close()
    assert "geometry" in (tmp_path / "settings.ini").read_text(encoding="utf-8")
