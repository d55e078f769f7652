"""The window: picture in the middle, panels around it, menus and state that is remembered.

It says what the user wants through signals and shows what it is told; a controller decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from math import degrees

from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QIcon, QKeyEvent
from PyQt6.QtWidgets import QMainWindow

from r2l_core import __version__
from r2l_core.files import shipped_folder
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
    show_in_folder,
)
from viewer.widgets.panels import about
from viewer.widgets.panels.camera_panel import CameraPanel
from viewer.widgets.panels.dataset_panel import DatasetPanel
from viewer.widgets.panels.engine_card import EngineCard
from viewer.widgets.panels.key_help import KeyHelp
from viewer.widgets.panels.learn_panel import LearnPanel
from viewer.widgets.panels.performance_panel import PerformancePanel
from viewer.widgets.panels.performance_readout import PerformanceReadout
from viewer.widgets.panels.precision_switch import PrecisionSwitch
from viewer.widgets.panels.scene_panel import ScenePanel
from viewer.widgets.panels.status_line import StatusLine
from viewer.widgets.panels.timeline import Timeline
from viewer.widgets.picture.picture_gestures import GESTURES
from viewer.window.actions import THEMES, Actions
from viewer.window.docks import Docks
from viewer.window.held_keys import HeldKeys
from viewer.window.questions import Asking, Closing

ICON_PATH = shipped_folder("assets") / "icon.svg"
_SHIFTED_DIGITS = "!@#$%^&*("
"""What Shift and 1 to 9 type on a US keyboard."""
_FIRST_LOOK = "First look, in {}; engines are loading"
_OTHER_PRECISION = "Choose a precision that runs here."
_FIRST_SIZE = QSize(1280, 720)
_FIRST_SHARE = 0.75
"""Of the screen's width and height."""


