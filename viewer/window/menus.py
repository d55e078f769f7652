"""Menus of their own: Compare, Record, and sessions, recent files and scenes in the File menu."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtGui import QAction, QActionGroup
from PyQt6.QtWidgets import QMainWindow, QMenu

from r2l_core.errors import plain
from r2l_core.geometry.scene import PRESETS
from viewer.state.panes import CompareMode
from viewer.widgets.panels.timeline_readout import TimelineReadout
from viewer.window.action_maker import ActionMaker

_MODES = {
    CompareMode.SINGLE: ("S&ingle", "Show one pane"),
    CompareMode.SIDE: ("&Side by side", "Show all panes beside each other"),
    CompareMode.WIPE: ("&Wipe", "Show two panes in one place, with a divider between them"),
    CompareMode.FLIP: ("&Flip", "Show one pane, and another while X is held"),
    CompareMode.DIFFERENCE: ("&Difference", "Show how much one pane differs from another"),
}


class CompareActions(ActionMaker):
    """Ways of comparing, and the divider of a wipe."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        menu = self._menu("C&ompare")
        self.next_mode = self._add(menu, "&Next compare mode", "C", "Compare in the next mode")
        self.modes = {
            mode: self._add(menu, text, "", tip, True) for mode, (text, tip) in _MODES.items()
        }
        group = QActionGroup(window)
        for action in self.modes.values():
            group.addAction(action)
        menu.addSeparator()
        self.level = self._add(menu, "Le&vel divider", "V", "", True)
        self.divider_back = self._add(menu, "Divider &left", "[", "")
        self.divider_on = self._add(menu, "Divider &right", "]", "")
        self.divider_middle = self._add(menu, "Divider to the &middle", "", "")
        self.show_mode(CompareMode.SINGLE)

    def show_mode(self, mode: CompareMode) -> None:
        """Check the way that is used, and offer the divider only where there is one."""
        self.modes[mode].setChecked(True)
        wipes = mode is CompareMode.WIPE
        for action, tip in (
            (self.level, "Let the divider lie instead of stand"),
            (self.divider_back, "Move the divider left or up"),
            (self.divider_on, "Move the divider right or down"),
            (self.divider_middle, "Put the divider in the middle"),
        ):
            self._offer(action, wipes, tip if wipes else "Only a wipe has a divider")


_PRESETS = {
    "turntable": ("&Turntable", "Once around the pivot, from the present view"),
    "spiral": ("&Spiral", "Twice around while climbing from the horizon to the pole"),
    "dolly": ("&Dolly", "Towards the pivot and back"),
}


