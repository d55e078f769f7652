"""Where the camera is: orbit angles, radius, field of view and pivot as editable numbers; and the
views that are kept."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from r2l_core.geometry.orbit import Orbit
from viewer.widgets import theme
from viewer.widgets.controls.flat import FlatButton
from viewer.widgets.controls.timers import Throttle
from viewer.widgets.controls.value_spin import ScrubLabel, ValueSpin
from viewer.widgets.panels.orientation_gizmo import OrientationGizmo


class BookmarkRow(QWidget):
    """A number that holds no view is disabled, and says how to set it."""

    recalled = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Bookmarks")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        self._buttons: dict[int, FlatButton] = {}
        for number in range(1, 10):
            button = FlatButton(str(number), "", self)
            button.clicked.connect(lambda _=False, one=number: self.recalled.emit(one))
            # A push button's own policy would make nine of them wider than the panel.
            button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            row.addWidget(button, 1)
            self._buttons[number] = button
        self.show_set(frozenset())

    def show_set(self, numbers: Set[int]) -> None:
        """Mark the numbers that hold a view."""
        for number, button in self._buttons.items():
            is_set = number in numbers
            button.setEnabled(is_set)
            button.setToolTip(
                f"Go to bookmark {number} (Shift+{number}). Ctrl+{number} sets it anew."
                if is_set
                else f"Bookmark {number} is not set. Ctrl+{number} keeps the present view here."
            )
            button.setAccessibleName(f"Bookmark {number}, {'set' if is_set else 'not set'}")


VIEWS: tuple[tuple[str, str], ...] = (
    ("home", "Home"),
    ("top", "Top"),
    ("front", "Front"),
    ("side", "Side"),
)
"""Name in `view_requested`, and label, of each preset view."""

_DIGITS_MS = 100
"""How often the digits follow a camera that moves: nobody reads them faster, and during a drag the
picture needs the time."""

_FAR = 10_000.0
_AXES = "XYZ"


class CameraPanel(QWidget):
    """Edits an `Orbit` (angles in degrees, lengths in scene units) and a field of view in degrees.

    A value scrolled through by dragging reports every step, so the picture follows.
    """

    orbit_edited = pyqtSignal(Orbit)
    fov_x_edited = pyqtSignal(float)
    view_requested = pyqtSignal(str)
    bookmark_recalled = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Camera")
        self._orbit = Orbit(0.0, 0.0, 1.0)
        self._shown_fov_x_deg = 40.0
        self._home = (self._orbit, 40.0)
        self._digits = Throttle(self._show_digits, _DIGITS_MS, self)
        self._azimuth = ValueSpin("Azimuth in degrees", -180, 180, 1, 1.0, "°")
        self._azimuth.setWrapping(True)
        self._elevation = ValueSpin("Elevation in degrees", -90, 90, 1, 1.0, "°")
        self._radius = ValueSpin("Radius in scene units", 0.05, 1000, 3, 0.05, " u")
        self._fov_x = ValueSpin("Horizontal field of view in degrees", 1, 170, 1, 0.5, "°")
        self._pivot = [ValueSpin(f"Pivot {axis}", -_FAR, _FAR, 3, 0.02) for axis in _AXES]
        self._axes = OrientationGizmo(self)
        self._axes.orbit_chosen.connect(self.orbit_edited)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._make_fields())
        column.addSpacing(2)
        column.addLayout(self._make_views())
        column.addSpacing(2)
        column.addWidget(self._make_heading("Bookmarks", "Views kept for this light field."))
        self._bookmarks = BookmarkRow(self)
        self._bookmarks.recalled.connect(self.bookmark_recalled)
        column.addWidget(self._bookmarks)
        column.addSpacing(2)
        column.addWidget(self._axes, 0, Qt.AlignmentFlag.AlignHCenter)
        self.setEnabled(False)

    def show_orbit(self, orbit: Orbit, fov_x_deg: float) -> None:
        """Show where the camera is; reports nothing."""
        self.setEnabled(True)
        self._orbit = orbit
        self._shown_fov_x_deg = fov_x_deg
        self._axes.show_orbit(orbit)
        self._digits.ask()

    def _show_digits(self) -> None:
        orbit = self._orbit
        self._azimuth.show_value(orbit.azimuth_deg)
        self._elevation.show_value(orbit.elevation_deg)
        self._radius.show_value(orbit.radius)
        self._fov_x.show_value(self._shown_fov_x_deg)
        for field, value in zip(self._pivot, orbit.pivot, strict=True):
            field.show_value(value)

    def show_bookmarks(self, numbers: Set[int]) -> None:
        """Mark which numbers hold a view."""
        self._bookmarks.show_set(numbers)

    def set_home(self, orbit: Orbit, fov_x_deg: float) -> None:
        """Set what a double-click on a label goes back to."""
        self._home = (orbit, fov_x_deg)

    def _make_fields(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.setColumnMinimumWidth(0, theme.label_column_px(self))
        rows = (
            ("Azimuth", self._azimuth, "Turn about the vertical axis, counter-clockwise from +X."),
            ("Elevation", self._elevation, "Height above the horizon; 90° looks straight down."),
            ("Radius", self._radius, "Distance from the camera to its pivot, in scene units."),
            ("Field of view", self._fov_x, "Horizontal angle that the picture shows."),
        )
        for row, (text, field, explanation) in enumerate(rows):
            grid.addWidget(self._make_label(text, field, explanation), row, 0)
            grid.addWidget(field, row, 1)
        heading = self._make_heading(
            "Pivot", "The point the camera looks at and turns about, in scene units."
        )
        grid.addWidget(heading, len(rows), 0)
        pivots = QHBoxLayout()
        pivots.setSpacing(4)
        for axis, field in zip(_AXES, self._pivot, strict=True):
            pivots.addWidget(self._make_label(axis, field, f"Pivot {axis}, in scene units."))
            pivots.addWidget(field, 1)
        grid.addLayout(pivots, len(rows) + 1, 0, 1, 2)
        self._azimuth.edited.connect(lambda value: self._edit(azimuth_deg=value))
        self._elevation.edited.connect(lambda value: self._edit(elevation_deg=value))
        self._radius.edited.connect(lambda value: self._edit(radius=value))
        self._fov_x.edited.connect(self.fov_x_edited)
        for position, field in enumerate(self._pivot):
            field.edited.connect(lambda value, at=position: self._edit_pivot(at, value))
        return grid

    def _make_heading(self, text: str, explanation: str) -> QLabel:
        heading = QLabel(text, self)
        heading.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        heading.setToolTip(explanation)
        return heading

    def _make_label(self, text: str, field: ValueSpin, explanation: str) -> ScrubLabel:
        label = ScrubLabel(text, field, explanation, self)
        label.reset_requested.connect(lambda: self._reset(field))
        return label

    def _make_views(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        for name, text in VIEWS:
            button = FlatButton(text, f"Go to the {name} view", self)
            button.clicked.connect(lambda _=False, view=name: self.view_requested.emit(view))
            row.addWidget(button, 1)
        return row

    def _edit(self, **changed: float) -> None:
        # Only the edited number: the others are shown rounded, and must not be rounded for that.
        self._orbit = replace(self._orbit, **changed)  # type: ignore[arg-type]
        self.orbit_edited.emit(self._orbit)

    def _edit_pivot(self, position: int, value: float) -> None:
        pivot = list(self._orbit.pivot)
        pivot[position] = value
        self._orbit = replace(self._orbit, pivot=(pivot[0], pivot[1], pivot[2]))
        self.orbit_edited.emit(self._orbit)

    def _reset(self, field: ValueSpin) -> None:
        orbit, fov_x_deg = self._home
        homes = {
            self._azimuth: orbit.azimuth_deg,
            self._elevation: orbit.elevation_deg,
            self._radius: orbit.radius,
            self._fov_x: fov_x_deg,
            **dict(zip(self._pivot, orbit.pivot, strict=True)),
        }
        field.setValue(homes[field])
