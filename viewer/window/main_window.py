"""The window: picture in the middle, panels around it, menus and state that is remembered.

It says what the user wants through signals and shows what it is told; a controller decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from math import degrees
from pathlib import Path

from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QIcon, QKeyEvent
from PyQt6.QtWidgets import QFileDialog, QMainWindow, QWidget

from r2l_core import __version__
from r2l_core.files import shipped_folder
from r2l_core.geometry.camera import Orbit
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.frames import Frame
from r2l_core.types import Availability, EngineInfo, Precision
from viewer.state.panes import CompareMode
from viewer.state.preferences import Preferences
from viewer.widgets import theme
from viewer.widgets.compare.compare_panels import ComparePanels
from viewer.widgets.compare.wipe_divider import STEP
from viewer.widgets.controls.file_dialogs import (
    ask_dataset,
    ask_light_field,
    ask_mix,
    ask_picture,
    ask_table,
)
from viewer.widgets.panels import about
from viewer.widgets.panels.camera_panel import CameraPanel
from viewer.widgets.panels.dataset_panel import DatasetPanel
from viewer.widgets.panels.engine_card import EngineCard
from viewer.widgets.panels.key_help import KeyHelp
from viewer.widgets.panels.performance_panel import PerformancePanel
from viewer.widgets.panels.performance_readout import PerformanceReadout
from viewer.widgets.panels.precision_switch import PrecisionSwitch
from viewer.widgets.panels.scene_panel import ScenePanel
from viewer.widgets.panels.status_line import StatusLine
from viewer.widgets.panels.timeline import Timeline
from viewer.widgets.picture.picture_gestures import GESTURES
from viewer.window.actions import THEMES, Actions
from viewer.window.closing import Closing
from viewer.window.docks import Docks
from viewer.window.held_keys import HeldKeys

ICON_PATH = shipped_folder("assets") / "icon.svg"
_SHIFTED_DIGITS = "!@#$%^&*("
"""What Shift and 1 to 9 type on a US keyboard."""
_OTHER_PRECISION = "Choose a precision that runs here."
_FIRST_SIZE = QSize(1280, 720)


class MainWindow(QMainWindow):
    """Units: `orbit_dragged` in logical pixels of the widget; `pan_dragged`, `centred` and the
    position in `zoomed` in image pixels (right, down, from the image centre); angles in degrees."""

    orbit_dragged = pyqtSignal(float, float)
    pan_dragged = pyqtSignal(float, float)
    zoomed = pyqtSignal(float, float, float)
    centred = pyqtSignal(float, float)
    flight_changed = pyqtSignal(float, float, float, bool)
    drag_started = pyqtSignal()
    drag_finished = pyqtSignal()
    view_requested = pyqtSignal(str)
    orbit_edited = pyqtSignal(Orbit)
    fov_x_edited = pyqtSignal(float)
    precision_chosen = pyqtSignal(Precision)
    render_size_chosen = pyqtSignal(int, int)
    open_requested = pyqtSignal(str)
    dataset_requested = pyqtSignal(str)
    scene_chosen = pyqtSignal(object)
    scene_settings_requested = pyqtSignal()
    pose_stepped = pyqtSignal(int)
    nearest_pose_requested = pyqtSignal()
    screenshot_requested = pyqtSignal(str)
    copy_requested = pyqtSignal()
    export_requested = pyqtSignal(str)
    mix_save_requested = pyqtSignal(str)
    layers_seen = pyqtSignal(bool)
    """Whether the Layers panel can be seen."""
    bookmark_set = pyqtSignal(int)
    bookmark_recalled = pyqtSignal(int)
    undo_requested = pyqtSignal()
    redo_requested = pyqtSignal()
    inertia_toggled = pyqtSignal(bool)
    smooth_toggled = pyqtSignal(bool)
    canonical_toggled = pyqtSignal(bool)
    fill_flat_toggled = pyqtSignal(bool)
    max_stride_chosen = pyqtSignal(int)
    target_fps_chosen = pyqtSignal(float)
    retry_requested = pyqtSignal()
    closed = pyqtSignal()
    picture_painted = pyqtSignal(int, float)

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self._preferences = preferences
        self._active: Precision | None = None
        self._offers: dict[Precision, Availability] = {}
        self.setWindowTitle("R2L viewer")
        self.setWindowIcon(QIcon(str(ICON_PATH)))
        self._build_widgets()
        self._docks = Docks(
            self,
            left={"Scene": [self._scene], "Camera": [self._camera]},
            right={
                "Precision": [self.compare.panes, self._switch, self._engine],
                "Performance": [self._performance],
            },
            left_tabs={"Dataset": [self.dataset]},
            tabs=self.compare.docks(),
            bottom={"Timeline": [self.timeline]},
        )
        self.commands = Actions(self, list(self._docks))
        self._key_help = KeyHelp(self, GESTURES)
        self._held_keys = HeldKeys(self.pane, self)
        self.closing = Closing(self)
        self._connect_widgets()
        self._connect_commands()
        self._restore()
        self.pane.setFocus()

    # What the controller tells

    def show_frames(self, frames: Sequence[Frame]) -> None:
        """Show the pictures of all panes, of the same pass."""
        self.compare.show_frames(frames)
        active = frames[min(self.compare.panes.active, len(frames) - 1)]
        self._status.show_frame(active)
        height_px, width_px, _ = active.image.shape
        self._scene.show_render_size(width_px, height_px)

    def show_orbit(self, orbit: Orbit, fov_x_deg: float) -> None:
        """Show where the camera is."""
        self._camera.show_orbit(orbit, fov_x_deg)

    def show_history(self, can_undo: bool, can_redo: bool) -> None:
        """Offer to undo a camera move, and to make it again."""
        self.commands.offer_history(can_undo, can_redo)

    def show_bookmarks(self, numbers: Set[int]) -> None:
        """Mark which numbers hold a view of the open light field."""
        self._camera.show_bookmarks(numbers)
        self.commands.offer_bookmarks(numbers)

    def show_scene(self, scene: SceneSpec, name: str, summary: str) -> None:
        """Describe the open light field."""
        self.setWindowTitle(f"{name} – R2L viewer")
        self._scene.show_scene(
            name, summary, scene.near, scene.far, scene.width_px, scene.height_px
        )
        self._camera.set_home(scene.home(), degrees(scene.camera_angle_x_rad))
        self.commands.offer_canonical(scene.origin_radius is not None)
        self.commands.scene_settings.setEnabled(True)

    def show_notes(self, notes: Sequence[str], scene: str | None) -> None:
        """Say what was assumed about the open light field, and which preset it was given."""
        self._scene.show_notes(notes)
        self.commands.show_scene_choice(scene)

    def show_dataset_open(self) -> None:
        """Bring up the panel that a dataset is in now, and offer its poses."""
        self._docks.bring_up("Dataset")
        self.commands.offer_poses(True)

    def show_engine(self, info: EngineInfo) -> None:
        """Describe the engine that runs."""
        self._engine.show_engine(info)
        self._status.show_engine(info)

    def set_precisions(
        self, precisions: Mapping[Precision, Availability], active: Precision
    ) -> None:
        """Offer precisions in their order, in the switch, the menu and on the digit keys."""
        self._offers = dict(precisions)
        self._switch.set_precisions(precisions, active)
        self.compare.set_offers(precisions)
        self.commands.set_precisions(precisions, self._choose_precision)
        self.show_active_precision(active)
        if not self._preferences.flag("hint_seen"):
            self.pane.show_hint(
                [
                    ("Drag", "Orbit around the scene"),
                    (f"1–{len(precisions)}", "Choose the precision"),
                    ("?", "Show all keys"),
                ]
            )

    def show_active_precision(self, precision: Precision) -> None:
        """Mark the precision that runs."""
        self._active = precision
        self._switch.show_active(precision)
        self._performance.set_precision(precision)
        self.compare.show_active_precision(precision)
        self._check_active()

    def show_canonical(self, on: bool) -> None:
        """Show whether rays are re-based on the trained sphere; reports nothing."""
        action = self.commands.canonical
        action.blockSignals(True)
        action.setChecked(on)
        action.blockSignals(False)

    def show_target_fps(self, images_per_s: float) -> None:
        """Show the target frame rate; reports nothing."""
        self._scene.show_target_fps(images_per_s)

    def show_busy(self, text: str | None) -> None:
        """Say what is being waited for, over the picture and in the status bar; None ends it."""
        self.pane.show_busy(text)
        self._status.show_busy(text)

    def show_badge(self, text: str | None) -> None:
        """Remark quietly on the shown view; None takes the remark away."""
        self.pane.show_badge(text)
        self._status.show_badge(text)

    def show_error(self, what: str, why: str, remedy: str) -> None:
        """Say above the picture what went wrong, why and what to do; blocks nothing."""
        self._switch.show_pending(None)
        self._view.message.show_error(what, why, remedy)

    def clear_error(self) -> None:
        """Take the error away."""
        self._view.message.dismiss()

    def show_note(self, text: str) -> None:
        """Say something quiet below the picture; empty takes it away."""
        self._view.footer.show_note(text)

    def open_panel(self, name: str) -> None:
        """Show the panel of that name in front, also where it was closed; where all are hidden,
        say how to see it."""
        if self.commands.hide_panels.isChecked():
            self.show_note(f"More in the panel {name}: H shows the panels")
        else:
            self._docks.open(name)

    def open_timeline(self) -> None:
        """Show the timeline."""
        self.open_panel("Timeline")

    def show_performance(self, readout: PerformanceReadout) -> None:
        """Show one reading; at most about five a second can be read by anyone."""
        self._performance.show_readout(readout)
        self._status.show_performance(readout)

    # Building

    def _build_widgets(self) -> None:
        self.compare = ComparePanels(self)
        self._view = self.compare.view
        self.pane = self._view.pane
        self.setCentralWidget(self._view)
        self._scene, self._camera = ScenePanel(), CameraPanel()
        self.dataset = DatasetPanel()
        self._switch, self._engine = PrecisionSwitch(), EngineCard()
        self._performance = PerformancePanel()
        self.timeline = Timeline()
        self._status = StatusLine()
        self.setStatusBar(self._status)

    def _connect_widgets(self) -> None:
        pane = self.pane
        pane.orbit_dragged.connect(self.orbit_dragged)
        pane.pan_dragged.connect(self.pan_dragged)
        pane.zoomed.connect(self.zoomed)
        pane.centred.connect(self.centred)
        pane.flight_changed.connect(self.flight_changed)
        pane.drag_started.connect(self.drag_started)
        pane.drag_finished.connect(self.drag_finished)
        pane.picture_painted.connect(self.picture_painted)
        pane.file_dropped.connect(self._open_dropped)
        self.dataset.open_requested.connect(self._ask_dataset)
        pane.hint_dismissed.connect(lambda: self._preferences.store("hint_seen", True))
        self._camera.orbit_edited.connect(self.orbit_edited)
        self._camera.fov_x_edited.connect(self.fov_x_edited)
        self._camera.view_requested.connect(self.view_requested)
        self._camera.bookmark_recalled.connect(self.bookmark_recalled)
        self._scene.render_size_chosen.connect(self.render_size_chosen)
        self._scene.target_fps_chosen.connect(self.target_fps_chosen)
        self._switch.precision_chosen.connect(self._choose_precision)
        self._view.message.retry_requested.connect(self.retry_requested)

    def _connect_commands(self) -> None:
        commands = self.commands
        commands.open.triggered.connect(self._ask_open)
        commands.open_dataset.triggered.connect(self._ask_dataset)
        for scene, action in commands.scenes.items():
            action.triggered.connect(lambda _=False, one=scene: self.scene_chosen.emit(one))
        commands.scene_settings.triggered.connect(self.scene_settings_requested)
        commands.previous_pose.triggered.connect(lambda: self.pose_stepped.emit(-1))
        commands.next_pose.triggered.connect(lambda: self.pose_stepped.emit(1))
        commands.nearest_pose.triggered.connect(self.nearest_pose_requested)
        commands.screenshot.triggered.connect(self._ask_screenshot)
        commands.copy.triggered.connect(self.copy_requested)
        commands.export.triggered.connect(self._ask_export)
        commands.quit.triggered.connect(self.close)
        commands.hide_panels.toggled.connect(self._hide_panels)
        commands.full_screen.toggled.connect(self._fill_screen)
        commands.integer_zoom.toggled.connect(self._set_integer_zoom)
        commands.magnify.triggered.connect(lambda: self.pane.magnify(1))
        commands.reduce.triggered.connect(lambda: self.pane.magnify(-1))
        commands.fit.triggered.connect(self.pane.fit)
        commands.exact.triggered.connect(lambda: self.pane.show_scale(1.0))
        self._connect_compare()
        commands.next_lock.triggered.connect(self._lock_finer)
        for stride, action in commands.locks.items():
            action.toggled.connect(lambda on, one=stride: self._lock(one) if on else None)
        commands.reset_layout.triggered.connect(self._docks.reset)
        for name, action in commands.themes.items():
            action.triggered.connect(lambda _=False, chosen=name: self._choose_theme(chosen))
        for name, action in commands.views.items():
            action.triggered.connect(lambda _=False, view=name: self.view_requested.emit(view))
        for number, action in commands.bookmark_set.items():
            action.triggered.connect(lambda _=False, one=number: self.bookmark_set.emit(one))
        for number, action in commands.bookmark_recall.items():
            action.triggered.connect(lambda _=False, one=number: self.bookmark_recalled.emit(one))
        commands.undo.triggered.connect(self.undo_requested)
        commands.redo.triggered.connect(self.redo_requested)
        commands.inertia.toggled.connect(self.inertia_toggled)
        commands.smooth.toggled.connect(self.smooth_toggled)
        commands.canonical.toggled.connect(self.canonical_toggled)
        commands.fill_flat.toggled.connect(self.fill_flat_toggled)
        commands.keys.triggered.connect(self._key_help.toggle)
        commands.about.triggered.connect(lambda: about.show_about(self, __version__))
        commands.dismiss.triggered.connect(self._dismiss)

    def _connect_compare(self) -> None:
        compare, view, pane = self.commands.compare, self.compare.view, self.pane
        compare.next_mode.triggered.connect(lambda: view.set_mode(view.mode.after))
        for mode, action in compare.modes.items():
            action.triggered.connect(lambda _=False, one=mode: view.set_mode(one))
        compare.level.triggered.connect(lambda on: view.set_upright(not on))
        compare.divider_back.triggered.connect(lambda: pane.move_divider(-STEP))
        compare.divider_on.triggered.connect(lambda: pane.move_divider(STEP))
        compare.divider_middle.triggered.connect(pane.reset_divider)
        view.bar.upright_chosen.connect(lambda on: compare.level.setChecked(not on))
        self.compare.mode_changed.connect(self._compare_in)
        self.compare.save_requested.connect(self._ask_mix)
        self._docks.watch("Layers", self.layers_seen.emit)
        self.compare.pixel_picked.connect(lambda _x, _y: self.open_panel("Layers"))

    # What the user does

    def _compare_in(self, mode: CompareMode) -> None:
        self.commands.compare.show_mode(mode)
        # Each pane has its own choice of precision then.
        self._switch.setVisible(not self.compare.comparing)
        if mode is CompareMode.DIFFERENCE:
            self._docks.bring_up("Difference")
        self.pane.setFocus()

    def _choose_precision(self, precision: Precision) -> None:
        self._check_active()
        offer = self._offers.get(precision)
        if offer is not None and not offer.available:
            self.show_error(f"{precision} cannot run here", offer.why_not, _OTHER_PRECISION)
            return
        if self.compare.comparing:
            self.compare.panes.choose(precision)
            return
        self._switch.show_pending(precision)
        self.precision_chosen.emit(precision)

    def _check_active(self) -> None:
        # The menu shows what runs, so a triggered entry is not checked before it does.
        for precision, action in self.commands.precisions.items():
            action.setChecked(precision == self._active)

    def _ask_open(self) -> None:
        dialog = ask_light_field(self, self._preferences.text("folder"))
        dialog.fileSelected.connect(self._remember_folder)
        dialog.fileSelected.connect(self.open_requested)

    def _ask_dataset(self) -> None:
        dialog = ask_dataset(self, self._preferences.text("folder"))
        dialog.fileSelected.connect(self._remember_folder)
        dialog.fileSelected.connect(self.dataset_requested)

    def _open_dropped(self, path: str) -> None:
        (self.dataset_requested if Path(path).is_dir() else self.open_requested).emit(path)

    def _ask_screenshot(self) -> None:
        name, frame = "r2l.png", self.pane.frame
        if frame is not None:
            height_px, width_px, _ = frame.image.shape
            name = f"r2l-{frame.engine.precision}-{width_px}x{height_px}.png"
        dialog = ask_picture(self, self._preferences.text("folder"), name)
        dialog.fileSelected.connect(self._remember_folder)
        dialog.fileSelected.connect(self.screenshot_requested)

    def _ask_export(self) -> None:
        dialog = ask_table(self, self._preferences.text("folder"), "r2l-measurements.csv")
        dialog.fileSelected.connect(self._remember_folder)
        dialog.fileSelected.connect(self.export_requested)

    def _ask_mix(self) -> None:
        dialog = ask_mix(self, self._preferences.text("folder"), "r2l-mix.json")
        dialog.fileSelected.connect(self._remember_folder)
        dialog.fileSelected.connect(self.mix_save_requested)

    def ask_file(
        self, ask: Callable[[QWidget, str], QFileDialog], answered: Callable[[str], object]
    ) -> None:
        """Ask for a file with one of `file_dialogs`, beginning where the last one was."""
        dialog = ask(self, self.folder)
        dialog.fileSelected.connect(self._remember_folder)
        dialog.fileSelected.connect(answered)

    @property
    def folder(self) -> str:
        """Where the last file was; empty before the first."""
        return self._preferences.text("folder")

    def _remember_folder(self, path: str) -> None:
        self._preferences.store("folder", str(Path(path).parent))

    def _choose_theme(self, name: str) -> None:
        theme.choose(THEMES[name])
        self._preferences.store("theme", name)

    def _set_integer_zoom(self, on: bool) -> None:
        self.pane.set_integer_zoom(on)
        self._preferences.store("integer_zoom", on)

    def _lock_finer(self) -> None:
        locks = list(self.commands.locks.values())
        at = next(at for at, action in enumerate(locks) if action.isChecked())
        locks[(at + 1) % len(locks)].setChecked(True)

    def _lock(self, stride: int) -> None:
        self._view.footer.show_lock(stride)
        self.max_stride_chosen.emit(stride)

    def _dismiss(self) -> None:
        if self._key_help.isVisible():
            self._key_help.toggle()
        elif self._view.message.isVisible():
            self._view.message.dismiss()
        elif self.isFullScreen():
            self.commands.full_screen.setChecked(False)
        self.pane.setFocus()

    def _fill_screen(self, on: bool) -> None:
        state, full = self.windowState(), Qt.WindowState.WindowFullScreen
        self.setWindowState(state | full if on else state & ~full)

    def _hide_panels(self, on: bool) -> None:
        if on:
            self._docks.hide()
        else:
            self._docks.bring_back()
        self.commands.bar.setVisible(not on)
        self._status.setVisible(not on)
        self._view.bar.setVisible(not on)
        self._view.footer.show_note("H shows the panels" if on else "")
        self.pane.setFocus()

    # What is remembered

    def _restore(self) -> None:
        self.resize(_FIRST_SIZE)
        self.restoreGeometry(self._preferences.blob("geometry"))
        if not self._docks.restore(self._preferences.blob("layout")):
            self._docks.reset()
        self.commands.integer_zoom.setChecked(self._preferences.flag("integer_zoom"))
        name = self._preferences.text("theme")
        if name in THEMES:
            self.commands.themes[name].setChecked(True)
            theme.choose(THEMES[name])

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Shift and a digit where the platform names only the sign it types.

        Elsewhere that is a shortcut like any other, on every keyboard layout, and comes first.
        """
        assert event is not None
        shift = event.modifiers() == Qt.KeyboardModifier.ShiftModifier
        if shift and (number := _SHIFTED_DIGITS.find(event.text()) + 1) and event.text():
            self.commands.bookmark_recall[number].trigger()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        """Full screen can also be left through the window manager."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.WindowStateChange:
            self.commands.full_screen.setChecked(self.isFullScreen())

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Remember the layout and say so, unless something is to be asked first."""
        if event is not None and not self.closing.may_close():
            event.ignore()
            return
        self.commands.hide_panels.setChecked(False)
        self._preferences.store("geometry", self.saveGeometry())
        self._preferences.store("layout", self._docks.layout())
        self.closed.emit()
        super().closeEvent(event)