class RecordActions(ActionMaker):
    """What can be done with a path."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        menu = self._menu("&Record")
        self.add_key = self._add(
            menu, "Add &keyframe", "K", "Add the present view to the camera path"
        )
        self.edit_key = self._add(menu, "&Edit key…", "Shift+K", "")
        self.delete_key = self._add(menu, "&Delete keyframe", "", "")
        self.undo = self._add(menu, "&Undo path edit", "", "")
        self.redo = self._add(menu, "Re&do path edit", "", "")
        self.play = self._add(menu, "&Play path", "P", "", True)
        self.loop = self._add(menu, "&Loop path", "", "", True)
        menu.addSeparator()
        self.preset_menu = self._submenu(menu, "P&resets", "Begin with a ready-made path")
        self.presets = {
            name: self._add(self.preset_menu, text, "", tip)
            for name, (text, tip) in _PRESETS.items()
        }
        self.open_path = self._add(
            menu, "&Open path…", "", "Open a camera path of this program or of nerfstudio"
        )
        self.save_path = self._add(menu, "&Save path…", "", "")
        self.save_nerfstudio = self._add(menu, "Save path for &nerfstudio…", "", "")
        menu.addSeparator()
        self.record = self._add(menu, "Re&cord…", "Ctrl+R", "Make a film of the camera path")
        self.live = self._add(
            menu,
            "Film the &screen",
            "Ctrl+Shift+R",
            "Film what is seen, as it is seen, until stopped",
            True,
        )
        self.live_pointer = self._add(
            menu,
            "Po&inter in films of the screen",
            "",
            "Draw where the pointer goes into them",
            True,
        )
        self.show_path(TimelineReadout())

    def show_path(self, readout: TimelineReadout) -> None:
        """Offer only what the path allows; reports nothing."""
        has_path = bool(readout.key_seconds)
        without = "There is no camera path: K adds a keyframe"
        for action, possible, tip, why_not in (
            (
                self.edit_key,
                readout.selected is not None,
                "Set field of view, precisions, wipe and gain of the marked keyframe",
                "No keyframe is marked",
            ),
            (
                self.delete_key,
                readout.selected is not None,
                "Delete the marked keyframe",
                "No keyframe is marked",
            ),
            (self.undo, readout.can_undo, "Undo the last edit of the path", "Nothing was edited"),
            (self.redo, readout.can_redo, "Make the undone edit again", "Nothing was undone"),
            (
                self.play,
                readout.seconds > 0,
                "Move the camera along the path, or stop it",
                "A path to play has two keyframes at least: K adds one",
            ),
            (self.loop, has_path, "Lead the path back to its beginning", without),
            (self.save_path, has_path, "Save the camera path", without),
            (
                self.save_nerfstudio,
                has_path,
                "Save the path as nerfstudio's viewer reads it",
                without,
            ),
        ):
            self._offer(action, possible, tip if possible else why_not)
        self.loop.blockSignals(True)
        self.loop.setChecked(readout.loop)
        self.loop.blockSignals(False)


class SessionActions(ActionMaker):
    """What is open and how it is looked at, kept in files."""

    def __init__(self, window: QMainWindow, menu: QMenu) -> None:
        super().__init__(window)
        self.save = self._add(
            menu,
            "Save s&ession…",
            "Ctrl+Shift+S",
            "Save what is open and how it is looked at: engines, camera, path, panes",
        )
        self.open = self._add(
            menu, "Ope&n session…", "Ctrl+Shift+O", "Go on with a session that was saved"
        )
        self.restore = self._add(menu, "Restore &last session", "", "")
        self.offer_last(False)

    def offer_last(self, possible: bool) -> None:
        """There is a session to go on with, from when the window was last closed."""
        tip = "Go on where the window was last closed" if possible else "No session was kept yet"
        self._offer(self.restore, possible, tip)


class RecentMenu(ActionMaker):
    """Files by their names; their whole paths are in the tooltips."""

    def __init__(self, window: QMainWindow, menu: QMenu) -> None:
        super().__init__(window)
        tip = "Light fields, datasets, camera paths and sessions that were used last"
        self.menu = self._submenu(menu, "Open &recent", tip)
        self.menu.setEnabled(False)

    def show_files(
        self,
        files: Sequence[str],
        chosen: Callable[[str], object],
        forget: Callable[[], object],
    ) -> None:
        """Offer these files, the latest first, and to forget them."""
        self.menu.clear()
        self.menu.setEnabled(bool(files))
        for file in files:
            path = Path(file)
            # The folder tells files of one name apart. An ampersand would be taken for a mnemonic.
            text = plain(f"{path.name} – {path.parent.name}").replace("&", "&&")
            self._entry(text, plain(file), partial(chosen, file))
        self.menu.addSeparator()
        self._entry("&Clear this list", "Forget these files; they stay where they are", forget)

    def _entry(self, text: str, tip: str, chosen: Callable[[], object]) -> None:
        action = QAction(text, self.menu)
        action.setToolTip(tip)
        action.setStatusTip(tip)
        action.triggered.connect(lambda: chosen())
        self.menu.addAction(action)


_KINDS = {
    "blender": ("&Blender", "NeRF synthetic scenes: white background, cameras all around"),
    "llff": ("&LLFF", "Forward-facing captures"),
    "donerf": ("D&ONeRF", "Scenes with cameras amid them"),
}
"""Presets by the first part of their name."""


class SceneActions(ActionMaker):
    """Scene presets in the File menu."""

    def __init__(self, window: QMainWindow, file: QMenu) -> None:
        super().__init__(window)
        menu = self._submenu(
            file, "Scene &preset", "Where the scene lies, for files that do not say it themselves"
        )
        group = QActionGroup(window)
        group.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
        own = self._add(
            menu,
            "Read from the &file",
            "",
            "Use the scene in the file; a released file takes that of the open dataset",
            True,
        )
        self.presets: dict[str | None, QAction] = {None: own}
        menu.addSeparator()
        kinds = {kind: self._submenu(menu, title, tip) for kind, (title, tip) in _KINDS.items()}
        for preset, scene in PRESETS.items():
            kind, _, name = preset.rpartition(":")
            tip = f"near {scene.near:g}, far {scene.far:g}, {scene.width_px}×{scene.height_px}"
            self.presets[preset] = self._add(kinds.get(kind, menu), name, "", tip, True)
        for action in self.presets.values():
            group.addAction(action)

    def show_choice(self, scene: str | None) -> None:
        """Check the preset that is used; none for the scene of a file."""
        for preset, action in self.presets.items():
            action.setChecked(preset == scene)
