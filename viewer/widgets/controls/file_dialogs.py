"""Dialogs that ask for a file, and the desktop's own view of a folder. They return at once;
dialogs report through `fileSelected`."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QFileDialog, QWidget


def ask_light_field(parent: QWidget, folder: str) -> QFileDialog:
    """Ask which light field to open; an empty `folder` is the current one."""
    kinds = "Light fields (*.safetensors *.tar)"
    return _ask_file(parent, "Open a light field", folder, kinds)


def ask_dataset(parent: QWidget, folder: str) -> QFileDialog:
    """Ask for the folder of a dataset."""
    dialog = QFileDialog(parent, "Open a dataset", folder)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.open()
    return dialog


def ask_light_field_place(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to write a light field."""
    kind = "Light field"
    return _ask_place(parent, "Write the light field", folder, name, kind, "safetensors")


def ask_picture(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to save a PNG, with `name` as a proposal."""
    return _ask_place(parent, "Save the rendered pixels", folder, name, "PNG image", "png")


def ask_table(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to save a CSV, with `name` as a proposal."""
    return _ask_place(parent, "Export the measurements", folder, name, "CSV table", "csv")


def ask_map(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to save a difference, with `name` as a proposal."""
    return _ask_place(parent, "Save the difference", folder, name, "NumPy array", "npy")


def ask_mix(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to save which layers run in high precision."""
    return _ask_place(parent, "Save the mix of layers", folder, name, "JSON file", "json")


def ask_camera_path(parent: QWidget, folder: str) -> QFileDialog:
    """Ask which camera path to open."""
    return _ask_file(parent, "Open a camera path", folder, "Camera paths (*.json)")


def ask_camera_path_place(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to save a camera path."""
    return _ask_place(parent, "Save the camera path", folder, name, "Camera path", "json")


def ask_session(parent: QWidget, folder: str) -> QFileDialog:
    """Ask which session to go on with."""
    return _ask_file(parent, "Open a session", folder, "Sessions (*.json)")


def ask_session_place(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to save the session."""
    return _ask_place(parent, "Save the session", folder, name, "Session", "json")


def ask_film(parent: QWidget, folder: str, name: str) -> QFileDialog:
    """Ask where to write a film, in a format that its ending says."""
    dialog = _ask_place(parent, "Write a film", folder, name, "MP4 (H.264)", "mp4")
    kinds = ["WebM (VP9) (*.webm)", "GIF (*.gif)", "PNG pictures (*.png)"]
    dialog.setNameFilters([*dialog.nameFilters(), *kinds])
    dialog.filterSelected.connect(
        lambda kind: dialog.setDefaultSuffix(kind[kind.rfind(".") + 1 : -1])
    )
    return dialog


def show_in_folder(file: str) -> None:
    """Have the desktop show the folder of a file."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(file).absolute().parent)))


def _ask_file(parent: QWidget, title: str, folder: str, kinds: str) -> QFileDialog:
    dialog = QFileDialog(parent, title, folder)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilters([kinds, "All files (*)"])
    dialog.open()
    return dialog


def _ask_place(
    parent: QWidget, title: str, folder: str, name: str, kind: str, suffix: str
) -> QFileDialog:
    dialog = QFileDialog(parent, title, folder)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilters([f"{kind} (*.{suffix})"])
    dialog.setDefaultSuffix(suffix)
    dialog.selectFile(name)
    dialog.open()
    return dialog
