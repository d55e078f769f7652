"""The Record menu and its keys: the camera path, and films of it."""

from __future__ import annotations

from PyQt6.QtWidgets import QMainWindow

from viewer.widgets.panels.timeline_readout import TimelineReadout
from viewer.window.action_maker import ActionMaker

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
