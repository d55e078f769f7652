"""Menus and keys: every action of the window, with its tooltip and status tip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QActionGroup, QKeySequence
from PyQt6.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow, QMenu, QToolButton, QWidget

from r2l_core.render.frames import STRIDES
from r2l_core.types import Availability, Precision
from viewer.state.viewpoint import NUMBERS
from viewer.window.action_maker import ActionMaker
from viewer.window.menus import (
    CompareActions,
    RecentMenu,
    RecordActions,
    SceneActions,
    SessionActions,
)

THEMES: dict[str, Qt.ColorScheme] = {
    "System": Qt.ColorScheme.Unknown,
    "Light": Qt.ColorScheme.Light,
    "Dark": Qt.ColorScheme.Dark,
}
_CANONICAL_TIP = (
    "Move each ray's origin along its line to the sphere the light field was trained on"
)


class Actions(ActionMaker):
    """The actions of `window`, in its menus. The window connects them; they decide nothing."""

    def __init__(self, window: QMainWindow, docks: list[QDockWidget]) -> None:
        super().__init__(window)
        self._make_file()
        self._make_view(docks)
        self._make_camera()
        self._precision_menu = self._menu("&Precision")
        self.precisions: dict[Precision, QAction] = {}
        self._absent: list[QAction] = []
        self.compare = CompareActions(window)
        self.record = RecordActions(window)
        self._make_help()
        self._make_corner()

    def set_precisions(
        self,
        precisions: Mapping[Precision, Availability],
        chosen: Callable[[Precision], object],
    ) -> None:
        """Fill the Precision menu; `chosen` is called with the one that was triggered, also with
        one that cannot run here, whose key is to say why."""
        for old in (*self.precisions.values(), *self._absent):
            self._window.removeAction(old)
            old.deleteLater()
        self._absent = []
        self._precision_menu.clear()
        self.precisions = {}
        for position, (precision, availability) in enumerate(precisions.items(), start=1):
            tip = (
                f"Render in {precision}"
                if availability.available
                else f"{precision} cannot run here: {availability.why_not}."
            )
            if precision.published_recipe and not any(p.published_recipe for p in self.precisions):
                self._precision_menu.addSection("Published recipes")
            action = self._add(self._precision_menu, str(precision), str(position), tip, True)
            action.setEnabled(availability.available)
            action.triggered.connect(lambda _=False, one=precision: chosen(one))
            self.precisions[precision] = action
            if not availability.available:
                # The key of a disabled entry does nothing, not even say why.
                key = QAction(str(precision), self._window)
                key.setShortcut(QKeySequence(str(position)))
                key.triggered.connect(lambda _=False, one=precision: chosen(one))
                self._window.addAction(key)
                self._absent.append(key)

    def check_precision(self, precision: Precision | None) -> None:
        """Check the precision that runs; a triggered entry is not checked before it does."""
        for one, action in self.precisions.items():
            action.setChecked(one == precision)

    def offer_canonical(self, sphere_known: bool) -> None:
        """Rays can be re-based only on a sphere the light field is known to be trained on."""
        tip = _CANONICAL_TIP if sphere_known else "The trained sphere of this scene is not known"
        self._offer(self.canonical, sphere_known, tip)

    def offer_history(self, can_undo: bool, can_redo: bool) -> None:
        """Camera moves can be undone and made again only where there are some."""
        back = "Go back to before the last camera move" if can_undo else "No camera move to undo"
        again = "Make the undone camera move again" if can_redo else "No camera move was undone"
        self._offer(self.undo, can_undo, back)
        self._offer(self.redo, can_redo, again)

    def offer_bookmarks(self, numbers: Set[int]) -> None:
        """Only numbers that hold a view can be gone to."""
        for number, action in self.bookmark_recall.items():
            is_set = number in numbers
            tip = (
                f"Go to bookmark {number}"
                if is_set
                else f"Bookmark {number} is not set; Ctrl+{number} sets it"
            )
            self._offer(action, is_set, tip)

    def _make_file(self) -> None:
        menu = self._menu("&File")
        self.open = self._add(menu, "&Open…", "Ctrl+O", "Open a light field")
        self.examples = self._submenu(menu, "E&xamples", "Light fields that come along")
        self.open_dataset = self._add(
            menu, "Open &dataset…", "Ctrl+D", "Open the folder of a NeRF dataset, for its poses"
        )
        self.recent = RecentMenu(self._window, menu)
        self.learn = self._add(
            menu,
            "&Learn a light field…",
            "",
            "Make a light field of photographs, and watch it being learned",
        )
        self.scenes = SceneActions(self._window, menu)
        self.scene_settings = self._add(
            menu,
            "Scene settin&gs…",
            "Ctrl+,",
            "Near, far, background, camera and trained sphere, for files that do not say them",
        )
        self.scene_settings.setEnabled(False)
        menu.addSeparator()
        self.screenshot = self._add(
            menu, "&Save screenshot…", "Ctrl+S", "Save the rendered pixels as PNG"
        )
        self.copy = self._add(menu, "&Copy picture", "Ctrl+C", "Copy the rendered pixels")
        self.export = self._add(
            menu, "&Export CSV…", "Ctrl+E", "Save what every rendered frame cost as a table"
        )
        menu.addSeparator()
        self.sessions = SessionActions(self._window, menu)
        menu.addSeparator()
        self.preferences = self._add(
            menu, "&Preferences…", "Ctrl+P", "Theme, speed of flights, and what stays switched on"
        )
        self.quit = self._add(menu, "&Quit", "Ctrl+Q", "Close the viewer")
        # Also while the keys go to a panel that is a window of its own.
        self.quit.setShortcutContext(Qt.ShortcutContext.ApplicationShortcut)

    def offer_poses(self, dataset_open: bool) -> None:
        """There are poses to go to only where a dataset is open."""
        for action, tip in (
            (self.previous_pose, "Go to the pose before of the dataset"),
            (self.next_pose, "Go to the next pose of the dataset"),
            (self.nearest_pose, "Go to the pose of the dataset that is nearest to the camera"),
            (
                self.show_poses,
                "Draw the poses of the dataset over the picture; a click goes to one",
            ),
        ):
            self._offer(action, dataset_open, tip if dataset_open else "No dataset is open")

    def _make_view(self, docks: list[QDockWidget]) -> None:
        menu = self._menu("&View")
        self.hide_panels = self._add(
            menu, "&Hide panels", "H", "Hide everything but the picture", True
        )
        self.full_screen = self._add(menu, "&Full screen", "F11", "Fill the screen", True)
        self.integer_zoom = self._add(
            menu,
            "&Integer zoom",
            "Z",
            "Enlarge by whole factors with nearest sampling, so every pixel can be judged",
            True,
        )
        self.magnify = self._add(menu, "&Magnify pixels", "Ctrl++", "Show pixels one step larger")
        # Without Shift, what Ctrl and plus is on many keyboards.
        self.magnify.setShortcuts([QKeySequence("Ctrl++"), QKeySequence("Ctrl+=")])
        self.reduce = self._add(menu, "R&educe pixels", "Ctrl+-", "Show pixels one step smaller")
        self.fit = self._add(menu, "Fi&t picture", "Ctrl+0", "Show all of the picture")
        self.exact = self._add(
            menu, "&1:1 pixels", "Ctrl+Alt+0", "Show each pixel as one pixel of the screen"
        )
        self._make_locks(menu)
        self.fill_flat = self._add(
            menu,
            "Interpolate &flat areas",
            "N",
            "Take pixels whose surroundings differ by at most 2/255 from these: half of the rays",
            True,
        )
        menu.addSeparator()
        menu.addActions([toggle for dock in docks if (toggle := dock.toggleViewAction())])
        self.reset_layout = self._add(menu, "&Reset layout", "", "Put all panels back in place")
        menu.addSeparator()
        themes = self._submenu(menu, "&Theme", "Choose light or dark")
        group = QActionGroup(self._window)
        self.themes: dict[str, QAction] = {}
        for name in THEMES:
            tip = "Follow the system" if name == "System" else f"Always {name.lower()}"
            self.themes[name] = self._add(themes, f"&{name}", "", tip, True)
            group.addAction(self.themes[name])
        self.themes["System"].setChecked(True)

    def _make_locks(self, view: QMenu) -> None:
        menu = self._submenu(view, "&Lock resolution", "The coarsest picture while moving")
        self.next_lock = self._add(
            menu, "&Next", "L", "Lock the resolution one step finer, after the finest not at all"
        )
        menu.addSeparator()
        group = QActionGroup(self._window)
        self.locks: dict[int, QAction] = {}
        for stride in STRIDES:
            if stride == STRIDES[0]:
                text, tip = "&Automatic", "As coarse as the frame rate needs"
            elif stride == 1:
                text, tip = "&1:1, exact pixels only", "Never show an interpolated pixel"
            else:
                text, tip = f"1/&{stride} or finer", f"At least every {stride}th pixel each way"
            self.locks[stride] = self._add(menu, text, "", tip, True)
            group.addAction(self.locks[stride])
        self.locks[STRIDES[0]].setChecked(True)

    def _make_camera(self) -> None:
        menu = self._menu("&Camera")
        self.undo = self._add(menu, "&Undo camera move", "Ctrl+Z", "")
        self.redo = self._add(menu, "Re&do camera move", "Ctrl+Shift+Z", "")
        self.offer_history(False, False)
        menu.addSeparator()
        self.views: dict[str, QAction] = {
            "home": self._add(menu, "&Home", "R", "Go back to the first view"),
            "top": self._add(menu, "&Top", "T", "Look straight down"),
            "front": self._add(menu, "&Front", "F", "Look from the front"),
            "side": self._add(menu, "&Side", "G", "Look from the side"),
        }
        menu.addSeparator()
        self.previous_pose = self._add(menu, "Pre&vious pose", ",", "")
        self.next_pose = self._add(menu, "&Next pose", ".", "")
        self.nearest_pose = self._add(menu, "N&earest pose", "O", "")
        self.show_poses = self._add(menu, "Show &poses", "Shift+O", "", True)
        self.offer_poses(False)
        menu.addSeparator()
        self.bookmark_set = {
            number: self._add(
                keep, f"Bookmark &{number}", f"Ctrl+{number}", "Keep the present view here"
            )
            for keep in [self._submenu(menu, "&Set bookmark", "Keep the present view")]
            for number in NUMBERS
        }
        self.bookmark_recall = {
            number: self._add(go, f"Bookmark &{number}", f"Shift+{number}", "")
            for go in [self._submenu(menu, "&Go to bookmark", "Go back to a view that was kept")]
            for number in NUMBERS
        }
        self.offer_bookmarks(frozenset())
        menu.addSeparator()
        self.inertia = self._add(
            menu, "&Inertia", "I", "Let the camera glide on after a drag", True
        )
        self.smooth = self._add(
            menu, "S&mooth moves", "M", "Ease to views, bookmarks and zoom instead of jumping", True
        )
        self.canonical = self._add(
            menu,
            "Re-&base rays on trained sphere",
            "B",
            _CANONICAL_TIP,
            True,
        )

    def _make_help(self) -> None:
        menu = self._menu("&Help")
        self.keys = self._add(menu, "&Keys", "?", "Show all keys")
        self.about = self._add(menu, "&About R2L viewer", "", "Versions of everything it uses")
        # Esc has many meanings (see MainWindow), none of which a menu entry could name.
        self.dismiss = QAction("Dismiss", self._window)
        self.dismiss.setShortcut(QKeySequence(Qt.Key.Key_Escape))
        self._window.addAction(self.dismiss)

    def _make_corner(self) -> None:
        corner = QWidget()
        row = QHBoxLayout(corner)
        row.setContentsMargins(0, 0, 8, 0)
        row.setSpacing(2)
        for action, label in (
            (self.open, "Open"),
            (self.screenshot, "Screenshot"),
            (self.keys, "?"),
        ):
            button = QToolButton(corner)
            button.setDefaultAction(action)
            button.setText(label)
            button.setAutoRaise(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            row.addWidget(button)
        self.bar.setCornerWidget(corner)
