"""What was opened or saved last, in the File menu; where it is on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtCore import QObject, Qt, QUrl, pyqtSlot
from PyQt6.QtGui import QDesktopServices

from tests.viewer.find import button
from tests.viewer.small_datasets import write_views
from tests.viewer.states import shown
from viewer.app import App

pytestmark = pytest.mark.slow


def entries(app: App) -> dict[str, object]:
    """Name of the file and action, in their order."""
    actions = app.window.commands.recent.menu.actions()
    return {one.text().split(" – ")[0]: one for one in actions if one.text()}


def test_whatever_was_used_is_offered_and_opens_as_what_it_is(
    app, until, tmp_path, write_light_field, open_dataset
):
    first = Path(app.rendering.running.wish.light_field.checkpoint).name
    assert next(iter(entries(app))) == first
    other = Path(write_light_field("other"))
    app.files.open(str(other))
    until(lambda: app.rendering.running.name == "other")
    open_dataset(write_views(tmp_path / "toys"))
    app.sessions.save(str(tmp_path / "s.json"))
    assert list(entries(app)) == ["s.json", "toys", other.name, first, "&Clear this list"]
    entries(app)[first].trigger()
    until(lambda: app.rendering.running.wish.light_field.checkpoint.endswith(first))
    assert next(iter(entries(app))) == first


def test_the_list_outlasts_the_window_and_can_be_cleared(app, make_app):
    names = list(entries(app))
    app.close()
    again = make_app(shown("demo"))
    assert list(entries(again)) == names
    entries(again)["&Clear this list"].trigger()
    assert list(entries(again)) == ["&Clear this list"]
    assert not again.window.commands.recent.menu.isEnabled()


class Desktop(QObject):
    """Takes what would be shown by the desktop."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    @pyqtSlot(QUrl)
    def show(self, url: QUrl) -> None:
        self.shown.append(url.toLocalFile())


@pytest.fixture
def desktop() -> Desktop:
    desktop = Desktop()
    QDesktopServices.setUrlHandler("file", desktop.show)
    yield desktop
    QDesktopServices.unsetUrlHandler("file")


@pytest.mark.parametrize("what", ["picture", "table", "session", "path"])
def test_what_was_saved_can_be_shown_in_its_folder(qtbot, app, until, tmp_path, desktop, what):
    folder = tmp_path / "there"
    folder.mkdir()
    show = button(app.window, "Show in folder")
    assert not show.isVisible()
    if what == "picture":
        app.saving.save_picture(str(folder / "a.png"))
    elif what == "table":
        app.saving.save_table(str(folder / "a.csv"))
    elif what == "session":
        app.sessions.save(str(folder / "a.json"))
    else:
        app.window.commands.record.add_key.trigger()
        app.camera_path.save(str(folder / "a.json"))
    until(show.isVisible)
    qtbot.mouseClick(show, Qt.MouseButton.LeftButton)
    assert desktop.shown == [str(folder)]
