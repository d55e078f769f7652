"""A small window for what a file cannot say of its scene; the picture follows every change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PyQt6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from r2l_core.geometry.camera import focal_from_angle
from viewer.state.scene_settings import KINDS, SceneSettings
from viewer.widgets import theme
from viewer.widgets.controls.flat import FlatButton, FlatCombo
from viewer.widgets.controls.value_spin import ValueSpin

_WIDTH_PX = 400
_OWN = "Own settings"
_FAR_MOST = 1e6
_TIPS = {
    "preset": "The published scenes by name; what differs from them becomes settings of your own.",
    "kind": "Sets where the first view stands, and what surrounds it.",
    "near": "Depth at which rays are first sampled, in scene units.",
    "far": "Depth at which rays are last sampled, in scene units.",
    "background": "Colour behind the scene, as #rrggbb.",
    "fov_x_deg": "Horizontal angle of the scene's own pictures.",
    "focal_px": "The same as a focal length, in pixels of the scene's own pictures.",
    "size": "Pixels of the scene's own pictures.",
    "sphere_radius": "Radius of the sphere on which the training cameras stood, in scene units. "
    "0: not known, so that rays cannot be re-based.",
}


class SceneDialog(QDialog):
    """Blocks nothing. Says what was edited, and shows what it is told; decides nothing."""

    preset_chosen = pyqtSignal(str)
    edited = pyqtSignal(SceneSettings)
    """SceneSettings with one change; they may be impossible, see `show_problems`."""
    reset_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Scene settings")
        self.setModal(False)
        self._settings: SceneSettings | None = None
        self._said = QLabel(self)
        self._said.setWordWrap(True)
        self._said.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._preset, self._kind = FlatCombo(self), FlatCombo(self)
        for kind, name in KINDS.items():
            self._kind.addItem(name, kind)
        self._near = ValueSpin("Near", 0.0, _FAR_MOST, 3, 0.1, " u", self)
        self._far = ValueSpin("Far", 0.0, _FAR_MOST, 3, 0.1, " u", self)
        self._fov_x = ValueSpin("Field of view", 1.0, 170.0, 2, 1.0, "°", self)
        self._focal = ValueSpin("Focal length", 0.1, 1e6, 1, 1.0, " px", self)
        self._width = ValueSpin("Width", 1, 16384, 0, 1, " px", self)
        self._height = ValueSpin("Height", 1, 16384, 0, 1, " px", self)
        self._sphere = ValueSpin("Trained sphere", 0.0, _FAR_MOST, 3, 0.01, " u", self)
        self._background = QLineEdit(self)
        self._background.setObjectName("background")
        self._swatch = _Swatch(self)
        self._reasons: dict[str, QLabel] = {}
        self._lay_out()
        self._wire()

    def offer_presets(self, names: Sequence[str]) -> None:
        """Offer presets, such as `blender:lego`."""
        self._preset.clear()
        self._preset.addItem(_OWN, "")
        # It says what is; to have settings of one's own is to change one.
        self._preset.offer(0, False)
        for name in names:
            self._preset.addItem(name, name)

    def show_settings(self, settings: SceneSettings) -> None:
        """Show settings; reports nothing, and leaves alone what the user is typing."""
        self._settings = settings
        for combo, chosen in ((self._preset, settings.preset), (self._kind, settings.kind)):
            combo.setCurrentIndex(max(0, combo.findData(chosen)))
        for field, value in (
            (self._near, settings.near),
            (self._far, settings.far),
            (self._fov_x, settings.fov_x_deg),
            (self._focal, _focal_px(settings)),
            (self._width, settings.width_px),
            (self._height, settings.height_px),
            (self._sphere, settings.sphere_radius),
        ):
            field.show_value(value)
        self._sphere.setSpecialValueText("not known")
        if not self._background.hasFocus():
            self._background.setText(settings.background)
        self._swatch.show_color(settings.background)
        self.show_problems({})

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Say beside each setting why it cannot be used, by its name in SceneSettings."""
        for name, label in self._reasons.items():
            label.setText(problems.get(name, ""))
            label.setVisible(name in problems)
        self.adjustSize()

    def show_said(self, text: str) -> None:
        """Say what the file says, and where the settings come from; sentences."""
        self._said.setText(text)
        self.adjustSize()

    def reasons(self) -> dict[str, str]:
        """Why settings cannot be used, as shown."""
        return {name: label.text() for name, label in self._reasons.items() if label.text()}

    def _wire(self) -> None:
        self._preset.activated.connect(self._choose_preset)
        self._kind.activated.connect(lambda _at: self._edit(kind=self._kind.currentData()))
        for field, name in (
            (self._near, "near"),
            (self._far, "far"),
            (self._fov_x, "fov_x_deg"),
            (self._sphere, "sphere_radius"),
        ):
            field.edited.connect(lambda value, one=name: self._edit(**{one: value}))
        self._focal.edited.connect(self._edit_focal)
        self._width.edited.connect(lambda value: self._edit(width_px=round(value)))
        self._height.edited.connect(lambda value: self._edit(height_px=round(value)))
        self._background.textEdited.connect(lambda text: self._edit(background=text.strip()))

    def _choose_preset(self, at: int) -> None:
        self.preset_chosen.emit(self._preset.itemData(at))

    def _edit_focal(self, focal_px: float) -> None:
        if self._settings is not None:
            fov_x_deg = math.degrees(2 * math.atan(self._settings.width_px / 2 / focal_px))
            self._edit(fov_x_deg=fov_x_deg)

    def _edit(self, **changed: object) -> None:
        # Only what was edited: the others are shown rounded, and must not be rounded for that.
        if self._settings is not None:
            self._settings = replace(self._settings, preset="", **changed)  # type: ignore[arg-type]
            self._preset.setCurrentIndex(0)
            self.edited.emit(self._settings)

    # Building

    def _lay_out(self) -> None:
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnMinimumWidth(0, theme.label_column_px(self))
        for field in (self._near, self._far, self._fov_x, self._focal, self._width, self._height):
            field.setKeyboardTracking(True)
        self._sphere.setKeyboardTracking(True)
        for text, name, *widgets in (
            ("Preset", "preset", self._preset),
            ("Scene type", "kind", self._kind),
            ("Near", "near", self._near),
            ("Far", "far", self._far),
            ("Background", "background", self._swatch, self._background),
            ("Field of view", "fov_x_deg", self._fov_x),
            ("Focal length", "focal_px", self._focal),
            ("Picture size", "size", self._width, QLabel("×", self), self._height),
            ("Trained sphere", "sphere_radius", self._sphere),
        ):
            self._add_row(text, name, widgets)
        reset = FlatButton("Reset", "Back to what the file and its name say", self)
        reset.clicked.connect(self.reset_requested)
        done = FlatButton("Close", "Keep these settings for this file", self)
        done.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(reset)
        buttons.addStretch(1)
        buttons.addWidget(done)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.setSpacing(10)
        column.addWidget(self._said)
        column.addLayout(self._grid)
        column.addLayout(buttons)
        self.setFixedWidth(_WIDTH_PX)
        for button in self.findChildren(QPushButton):
            # Enter ends the typing of a number, and closes nothing.
            button.setAutoDefault(False)

    def _add_row(self, text: str, name: str, widgets: Sequence[QWidget]) -> None:
        row = self._grid.rowCount()
        label = QLabel(text, self)
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        label.setToolTip(_TIPS[name])
        label.setBuddy(widgets[-1])
        self._grid.addWidget(label, row, 0)
        fields = QHBoxLayout()
        fields.setSpacing(6)
        for widget in widgets:
            widget.setToolTip(_TIPS[name])
            widget.setAccessibleName(widget.accessibleName() or text)
            fields.addWidget(widget, 0 if isinstance(widget, QLabel | _Swatch) else 1)
        self._grid.addLayout(fields, row, 1)
        reason = self._reasons[name] = _Reason(self)
        self._grid.addWidget(reason, row + 1, 1)


class _Reason(QLabel):
    """Why the field above cannot be used."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.hide()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        theme.set_text_color(self, QColor(theme.tones_of(self).error))
        super().paintEvent(event)


class _Swatch(QWidget):
    """The background colour; crossed out where there is none."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._color = QColor()

    def show_color(self, text: str) -> None:
        self._color = QColor(text)
        self.update()

    def sizeHint(self) -> QSize:
        side = self.fontMetrics().height() + theme.CONTROL_PADDING_PX
        return QSize(side, side)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.tones_of(self).line), 1))
        painter.setBrush(self._color if self._color.isValid() else Qt.BrushStyle.NoBrush)
        place = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(place, 2.0, 2.0)
        if not self._color.isValid():
            painter.drawLine(place.topLeft(), place.bottomRight())


def _focal_px(settings: SceneSettings) -> float:
    return focal_from_angle(settings.width_px, math.radians(settings.fov_x_deg))
