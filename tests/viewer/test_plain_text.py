"""Texts from outside stay text: no label, tooltip, menu or dialog reads the file that a name such
as `<img src=...>` points to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QApplication, QLabel, QMenu, QMessageBox, QToolTip, QVBoxLayout, QWidget

from r2l_core.errors import CheckpointError
from r2l_core.types import Precision
from tests.viewer.small_datasets import write_views
from tests.viewer.states import shown
from viewer.widgets import theme
from viewer.window.messages import describe

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")


class Bait:
    """A pipe that says whether anybody has opened it to read."""

    def __init__(self, folder: Path) -> None:
        self._path, self._mark = folder / "f", folder / "taken"
        os.mkfifo(self._path)
        # A process: Qt opens files without letting other threads of Python run.
        script = 'while :; do : > "$1"; : > "$2"; done'
        self._process = subprocess.Popen(["sh", "-c", script, "sh", self._path, self._mark])

    @property
    def taken(self) -> bool:
        return self._mark.exists()

    @property
    def text(self) -> str:
        """What a file may be called: slashes are written as rich text has them."""
        return f'<img src="{self._path}">'.replace("/", "&#47;")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def bait(tmp_path) -> Iterator[Bait]:
    bait = Bait(tmp_path)
    yield bait
    bait.end()


def show_tips(widget: QWidget) -> None:
    """Every tooltip below a widget, those of its actions included, one after the other."""
    tips = [one.toolTip() for one in (widget, *widget.findChildren(QWidget))]
    tips += [one.toolTip() for one in widget.findChildren(QAction)]
    for tip in dict.fromkeys(filter(None, tips)):
        QToolTip.showText(widget.mapToGlobal(QPoint(1, 1)), tip, widget)
        QApplication.processEvents()
    QToolTip.hideText()


def test_the_bait_is_taken_by_rich_text(qtbot, bait):
    """What the other tests rely on."""
    label = QLabel()
    qtbot.addWidget(label)
    label.setTextFormat(label.textFormat().RichText)
    label.setText(bait.text)
    label.show()
    qtbot.waitUntil(lambda: bait.taken)


def test_labels_tooltips_menus_and_boxes(qtbot, qapp, bait):
    theme.install(qapp)
    window = QWidget()
    qtbot.addWidget(window)
    label = QLabel(bait.text)
    label.setToolTip(bait.text)
    QVBoxLayout(window).addWidget(label)
    menu = QMenu(bait.text, window)
    menu.setToolTipsVisible(True)
    menu.addAction(bait.text)
    box = QMessageBox(window)
    box.setText(bait.text)
    box.setInformativeText(bait.text)
    for one in (window, box):
        one.show()
        qapp.processEvents()
    show_tips(window)
    assert not bait.taken
    assert label.text() == bait.text


def named(light_field: str, bait: Bait, folder: Path) -> str:
    """The file again, under the name of the bait."""
    path = folder / f"{bait.text}.safetensors"
    shutil.copy(light_field, path)
    return str(path)


def test_everything_from_outside(tmp_path, write_light_field, make_app, until, bait, qapp):
    """A light field, a dataset, its pictures, a session and an error, all named after the bait."""
    checkpoint = named(write_light_field(), bait, tmp_path)
    app = make_app(shown(checkpoint, precision=Precision.FP32))
    app.start()
    until(lambda: app.report.has_picture)
    folder = write_views(tmp_path / bait.text)
    for picture in (folder / "test").iterdir():
        picture.rename(picture.with_name(f"{bait.text}{picture.name}"))
    poses = folder / "transforms_test.json"
    poses.write_text(poses.read_text().replace("test/", f"test/{json.dumps(bait.text)[1:-1]}"))
    app.window.dataset_requested.emit(str(folder))
    until(lambda: not app.dataset.opening)
    assert app.dataset.dataset is not None
    assert bait.text in app.dataset.dataset.views[0].name
    app.dataset.step(1)
    session = tmp_path / f"{bait.text}.json"
    app.sessions.save(str(session))
    assert session.exists()
    app.show_error(CheckpointError(bait.text, bait.text, bait.text))
    app.window.show_busy(bait.text)
    app.window.show_badge(bait.text)
    app.window.scene.show_notes([bait.text, bait.text])
    show_tips(app.window)
    assert not bait.taken
    assert bait.text in app.window.windowTitle()


def test_names_that_are_not_utf_8(tmp_path, write_light_field, make_app, until):
    """They open like others, and are shown with their bytes escaped; a session brings them back."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    checkpoint = folder / "f\udcff.safetensors"
    shutil.copy(write_light_field(), checkpoint)
    app = make_app(shown(str(checkpoint), precision=Precision.FP32))
    app.start()
    until(lambda: app.report.has_picture)
    assert r"f\xff" in app.window.windowTitle()
    app.files.open(str(write_views(folder / "set\udce9")))
    until(lambda: app.dataset.dataset is not None)
    assert app.dataset.dataset.name == r"set\xe9"
    session = folder / "s\udce9.json"
    app.sessions.save(str(session))
    app.dataset.close_dataset()
    app.files.open(str(session))
    until(lambda: app.dataset.dataset is not None and not app.dataset.opening)
    assert app.store.state.light_field.checkpoint == str(checkpoint)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("a\u061cb\u200f\u200e", r"a\u061cb\u200f\u200e"),
        ("a\u3164b\uffa0\u115f", r"a\u3164b\uffa0\u115f"),
        ("a\u2800b\ufe01\u034f", r"a\u2800b\ufe01\u034f"),
        ("a\U000e0041b\U000e0100", r"a\U000e0041b\U000e0100"),
        ("\u0645\u06cc\u200c\u062e \u2764\ufe0f", "\u0645\u06cc\u200c\u062e \u2764\ufe0f"),
        ("a\nerror: b", "a error: b"),
        ("caf\udce9", r"caf\xe9"),
        ("x" * 5_000_000, None),
    ],
    ids=[
        *("terminal", "bidirectional", "marks", "fillers", "blanks", "tags", "joined"),
        *("lines", "bytes", "flood"),
    ],
)
def test_messages_are_one_clean_paragraph(text, shown):
    for message in (describe(CheckpointError(text, text, text)), describe(OSError(text))):
        for said in (message.what, message.why, message.remedy):
            assert said.replace("\u200c", "").isprintable()
            assert len(said) <= 600
    if shown is not None:
        assert describe(CheckpointError(text, "why")).what == shown
