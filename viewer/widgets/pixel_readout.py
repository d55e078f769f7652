"""The colours of the pixel under the pointer, in every pane."""

from __future__ import annotations

from PyQt6.QtWidgets import QWidget

from viewer import theme
from viewer.widgets.compare_mode import PixelProbe
from viewer.widgets.elided_label import ElidedLabel
from viewer.widgets.pane_label import LETTERS
from viewer.widgets.wording import FIGURE_SPACE

_BETWEEN = "   "


class PixelReadout(ElidedLabel):
    """Column and row, then red, green and blue of each pane, then the difference of A and B."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setFont(theme.font(self, tabular=True))
        self.setAccessibleName("Pixel under the pointer")

    def show_probe(self, probe: PixelProbe | None) -> None:
        """Show one pixel; None once the pointer is beside the picture."""
        if probe is None:
            self.setText("")
            return
        parts = [f"{_padded(probe.x_px, 4)},{_padded(probe.y_px, 4)}"]
        alone = len(probe.colors) == 1
        for letter, color in zip(LETTERS, probe.colors, strict=False):
            values = " ".join(_padded(one, 3) for one in color)
            parts.append(values if alone else f"{letter} {values}")
        if probe.difference:
            parts.append(f"A−B {probe.difference}")
        text = _BETWEEN.join(parts)
        self.setText(text)
        self.setToolTip(f"Column, row; red, green and blue from 0 to 255.\n{text}")


def _padded(value: int, digits: int) -> str:
    """As many places as digits, so that what follows does not move."""
    return str(value).rjust(digits, FIGURE_SPACE)
