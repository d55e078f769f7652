"""How a dataset's files are taken: size, background, where the world is; kept in sessions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.viewer.small_datasets import WIDTH_PX, write_views
from viewer.app import App
from viewer.state.view_state import DatasetChoice
from viewer.widgets.controls.flat import FlatCombo

pytestmark = pytest.mark.slow


def combo(app: App, name: str) -> FlatCombo:
    (found,) = (
        one for one in app.window.dataset.findChildren(FlatCombo) if one.accessibleName() == name
    )
    return found


SIZE, WAY = "Size of the dataset's pictures", "How the dataset is taken"


def write_llff(folder) -> str:
    rows = []
    (folder / "images_8").mkdir(parents=True)
    for index in range(9):
        back = np.array([0.05 * index - 0.2, 0.02 * index**2, 1.0])
        back /= np.linalg.norm(back)
        right = np.cross((0, 1, 0), back) / np.linalg.norm(np.cross((0, 1, 0), back))
        down = -np.cross(back, right)
        matrix = np.stack([down, right, back, 4 * back, (128, 192, 240)], axis=1)
        rows.append([*matrix.reshape(-1), 2.0, 9.0])
        picture = Image.fromarray(np.full((16, 24, 3), 20 * index, np.uint8))
        picture.save(folder / "images_8" / f"{index}.png")
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return folder


def choose(app: App, until, name: str, position: int) -> None:
    before = app.dataset.dataset
    combo(app, name).activated.emit(position)
    until(lambda: app.dataset.dataset is not before)


def test_half_the_size(app, until, open_dataset, tmp_path):
    open_dataset(write_views(tmp_path / "toys"))
    choose(app, until, SIZE, 1)
    assert app.dataset.dataset.half
    assert app.dataset.dataset.cameras[0].width_px == WIDTH_PX // 2
    assert combo(app, SIZE).currentText() == "Half size"
    splits = combo(app, "Split of the dataset")
    splits.activated.emit(splits.findText("train"))
    until(lambda: app.dataset.dataset.split == "train")
    assert app.dataset.dataset.half, "another split is taken the same way"


def test_transparent_pictures_on_white_or_as_they_are(app, until, open_dataset, tmp_path):
    folder = write_views(tmp_path / "toys")
    clear = np.zeros((24, WIDTH_PX, 4), np.uint8)
    Image.fromarray(clear).save(folder / "test" / "r_0.png")
    dataset = open_dataset(folder)
    assert dataset.image(0).min() == 1.0
    assert combo(app, WAY).currentText() == "On white"
    choose(app, until, WAY, 1)
    assert app.dataset.dataset.image(0).max() == 0.0
    assert app.dataset.dataset.scene.background_rgb == (0.0, 0.0, 0.0)


def test_captures_in_front_or_all_around(app, until, open_dataset, tmp_path):
    dataset = open_dataset(write_llff(tmp_path / "fern"))
    assert dataset.scene.nerf_ndc
    assert [combo(app, WAY).itemText(k) for k in range(2)] == [
        "Forward-facing (NDC)",
        "All around (spherified)",
    ]
    choose(app, until, WAY, 1)
    assert not app.dataset.dataset.scene.nerf_ndc


def test_a_way_that_fails_leaves_what_is_open(app, until, open_dataset, tmp_path):
    folder = write_llff(tmp_path / "fern")
    dataset = open_dataset(folder)
    rows = np.load(folder / "poses_bounds.npy")
    rows[:, :15] = rows[0, :15]
    np.save(folder / "poses_bounds.npy", rows)
    combo(app, WAY).activated.emit(1)
    until(lambda: app.has_failed)
    assert app.dataset.dataset is dataset
    assert combo(app, WAY).currentIndex() == 0
    assert app.store.state.dataset.spherify is False
    app.expect_error()


@pytest.mark.parametrize("gone", [False, True])
def test_sessions_bring_the_dataset_back(app, until, open_dataset, tmp_path, gone):
    folder = write_views(tmp_path / "toys")
    open_dataset(folder)
    choose(app, until, SIZE, 1)
    choose(app, until, WAY, 1)
    wanted = DatasetChoice(str(folder), "test", half_res=True, keep_background=True)
    assert app.sessions.present().state.dataset == wanted
    file = tmp_path / "s.json"
    app.sessions.save(str(file))
    assert json.loads(file.read_text())["dataset"]["half_res"] is True
    open_dataset(write_views(tmp_path / "other"))
    app.store.change(render_size_px=(20, 20))
    if gone:
        (folder / "transforms_test.json").unlink()
    app.sessions.open(str(file))
    until(lambda: app.camera.camera().width_px == 64)
    assert app.store.state.dataset == (
        DatasetChoice(str(tmp_path / "other"), "test") if gone else wanted
    )
    assert app.has_failed is gone
    assert app.camera.camera().width_px == 64, "the rest of the session is there, too"
    app.expect_error()