class MainWindow(QMainWindow):
    """Its widgets and `commands` are public: controllers connect to them. What it does itself is
    what only a window can: dialogs, docks, themes, full screen."""

    open_requested = pyqtSignal(str)
    """A light field's file was chosen."""
    file_dropped = pyqtSignal(str)
    """Path of a file or folder of any kind."""
    dataset_requested = pyqtSignal(str)
    """A dataset's folder was chosen."""
    layers_seen = pyqtSignal(bool)
    """Whether the Layers panel can be seen."""
    closed = pyqtSignal()

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self._preferences = preferences
        self._n_precisions = len(Precision)
        self.setWindowTitle("R2L viewer")
        self.setWindowIcon(QIcon(str(ICON_PATH)))
        self._build_widgets()
        self._docks = Docks(
            self,
            left={"Scene": [self.scene], "Camera": [self.camera]},
            right={
                "Precision": [self.compare.panes, self.precision, self.engine],
                "Performance": [self.performance],
            },
            left_tabs={"Dataset": [self.dataset], "Display": [self.compare.display]},
            tabs=self.compare.docks(),
            closed_tabs={"Learn": [self.learn]},
            bottom={"Timeline": [self.timeline]},
        )
        self.commands = Actions(self, list(self._docks))
        self._key_help = KeyHelp(self, GESTURES)
        self._held_keys = HeldKeys(self.pane, self)
        self.asking = Asking(self, preferences)
        self.closing = Closing(self)
        self._connect_widgets()
        self._connect_commands()
        self._restore()
        self.pane.setFocus()

    # What controllers tell, where it concerns several widgets

    def show_frames(self, frames: Sequence[Frame]) -> None:
        """Show the pictures of all panes, of the same pass."""
        self.compare.view.show_frames(frames)
        active = self.pane.frame
        assert active is not None
        self.status.show_frame(active)
        height_px, width_px, _ = active.image.shape
        self.scene.show_render_size(width_px, height_px)

    def show_bookmarks(self, numbers: Set[int]) -> None:
        """Mark which numbers hold a view of the open light field."""
        self.camera.show_bookmarks(numbers)
        self.commands.offer_bookmarks(numbers)

    def show_first_look(self, scene: SceneSpec, name: str, info: EngineInfo) -> None:
        """Describe a light field whose first pictures come before all that it needs."""
        self._describe(scene, name, _FIRST_LOOK.format(info.precision))
        self.show_engine(info)

    def _describe(self, scene: SceneSpec, name: str, summary: str) -> None:
        self.setWindowTitle(f"{name} – R2L viewer")
        self.scene.show_scene(name, summary, scene.near, scene.far, scene.width_px, scene.height_px)
        self.camera.set_home(scene.home(), degrees(scene.camera_angle_x_rad))

    def show_scene(self, scene: SceneSpec, name: str, summary: str) -> None:
        """Describe the open light field."""
        self._describe(scene, name, summary)
        self.commands.offer_canonical(scene.origin_radius is not None)
        self.commands.scene_settings.setEnabled(True)

    def show_dataset_open(self) -> None:
        """Bring up the panel that a dataset is in now, and offer its poses."""
        self._docks.bring_up("Dataset")
        self.commands.offer_poses(True)

    def show_dataset_closed(self) -> None:
        """There are no poses to go to any more."""
        self.commands.offer_poses(False)

    def show_engine(self, info: EngineInfo) -> None:
        """Describe the engine that runs."""
        self.engine.show_engine(info)
        self.status.show_engine(info)
        self.performance.set_precision(info.precision)

    def offer_precisions(
        self, precisions: Mapping[Precision, Availability], chosen: Callable[[Precision], object]
    ) -> None:
        """Offer precisions in their order, in the switch, the menu and on the digit keys; `chosen`
        is told which was triggered by a key or in the menu. The key of one that cannot run here
        says why."""

        def choose(precision: Precision) -> None:
            if precisions[precision].available:
                chosen(precision)
            else:
                why_not = precisions[precision].why_not
                self.show_error(f"{precision} cannot run here", why_not, _OTHER_PRECISION)

        self.precision.set_precisions(precisions)
        self.commands.set_precisions(precisions, choose)
        self._n_precisions = len(precisions)
        if not self._preferences.flag("hint_seen"):
            self.show_first_steps()

    def show_first_steps(self) -> None:
        """Say over the picture what to begin with, until the first drag."""
        self.pane.overlays.show_hint(
            [
                ("Drag", "Orbit around the scene"),
                (f"1–{self._n_precisions}", "Choose the precision"),
                ("?", "Show all keys"),
            ]
        )

    def show_active_precision(self, precision: Precision | None) -> None:
        """Mark the precision that runs in the active pane; None where that shows the truth."""
        self.precision.show_active(precision)
        self.commands.check_precision(precision)

    def show_canonical(self, on: bool) -> None:
        """Show whether rays are re-based on the trained sphere; reports nothing."""
        action = self.commands.canonical
        action.blockSignals(True)
        action.setChecked(on)
        action.blockSignals(False)

    def show_busy(self, text: str) -> None:
        """Say what is being waited for, over the picture and in the status bar; empty ends it."""
        self.pane.overlays.show_busy(text)
        self.status.show_busy(text)

    def show_badge(self, text: str) -> None:
        """Remark quietly on the shown view; empty takes the remark away."""
        self.pane.overlays.show_badge(text)
        self.status.show_badge(text)

    def show_error(self, what: str, why: str, remedy: str) -> None:
        """Say above the picture what went wrong, why and what to do; blocks nothing."""
        self.precision.show_pending(None)
        self.message.show_error(what, why, remedy)

    def show_note(self, text: str, file: str = "", stays: bool = False) -> None:
        """Say something quiet below the picture; empty takes it away. `file`: what was written, to
        be shown in its folder. `stays`: until something else is said."""
        self._view.footer.show_note(text, file, stays)

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
        self.performance.show_readout(readout)
        self.status.show_performance(readout)

    # Building

    def _build_widgets(self) -> None:
        self.compare = ComparePanels(self)
        self._view = self.compare.view
        self.pane = self._view.pane
        self.message = self._view.message
        self.setCentralWidget(self._view)
        self.scene, self.camera = ScenePanel(), CameraPanel()
        self.dataset, self.learn = DatasetPanel(), LearnPanel()
        self.precision, self.engine = PrecisionSwitch(), EngineCard()
        self.performance = PerformancePanel()
        self.timeline = Timeline()
        self.status = StatusLine()
        self.setStatusBar(self.status)

    def _connect_widgets(self) -> None:
        self.pane.file_dropped.connect(self.file_dropped)
        self._view.footer.folder_wanted.connect(show_in_folder)
        self.pane.overlays.hint_dismissed.connect(
            lambda: self._preferences.store("hint_seen", True)
        )

    def _connect_commands(self) -> None:
        commands, asking = self.commands, self.asking
        commands.open.triggered.connect(
            lambda: asking.file(ask_light_field, self.open_requested.emit)
        )
        commands.examples.aboutToShow.connect(self._list_examples)
        for asks in (commands.open_dataset.triggered, self.dataset.open_requested):
            asks.connect(lambda: asking.file(ask_dataset, self.dataset_requested.emit))
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
        self._docks.watch("Layers", self.layers_seen)
        self.pane.pixel_picked.connect(lambda _x, _y: self.open_panel("Layers"))

    # What the user does

    def _compare_in(self, mode: CompareMode) -> None:
        self.commands.compare.show_mode(mode)
        # Each pane has its own choice of precision then.
        self.precision.setVisible(mode is CompareMode.SINGLE)
        if mode is CompareMode.DIFFERENCE:
            self._docks.bring_up("Difference")
        self.pane.setFocus()

    def _list_examples(self) -> None:
        # Only now: it needs torch, which takes a second to load.
        from r2l_core.checkpoints.opening import embedded_names

        menu = self.commands.examples
        menu.clear()
        for name in embedded_names():
            action = menu.addAction(name)
            assert action is not None
            action.triggered.connect(lambda _=False, one=name: self.open_requested.emit(one))

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

    def _dismiss(self) -> None:
        if self._key_help.isVisible():
            self._key_help.toggle()
        elif self.message.isVisible():
            self.message.dismiss()
        elif self.pane.region is not None:
            self.compare.metrics.whole_requested.emit()
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
        self.status.setVisible(not on)
        self._view.bar.setVisible(not on)
        self._view.footer.show_note("H shows the panels" if on else "")
        self.pane.setFocus()

    # What is remembered

    def _restore(self) -> None:
        self.resize(self._first_size())
        self.restoreGeometry(self._preferences.blob("geometry"))
        if not self._docks.restore(self._preferences.blob("layout")):
            self._docks.reset()
        self.commands.integer_zoom.setChecked(self._preferences.flag("integer_zoom"))
        name = self._preferences.text("theme")
        if name in THEMES:
            self.commands.themes[name].setChecked(True)
            theme.choose(THEMES[name])

    def stay_within(self, room: QSize) -> None:
        """Fill a screen of this size, in logical pixels, where less of it would not do, and let
        panels be as high as it allows."""
        for dock in self._docks:
            dock.stay_within(room.height())
        if self.width() >= room.width() or self.height() >= room.height():
            self.resize(self.size().boundedTo(room))
            self.setWindowState(self.windowState() | Qt.WindowState.WindowMaximized)

    def _first_size(self) -> QSize:
        """Most of the screen, but no less than all panels need."""
        screen = self.screen()
        room = _FIRST_SIZE if screen is None else screen.availableSize() * _FIRST_SHARE
        return room.expandedTo(_FIRST_SIZE)

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
