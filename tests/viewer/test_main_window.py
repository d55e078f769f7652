"""The window as a whole: signals out, what it shows, keys, and what it remembers."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QByteArray, QDir, QPoint, QSettings, QSize, Qt, QTimer
from PyQt6.QtGui import QAction, QIcon
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialog,
    QDockWidget,
    QFileDialog,
    QLabel,
    QMessageBox,
    QScrollArea,
)

from r2l_core.checkpoints.opening import embedded_names
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS
from r2l_core.render.frames import STRIDES, Frame, FrameTimings
from r2l_core.types import Availability, EngineInfo, Precision
from viewer.state.panes import TRUTH, CompareMode, PaneChoice
from viewer.state.preferences import Preferences
from viewer.state.view_state import LightFieldChoice, ViewState
from viewer.widgets import theme
from viewer.widgets.compare.wipe_divider import WipeDivider
from viewer.widgets.controls.file_dialogs import ask_picture
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.panels.camera_panel import CameraPanel
from viewer.widgets.panels.key_help import KeyHelp
from viewer.widgets.panels.layer_bars import LayerBars, LayerSensitivity
from viewer.widgets.panels.performance_readout import ImageCost, PerformanceReadout
from viewer.widgets.panels.scene_panel import ScenePanel
from viewer.widgets.picture.message_bar import MessageBar
from viewer.widgets.picture.picture_footer import NOTE_MS
from viewer.window.main_window import ICON_PATH, MainWindow

pytestmark = pytest.mark.slow

INFO = EngineInfo(
    "torch", Precision.BF16, "CPU", "bf16", "bf16 × bf16 → fp32", "oneDNN", 11_800_000
)

READOUT = PerformanceReadout(
    images_per_s=16,
    frame_ms=62,
    krays_per_s=118,
    latency_p50_ms=78,
    latency_p95_ms=121,
    stride=4,
    width_px=400,
    height_px=400,
    memory_mb=1210,
    mean=ImageCost(2.1, 6.4, 41.0, 3.2, 1.4),
    history=(ImageCost(2.0, 6.0, 40.0, 3.0, 1.5, 4), ImageCost(2.0, 7.0, 42.0, 3.0, 1.5, 1)),
)


STATE = ViewState(LightFieldChoice("demo"))


def all_but_the_timeline(window: MainWindow) -> bool:
    """Whether the docks are open that are at first: there is no camera path yet, and nothing is
    being learned."""
    docks = window.findChildren(QDockWidget)
    closed = ("Timeline", "Learn")
    return all(dock.isVisible() == (dock.windowTitle() not in closed) for dock in docks)


def make_frame(width_px: int = 400, height_px: int = 400, stride: int = 1) -> Frame:
    """A grey frame."""
    image = np.full((height_px, width_px, 3), 127, np.uint8)
    camera = Camera(np.eye(4), width_px, height_px, 500.0)
    return Frame(3, 1, camera, image, stride, 10, FrameTimings(), 5.0, INFO)


def offer(window: MainWindow, precisions: list[Precision]) -> list[Precision]:
    """Offer precisions; what is chosen of them is put into the list."""
    chosen: list[Precision] = []
    offered = {one: Availability(True) for one in precisions}
    window.offer_precisions(offered, chosen.append)
    window.compare.panes.set_offers(
        offered, {TRUTH: Availability(False, "there is none")}, {}, offered
    )
    return chosen


def fill(window: MainWindow) -> None:
    """Show something in every place."""
    window.show_scene(PRESETS["demo"], "demo", "88 layers of 256, 16 samples a ray, 5.9 M weights")
    offer(window, list(Precision))
    window.show_active_precision(Precision.BF16)
    window.compare.show_state(replace(STATE, panes=(PaneChoice(Precision.BF16),)))
    window.show_engine(INFO)
    window.camera.show_orbit(PRESETS["demo"].home(), 39.6)
    window.show_frames([make_frame(stride=4)])
    window.show_performance(READOUT)


def words(window: MainWindow) -> str:
    """Every text that can be seen."""
    return "\n".join(one.text() for one in window.findChildren(QLabel) if one.isVisible())


@pytest.fixture
def settings(qapp, tmp_path) -> QSettings:
    return QSettings(str(tmp_path / "viewer.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def window(qtbot, qapp, settings) -> MainWindow:
    theme.install(qapp)
    window = MainWindow(Preferences(settings))
    qtbot.addWidget(window)
    fill(window)
    window.show()
    return window


class TestWhatTheUserDoes:
    def test_gestures_over_the_picture(self, qtbot, window):
        with qtbot.waitSignals(
            [window.pane.drag_started, window.pane.orbit_dragged, window.pane.drag_finished]
        ):
            qtbot.mousePress(window.pane, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
            qtbot.mouseMove(window.pane, QPoint(120, 100))
            qtbot.mouseRelease(window.pane, Qt.MouseButton.LeftButton)

    def test_a_painted_picture_is_reported(self, qtbot, window):
        with qtbot.waitSignal(window.pane.picture_painted) as painted:
            window.show_frames([make_frame()])
        assert painted.args[0] == 3
        assert painted.args[1] > 0

    @pytest.mark.parametrize(
        ("key", "view"),
        [
            (Qt.Key.Key_R, "home"),
            (Qt.Key.Key_T, "top"),
            (Qt.Key.Key_F, "front"),
            (Qt.Key.Key_G, "side"),
        ],
    )
    def test_view_keys(self, qtbot, window, key, view):
        with qtbot.waitSignal(window.commands.views[view].triggered):
            qtbot.keyClick(window.pane, key)

    @pytest.mark.parametrize("key", "WASDQE")
    def test_keys_that_fly_are_no_shortcuts(self, qtbot, window, key):
        with qtbot.waitSignal(window.pane.flight_changed) as flies:
            qtbot.keyPress(window.pane, key)
        assert any(flies.args[:3])
        with qtbot.waitSignal(window.pane.flight_changed) as stops:
            qtbot.keyRelease(window.pane, key)
        assert stops.args == [0.0, 0.0, 0.0, False]

    def test_ctrl_and_a_digit_keep_a_view(self, qtbot, window):
        with qtbot.waitSignal(window.commands.bookmark_set[4].triggered):
            qtbot.keyClick(window.pane, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)

    @pytest.mark.parametrize("key", [Qt.Key.Key_4, Qt.Key.Key_Dollar], ids=["4", "dollar"])
    def test_shift_and_a_digit_go_to_it_once_it_is_set(self, qtbot, window, key):
        shift = Qt.KeyboardModifier.ShiftModifier
        recall = window.commands.bookmark_recall[4].triggered
        with qtbot.assertNotEmitted(recall):
            qtbot.keyClick(window.pane, key, shift)
        window.show_bookmarks({4})
        with qtbot.waitSignal(recall):
            qtbot.keyClick(window.pane, key, shift)

    def test_a_bookmark_can_be_clicked_and_says_how_to_set_it(self, qtbot, window):
        window.show_bookmarks({2})
        buttons = {one.text(): one for one in window.findChildren(QAbstractButton)}
        with qtbot.waitSignal(window.camera.bookmark_recalled) as recalled:
            qtbot.mouseClick(buttons["2"], Qt.MouseButton.LeftButton)
        assert recalled.args == [2]
        assert not buttons["3"].isEnabled()
        assert "Ctrl+3" in buttons["3"].toolTip()

    def test_digit_keys_choose_a_precision_but_show_what_runs(self, qtbot, window):
        chosen = offer(window, list(Precision))
        window.show_active_precision(Precision.BF16)
        qtbot.keyClick(window.pane, Qt.Key.Key_1)
        assert chosen == [Precision.FP32]
        actions = window.commands.precisions
        window.show_active_precision(Precision.FP32)
        assert [name for name, one in actions.items() if one.isChecked()] == [Precision.FP32]

    def test_a_digit_typed_into_a_number_is_no_shortcut(self, qtbot, window):
        field = next(
            one
            for one in window.findChildren(ValueSpin)
            if one.accessibleName().startswith("Radius")
        )
        field.setFocus()
        field.selectAll()
        chosen = offer(window, list(Precision))
        qtbot.keyClick(field, Qt.Key.Key_1)
        assert not chosen
        with qtbot.waitSignal(window.camera.orbit_edited) as edited:
            qtbot.keyClick(field, Qt.Key.Key_Return)
        assert edited.args[0].radius == 1.0

    def test_l_locks_the_resolution_finer_and_finer_and_then_no_more(self, qtbot, window):
        said = []
        for stride in (*STRIDES[1:], STRIDES[0]):
            qtbot.keyClick(window.pane, Qt.Key.Key_L)
            assert window.commands.locks[stride].isChecked()
            said.append(next((s for s in words(window).splitlines() if "locked" in s), ""))
        coarser = [f"locked to 1/{stride}" for stride in STRIDES[1:-1]]
        assert said == [*coarser, "locked to 1:1", ""]

    def test_a_remark_leaves_after_a_while_unless_it_is_to_stay(self, until, window):
        (leaves,) = (
            one
            for one in window.findChildren(QTimer)
            if one.isSingleShot() and one.interval() == NOTE_MS
        )
        for text, file, stays in (
            ("A is fast", "", False),
            ("Saved a.png", "/shots/a.png", False),
            ("Saving a.png once the picture is exact", "", True),
        ):
            window.show_note(text, file, stays)
            assert text in words(window)
            assert leaves.isActive() != stays
            if not stays:
                leaves.start(0)
                until(lambda said=text: said not in words(window))

    def test_the_key_to_quit_works_where_another_window_has_the_keys(self, qtbot, window):
        panel = QDialog(window)
        qtbot.addWidget(panel)
        window.show()
        panel.show()
        panel.activateWindow()
        qtbot.waitUntil(panel.isActiveWindow)
        with qtbot.waitSignal(window.commands.quit.triggered):
            qtbot.keyClick(panel, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)

    def test_showing_canonical_reports_nothing(self, qtbot, window):
        with qtbot.assertNotEmitted(window.commands.canonical.toggled):
            window.show_canonical(True)
        assert window.commands.canonical.isChecked()

    def test_a_scene_of_unknown_sphere_says_why_rays_stay(self, window):
        scene = PRESETS["demo"].from_mapping({"name": "lego"})
        window.show_scene(scene, "lego", "")
        assert not window.commands.canonical.isEnabled()
        assert "not known" in window.commands.canonical.toolTip()

    def test_open_reports_the_file_and_remembers_its_folder(self, qtbot, window, settings):
        window.commands.open.trigger()
        dialog = window.findChild(QFileDialog)
        with qtbot.waitSignal(window.open_requested) as requested:
            dialog.fileSelected.emit("/fields/lego.tar")
        dialog.close()
        assert requested.args == ["/fields/lego.tar"]
        assert settings.value("folder") == "/fields"

    def test_what_is_saved_does_not_go_among_what_was_opened(self, window, settings):
        def opens() -> None:
            window.commands.open.trigger()

        def saves() -> None:
            window.asking.place(ask_picture, "a.png", lambda _file: None)

        def dialog_of(asks) -> QFileDialog:
            asks()
            (dialog,) = (one for one in window.findChildren(QFileDialog) if one.isVisible())
            return dialog

        def folder_of(asks) -> str:
            dialog = dialog_of(asks)
            where = dialog.directory().absolutePath()
            dialog.reject()
            return where

        home, elsewhere = QDir.homePath(), QDir.rootPath()
        for asks, place, saved in (
            (opens, elsewhere, home),
            (saves, QDir.tempPath(), QDir.tempPath()),
        ):
            dialog = dialog_of(asks)
            dialog.fileSelected.emit(QDir(place).filePath("a.tar"))
            dialog.reject()
            assert folder_of(opens) == elsewhere
            assert folder_of(saves) == saved

    def test_copy(self, qtbot, window):
        with qtbot.waitSignal(window.commands.copy.triggered):
            qtbot.keyClick(window.pane, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)

    def test_panel_edits_reach_the_controller(self, qtbot, window):
        with qtbot.waitSignal(window.camera.orbit_edited) as edited:
            window.findChild(CameraPanel).findChild(ValueSpin).setValue(90)
        assert isinstance(edited.args[0], Orbit)
        with qtbot.waitSignal(window.scene.render_size_chosen) as chosen:
            window.findChild(ScenePanel).findChild(QComboBox).activated.emit(0)
        assert chosen.args == [200, 200]


class TestComparing:
    def test_c_goes_through_all_ways_and_the_menu_says_which(self, qtbot, window):
        modes = window.commands.compare.modes
        for mode in [*list(CompareMode)[1:], CompareMode.SINGLE]:
            qtbot.keyClick(window.pane, Qt.Key.Key_C)
            assert window.compare.view.mode is mode
            assert [one for one, action in modes.items() if action.isChecked()] == [mode]

    def test_the_menu_chooses_a_way(self, window):
        for mode, action in window.commands.compare.modes.items():
            action.trigger()
            assert window.compare.view.mode is mode

    @pytest.mark.parametrize("mode", list(CompareMode))
    def test_a_window_of_1024_pixels_has_room_for_every_way_of_comparing(self, window, mode):
        window.resize(1024, 640)
        window.compare.view.set_mode(mode)
        QApplication.processEvents()
        assert window.minimumSizeHint().width() <= 1024
        assert window.width() == 1024

    def test_a_screen_of_640_pixels_has_room_for_the_timeline_and_a_title_bar(self, window):
        reason = "this processor has no instructions for it, and no engine can do without them"
        absent = {one: Availability(one is Precision.FP32, reason) for one in Precision}
        window.offer_precisions(absent, lambda _: None)
        window.open_timeline()
        window.open_panel("Layers")
        window.stay_within(QSize(1024, 640))
        window.showNormal()
        for _ in range(3):
            # What wraps is measured after it was laid out.
            window.resize(1024, 600)
            QApplication.processEvents()
        assert window.minimumSizeHint().height() <= 600
        assert window.height() == 600

    def test_a_high_screen_has_room_for_all_that_is_said_of_an_engine(self, window):
        window.show_engine(
            replace(INFO, arithmetic="int8 x int8 -> int32, one scale per ray; " * 8)
        )
        window.stay_within(QSize(1600, 1000))
        for _ in range(3):
            window.resize(1600, 980)
            QApplication.processEvents()
        (dock,) = (d for d in window.findChildren(QDockWidget) if d.windowTitle() == "Precision")
        assert dock.widget().widget().height() > 384
        assert dock.widget().verticalScrollBar().maximum() == 0

    def test_comparing_begins_with_two_panes(self, qtbot, window):
        assert not window.compare.panes.isVisible()
        with qtbot.waitSignals([window.compare.panes.panes_changed, window.compare.mode_changed]):
            qtbot.keyClick(window.pane, Qt.Key.Key_C)
        assert window.compare.panes.isVisible()
        sources = [pane.source for pane in window.compare.panes.panes]
        assert sources == [Precision.BF16, Precision.INT8]

    def test_divider_keys_work_only_in_a_wipe(self, qtbot, window):
        first = make_frame()
        window.compare.view.show_frames([first, first])
        compare = window.commands.compare
        assert not compare.divider_on.isEnabled()
        assert "Only a wipe" in compare.divider_on.toolTip()
        compare.modes[CompareMode.WIPE].trigger()
        divider = window.findChild(WipeDivider)
        x = divider.geometry().center().x()
        qtbot.keyClick(window.pane, "]")
        assert divider.geometry().center().x() > x
        qtbot.keyClick(window.pane, "[")
        assert divider.geometry().center().x() == x
        qtbot.keyClick(window.pane, Qt.Key.Key_V)
        assert divider.width() > divider.height()
        assert not window.pane.compared.upright

    def test_keys_magnify_the_picture(self, qtbot, window):
        control = Qt.KeyboardModifier.ControlModifier
        qtbot.keyClick(window.pane, Qt.Key.Key_Plus, control)
        assert window.pane.placement.scale == 2
        qtbot.keyClick(window.pane, Qt.Key.Key_Minus, control)
        assert window.pane.placement.scale == 1
        qtbot.keyClick(window.pane, Qt.Key.Key_0, control)
        assert window.pane.placement.width > 400
        alt = control | Qt.KeyboardModifier.AltModifier
        qtbot.keyClick(window.pane, Qt.Key.Key_0, alt)
        assert window.pane.placement.scale == 1

    def test_the_difference_comes_to_the_front_unless_it_was_closed(self, window):
        docks = {one.windowTitle(): one for one in window.findChildren(QDockWidget)}
        assert docks["Difference"].visibleRegion().isEmpty()
        window.commands.compare.modes[CompareMode.DIFFERENCE].trigger()
        assert not docks["Difference"].visibleRegion().isEmpty()
        window.commands.compare.modes[CompareMode.SINGLE].trigger()
        docks["Difference"].close()
        window.commands.compare.modes[CompareMode.DIFFERENCE].trigger()
        assert not docks["Difference"].isVisible()

    def test_a_picked_pixel_and_a_toggled_layer_are_reported(self, qtbot, window):
        with qtbot.waitSignal(window.pane.pixel_picked) as picked:
            window.pane.picked.emit(-199.5, 0.0)
        assert picked.args == [0, 200]
        window.compare.layers.show_layers([LayerSensitivity("body.0", 20.0)])
        with qtbot.waitSignal(window.compare.layers.layer_toggled) as toggled:
            qtbot.keyClick(window.findChild(LayerBars), Qt.Key.Key_Space)
        assert toggled.args == ["body.0", True]


class TestWhatItShows:
    def test_what_runs_is_in_the_card_the_footer_and_the_status_bar(self, window):
        seen = words(window)
        assert "bf16 native · oneDNN · CPU" in seen
        assert "100×100 of 400×400 · preview, interpolated" in seen
        assert "400×400 1/4 preview" in seen
        assert "bf16 × bf16 → fp32" in seen

    def test_busy_and_badge(self, window):
        window.show_busy("Building fp16…")
        window.show_badge("outside trained views")
        seen = words(window)
        assert seen.count("Building fp16…") == 2
        assert seen.count("outside trained views") == 2
        window.show_busy("")
        window.show_badge("")
        assert "Building" not in words(window)
        assert "outside" not in words(window)

    def test_an_error_can_be_retried_and_dismissed_with_esc(self, qtbot, window):
        bar = window.findChild(MessageBar)
        window.show_error("It failed", "it was late", "Try tomorrow.")
        assert bar.isVisible()
        retry = next(one for one in bar.findChildren(QAbstractButton) if one.text() == "Try again")
        with qtbot.waitSignal(window.message.retry_requested):
            qtbot.mouseClick(retry, Qt.MouseButton.LeftButton)
        qtbot.keyClick(window.pane, Qt.Key.Key_Escape)
        assert not bar.isVisible()
        window.show_error("It failed", "it was late", "Try tomorrow.")
        window.message.dismiss()
        assert not bar.isVisible()

    def test_h_hides_everything_but_the_picture(self, qtbot, window):
        docks = window.findChildren(QDockWidget)
        docks[1].close()
        before = [dock.isVisible() for dock in docks]
        qtbot.keyClick(window.pane, Qt.Key.Key_H)
        assert not any(dock.isVisible() for dock in docks)
        assert not window.menuBar().isVisible()
        assert "H shows the panels" in words(window)
        qtbot.keyClick(window.pane, Qt.Key.Key_H)
        assert [dock.isVisible() for dock in docks] == before
        assert window.menuBar().isVisible()

    def test_reset_layout_brings_every_panel_back(self, window):
        docks = window.findChildren(QDockWidget)
        docks[0].close()
        docks[2].setFloating(True)
        window.commands.reset_layout.trigger()
        assert all_but_the_timeline(window)
        assert not any(dock.isFloating() for dock in docks)

    @pytest.mark.parametrize("name", ["Light", "Dark"])
    def test_a_theme_changes_the_open_window(self, qtbot, window, settings, name):
        window.commands.themes[name].trigger()
        qtbot.waitUntil(lambda: theme.is_dark(window.pane.palette()) == (name == "Dark"))
        assert settings.value("theme") == name

    def test_nothing_is_cut_off_at_1280_by_720(self, qtbot, window):
        window.resize(1280, 720)
        qtbot.waitUntil(lambda: window.size().width() == 1280)
        for area in window.findChildren(QScrollArea):
            # Of panels that share a place, the one in front.
            if not area.visibleRegion().isEmpty():
                bars = area.verticalScrollBar(), area.horizontalScrollBar()
                name = area.parentWidget().windowTitle()
                assert [bar.maximum() for bar in bars] == [0, 0], f"{name} scrolls"
        # The picture is wider than the panels at both sides together.
        assert window.pane.width() > 1280 / 2
        assert window.pane.height() > 0.85 * 720

    def test_it_can_be_made_small(self, window):
        least = window.minimumSizeHint()
        assert least.width() <= 960
        assert least.height() <= 640

    def test_full_screen_and_back_with_esc(self, qtbot, window):
        window.commands.full_screen.trigger()
        assert window.isFullScreen()
        qtbot.keyClick(window.pane, Qt.Key.Key_Escape)
        assert not window.isFullScreen()
        assert not window.commands.full_screen.isChecked()

    def test_about_blocks_nothing(self, window):
        window.commands.about.trigger()
        box = window.findChild(QMessageBox)
        assert "PyQt6 " in box.informativeText()
        box.close()

    def test_the_icon_can_be_drawn(self, qapp):
        assert not QIcon(str(ICON_PATH)).pixmap(32, 32).isNull()


class TestKeys:
    def named(self, window: MainWindow) -> list[QAction]:
        menus = [action.menu() for action in window.menuBar().actions()]
        entries = [one for menu in menus for one in menu.actions() if not one.menu()]
        return [one for one in entries if not one.isSeparator()]

    def test_no_two_actions_have_one_key(self, window):
        keys = Counter(
            one.shortcut().toString() for one in window.actions() if not one.shortcut().isEmpty()
        )
        assert [key for key, count in keys.items() if count > 1] == []

    def test_every_action_says_what_it_does_and_its_key(self, window):
        for action in self.named(window):
            assert action.statusTip(), action.text()
            assert action.shortcut().toString() in action.toolTip()

    @pytest.mark.parametrize("size", [(1600, 1000), (1024, 640), (2560, 1440), (800, 600)])
    def test_the_keys_are_never_wider_than_the_window(self, qtbot, window, size):
        window.resize(*size)
        sheet = window.findChild(KeyHelp)
        sheet.toggle()
        area = sheet.findChild(QScrollArea)
        assert area.widget().width() <= area.viewport().width()
        assert window.rect().contains(area.geometry())
        window.resize(900, size[1])
        assert area.widget().width() <= area.viewport().width()

    def test_the_sheet_lists_every_key_of_the_menus(self, qtbot, window):
        sheet = window.findChild(KeyHelp)
        qtbot.keyClick(window.pane, Qt.Key.Key_Question)
        assert sheet.isVisible()
        for action in self.named(window):
            if not action.shortcut().isEmpty():
                assert f"<b>{action.shortcut().toString()}</b>" in sheet.words()
        qtbot.keyClick(sheet, Qt.Key.Key_Escape)
        assert not sheet.isVisible()
        assert window.focusWidget() is window.pane

    def test_numbered_keys_are_one_line_of_the_sheet(self, window):
        window.commands.keys.trigger()
        sheet = window.findChild(KeyHelp).words()
        assert "<b>Ctrl+1 … Ctrl+9</b>" in sheet
        assert "<b>Shift+1 … Shift+9</b>" in sheet
        assert "Ctrl+5" not in sheet

    def test_the_sheet_knows_precisions_that_come_later(self, qtbot, window):
        offer(window, [Precision.FP32])
        window.commands.keys.trigger()
        assert ">bf16<" not in window.findChild(KeyHelp).words()


class TestWhatIsRemembered:
    def reopened(self, qtbot, settings: QSettings) -> MainWindow:
        window = MainWindow(Preferences(settings))
        qtbot.addWidget(window)
        fill(window)
        window.show()
        return window

    def test_layout_and_choices(self, qtbot, window, settings):
        (camera,) = (d for d in window.findChildren(QDockWidget) if d.windowTitle() == "Camera")
        camera.close()
        window.commands.integer_zoom.trigger()
        window.commands.themes["Light"].trigger()
        with qtbot.waitSignal(window.closed):
            window.close()
        other = self.reopened(qtbot, settings)
        closed = {d.windowTitle() for d in other.findChildren(QDockWidget) if not d.isVisible()}
        assert closed == {"Camera", "Learn", "Timeline"}
        assert other.commands.integer_zoom.isChecked()
        assert other.commands.themes["Light"].isChecked()

    def test_hidden_panels_are_back_next_time(self, qtbot, window, settings):
        window.open_timeline()
        window.open_panel("Learn")
        window.commands.hide_panels.trigger()
        window.close()
        other = self.reopened(qtbot, settings)
        assert all(dock.isVisible() for dock in other.findChildren(QDockWidget))

    def test_a_window_that_was_larger_fills_a_small_screen(self, qtbot, window, settings):
        window.resize(1500, 900)
        window.close()
        other = MainWindow(Preferences(settings))
        qtbot.addWidget(other)
        other.stay_within(QSize(1024, 640))
        assert other.size().boundedTo(QSize(1024, 640)) == other.size()
        assert other.isMaximized()

    def test_a_window_that_has_room_is_not_made_larger(self, window):
        size = window.size()
        window.stay_within(QSize(2560, 1440))
        assert window.size() == size
        assert not window.isMaximized()

    def test_the_hint_never_comes_back(self, qtbot, window, settings):
        assert "Orbit around" in words(window)
        qtbot.mousePress(window.pane, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
        qtbot.mouseMove(window.pane, QPoint(120, 100))
        qtbot.mouseRelease(window.pane, Qt.MouseButton.LeftButton)
        assert "Orbit around" not in words(window)
        settings.sync()
        assert "Orbit around" not in words(self.reopened(qtbot, settings))

    @pytest.mark.parametrize(
        "rubbish", ["text", 7, ["a", "b"], {"a": 1}, QByteArray(b"\x00\xff not a layout")]
    )
    def test_rubbish_in_the_settings_is_ignored(self, qtbot, settings, rubbish):
        for key in ("geometry", "layout", "theme", "folder", "integer_zoom", "hint_seen"):
            settings.setValue(key, rubbish)
        window = self.reopened(qtbot, settings)
        assert all_but_the_timeline(window)
        window.commands.open.trigger()
        window.findChild(QFileDialog).close()


def test_the_window_loads_without_torch():
    code = "import sys, viewer.window.main_window; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_examples_are_the_light_fields_that_come_along(window, qtbot):
    asked = []
    window.open_requested.connect(asked.append)
    menu = window.commands.examples
    menu.aboutToShow.emit()
    names = [action.text() for action in menu.actions()]
    assert names == embedded_names()
    menu.actions()[names.index("demo")].trigger()
    assert asked == ["demo"]
