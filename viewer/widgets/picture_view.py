"""The middle of the window: an error if there is one, the picture, and the line that labels it."""

from __future__ import annotations

from PyQt6.QtWidgets import QVBoxLayout, QWidget

from r2l_core.types import Frame
from viewer.widgets.image_pane import ImagePane
from viewer.widgets.message_bar import MessageBar
from viewer.widgets.picture_footer import PictureFooter


class PictureView(QWidget):
    """Message bar, image pane and footer, one below the other."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = MessageBar(self)
        self.pane = ImagePane(self)
        self.footer = PictureFooter(self)
        self.pane.placement_changed.connect(self.footer.show_placement)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.message)
        column.addWidget(self.pane, 1)
        column.addWidget(self.footer)

    def show_frame(self, frame: Frame) -> None:
        """Show a picture with its label."""
        self.pane.show_frame(frame)
        self.footer.show_frame(frame)
