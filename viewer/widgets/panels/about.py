"""What this program is made of, with versions, for a bug report."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from PyQt6.QtCore import QT_VERSION_STR, Qt
from PyQt6.QtWidgets import QMessageBox, QWidget

_PACKAGES = ("PyQt6", "pyqtgraph", "numpy", "torch", "openvino")


def versions() -> dict[str, str]:
    """Installed versions by name, read without importing anything; missing ones are left out."""
    found = {"Python": platform.python_version(), "Qt": QT_VERSION_STR}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def show_about(parent: QWidget, program_version: str) -> QMessageBox:
    """Open a box that blocks nothing; its text can be selected and copied."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setModal(False)
    box.setWindowTitle("About R2L viewer")
    box.setIconPixmap(parent.windowIcon().pixmap(64, 64))
    box.setTextFormat(Qt.TextFormat.RichText)
    box.setText(
        f"<b>R2L viewer {program_version}</b><br>Explore neural light fields at every precision."
    )
    box.setInformativeText("\n".join(f"{name} {number}" for name, number in versions().items()))
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    box.show()
    return box
