"""Lenses and names as the world spells them: drawn at random, the camera and the picture must be
the same however they are written. And pictures that are none, or ask for too much."""

from __future__ import annotations

import io
import json
import math
import random
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from r2l_core import limits
from r2l_core.datasets import open_dataset
from r2l_core.errors import DatasetError
from r2l_core.geometry.orbit import Orbit

WIDTH, HEIGHT = 24, 18
POSE = Orbit(30.0, 20.0, 4.0).T_world_camera().tolist()

Fields = dict[str, object]
Lens = tuple[float, float, float, float]
"""Focal lengths along both axes, and the axis, in pixels of the picture."""


def matrix(lens: Lens, side: int) -> list[list[float]]:
    rows = np.eye(side)
    rows[0, 0], rows[1, 1], rows[0, 2], rows[1, 2] = lens
    return rows.tolist()


def angles(lens: Lens) -> tuple[float, float]:
    return 2 * math.atan(WIDTH / 2 / lens[0]), 2 * math.atan(HEIGHT / 2 / lens[1])


def larger(lens: Lens, times: int, *names: str) -> Fields:
    """As if the picture had been made smaller since."""
    values = [times * one for one in (*lens, WIDTH, HEIGHT)]
    return dict(zip(names, values, strict=True))


SPELLINGS: dict[str, Callable[[Lens], Fields]] = {
    "nerfstudio": lambda lens: larger(lens, 1, "fl_x", "fl_y", "cx", "cy", "w", "h"),
    "plain": lambda lens: larger(lens, 1, "fx", "fy", "cx", "cy", "width", "height"),
    "full size": lambda lens: larger(
        lens, 3, "fx", "fy", "cx", "cy", "image_width", "image_height"
    ),
    "full size of nerfstudio": lambda lens: larger(lens, 2, "fl_x", "fl_y", "cx", "cy", "w", "h"),
    "K": lambda lens: {"K": matrix(lens, 3)},
    "4x4": lambda lens: {"intrinsics": matrix(lens, 4)},
    "matrix of the full size": lambda lens: {
        "camera_matrix": matrix(tuple(2 * one for one in lens), 3),
        "w": 2 * WIDTH,
        "h": 2 * HEIGHT,
    },
    "angles": lambda lens: {
        "camera_angle_x": angles(lens)[0],
        "camera_angle_y": angles(lens)[1],
        "cx": lens[2],
        "cy": lens[3],
    },
    "degrees": lambda lens: {
        "x_fov": math.degrees(angles(lens)[0]),
        "y_fov": math.degrees(angles(lens)[1]),
        "cx": lens[2],
        "cy": lens[3],
    },
}


def other_case(name: str) -> str:
    return name.swapcase()


NAMES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "windows": lambda name: name.replace("/", "\\"),
    "dots": lambda name: f".//{name.replace('/', '/./')}",
    "windows with a dot": lambda name: ".\\" + name.replace("/", "\\"),
    "case": other_case,
    "no ending": lambda name: name.rpartition(".")[0],
    "another ending": lambda name: f"{name.rpartition('.')[0]}.jpeg",
    "two endings": lambda name: f"{name}.png",
    "white space": lambda name: f" {name}\t".replace("\t", " "),
    "one character an accent": lambda name: unicodedata.normalize("NFC", name),
    "two characters an accent": lambda name: unicodedata.normalize("NFD", name),
    "percent": quote,
    "a drive": lambda name: f"C:\\Users\\me\\scene\\{name}".replace("/", "\\"),
    "a share": lambda name: f"\\\\server\\share\\{name}".replace("/", "\\"),
    "another home": lambda name: f"/home/no one/there is none/{name}",
    "an address": lambda name: f"file:///data/scene/{name}",
    "from the top": lambda name: f"/{name}",
}


def write(
    folder: Path, fields: Fields, frames: list[Fields], name: str = "transforms.json"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({**fields, "frames": frames}))
    return folder


def picture(path: Path, level: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 100, 200)).save(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_lens_and_a_name_however_they_are_spelled(tmp_path, seed):
    draw = random.Random(seed)
    lens = (
        draw.uniform(10, 60),
        draw.uniform(10, 60),
        draw.uniform(2, WIDTH - 2),
        draw.uniform(2, HEIGHT - 2),
    )
    fields = SPELLINGS[draw.choice(list(SPELLINGS))](lens)
    stored = f"{draw.choice(['images', 'Train', 'a b'])}/été {draw.randrange(99)}.png"
    stored = unicodedata.normalize(draw.choice(["NFC", "NFD"]), stored)
    picture(tmp_path / stored, level=37)
    frame: Fields = {"file_path": NAMES[draw.choice(list(NAMES))](stored), "transform_matrix": POSE}
    of_frame = draw.random() < 0.5
    family = draw.choice(["transforms.json", "transforms_test.json"])
    frames = [{**frame, **(fields if of_frame else {})}]
    dataset = open_dataset(write(tmp_path, {} if of_frame else fields, frames, family))
    camera = dataset.cameras[0]
    found = (camera.focal_px, camera.fy_px, *(one + 0.5 for one in camera.center_px))
    assert found == pytest.approx(lens, rel=1e-9)
    assert dataset.image(0)[0, 0, 0] == pytest.approx(37 / 255)


@pytest.mark.parametrize("kind", NAMES)
def test_every_spelling_of_a_name(tmp_path, kind):
    picture(tmp_path / "images/é 1.png", level=37)
    frame = {"file_path": NAMES[kind]("images/é 1.png"), "transform_matrix": POSE}
    dataset = open_dataset(write(tmp_path, {"fl_x": 30.0}, [frame]))
    assert dataset.image(0)[0, 0, 0] == pytest.approx(37 / 255)
    elsewhere = any("another machine" in note for note in dataset.notes)
    assert elsewhere == (
        kind in ("a drive", "a share", "another home", "an address", "from the top")
    )


@pytest.mark.parametrize(
    "form", ["{}/a/images/1.png", "{}/a/../a/images/1.png", "file://{}/a/images/1.png"]
)
def test_what_lies_elsewhere_on_this_machine_is_not_read(tmp_path, form):
    """Though the folder has a picture of the same name."""
    picture(tmp_path / "a/images/1.png")
    picture(tmp_path / "b/images/1.png")
    frame = {"file_path": form.format(tmp_path), "transform_matrix": POSE}
    with pytest.raises(DatasetError, match="leads out of the dataset's folder"):
        open_dataset(write(tmp_path / "b", {"fl_x": 30.0}, [frame]))


@pytest.mark.parametrize(
    "name", ["/images/../../1.png", "../a/1.png", "C:\\..\\..\\1.png", "/nowhere/2.png"]
)
def test_the_end_of_a_path_stays_in_the_folder(tmp_path, name):
    picture(tmp_path / "1.png")
    picture(tmp_path / "scene/images/3.png")
    frame = {"file_path": name, "transform_matrix": POSE}
    with pytest.raises(DatasetError):
        open_dataset(write(tmp_path / "scene", {"fl_x": 30.0}, [frame])).image(0)


def test_many_long_names_take_little_time(tmp_path):
    """Every one of them is looked for in all its spellings."""
    name = "C:\\" + "a%41 \\" * 130
    frames = [{"file_path": f"{name}{k}.png", "transform_matrix": POSE} for k in range(500)]
    write(tmp_path, {"fl_x": 30.0, "w": WIDTH, "h": HEIGHT}, frames)
    began = time.process_time()
    with pytest.raises(DatasetError):
        open_dataset(tmp_path).image(0)
    assert time.process_time() - began < 5.0


# --- lenses -------------------------------------------------------------------------------------


def opened(folder: Path, fields: Fields, frame: Fields | None = None):
    picture(folder / "1.png")
    frames = [{"file_path": "1.png", "transform_matrix": POSE, **(frame or {})}]
    return open_dataset(write(folder, {"fl_x": 30.0, **fields}, frames))


@pytest.mark.parametrize(
    ("values", "same"),
    [
        (
            [-0.2, 0.1, 0.01, 0.0, 0.02, 0.03],
            {"k1": -0.2, "k2": 0.1, "k3": 0.01, "p1": 0.02, "p2": 0.03},
        ),
        ([-0.2, 0.1, 0.02, 0.03], {"k1": -0.2, "k2": 0.1, "p1": 0.02, "p2": 0.03}),
        (
            [-0.2, 0.1, 0.02, 0.03, 0.01],
            {"k1": -0.2, "k2": 0.1, "k3": 0.01, "p1": 0.02, "p2": 0.03},
        ),
    ],
)
def test_distortion_as_a_list(tmp_path, values, same):
    listed = opened(tmp_path / "a", {"distortion_params": values})
    assert listed.views[0].distortion == opened(tmp_path / "b", same).views[0].distortion
    assert listed.views[0].distortion is not None
    in_frame = opened(tmp_path / "c", {}, {"distortion_params": values})
    assert in_frame.views[0].distortion == listed.views[0].distortion


@pytest.mark.parametrize("seed", range(8))
def test_what_is_not_undone_is_told(tmp_path, seed):
    draw = random.Random(seed)
    name = draw.choice(["k7", "p3", "s1", "s4", "b1", "b2", "skew"])
    value = draw.choice([-1, 1]) * draw.uniform(0.01, 3)
    dataset = opened(tmp_path / "a", {name: value})
    assert f"the lens has {name} {value:g}, which is not undone" in dataset.notes
    assert not any("undone" in note for note in opened(tmp_path / "b", {name: 0.0}).notes)


def test_degrees_and_radians(tmp_path):
    with pytest.raises(DatasetError, match="camera_angle_x is 40, and an angle in radians"):
        opened(tmp_path / "a", {"fl_x": None, "camera_angle_x": 40})
    notes = opened(tmp_path / "b", {"fl_x": None, "x_fov": 0.7}).notes
    assert any("if that are radians, the file has to say 40.1" in note for note in notes)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("images/1.png", "images\\2.png"),
        ("images/1", "./images/2.jpg"),
        ("Images/1.PNG", "images\\2.JPEG"),
    ],
)
def test_splits_name_frames_in_other_words(tmp_path, first, second):
    for name in ("images/1.png", "images/2.png"):
        picture(tmp_path / name)
    frames = [{"file_path": f"./images/{k}.png", "transform_matrix": POSE} for k in (1, 2)]
    splits = {"train_filenames": [first], "test_filenames": [second]}
    write(tmp_path, {"fl_x": 30.0, **splits}, frames)
    assert [view.name for view in open_dataset(tmp_path, "train").views] == ["images/1.png"]
    assert [view.name for view in open_dataset(tmp_path, "test").views] == ["images/2.png"]


# --- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "format"), [("a.tif", "TIFF"), ("b.bmp", "BMP"), ("c.png", "BMP"), ("d", "GIF")]
)
def test_pictures_in_other_formats_are_there_and_refused(tmp_path, named, format):
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / named, format=format)
    fields = {"camera_angle_x": 0.7, "w": WIDTH, "h": HEIGHT}
    write(tmp_path, fields, [{"file_path": named, "transform_matrix": POSE}])
    with pytest.raises(DatasetError, match=f"it is of the kind {format}"):
        open_dataset(tmp_path).image(0)


def test_hidden_files_among_frames_are_left_out(tmp_path):
    picture(tmp_path / "images/1.png")
    (tmp_path / "images/._1.png").write_bytes(b"\0\x05\x16\x07")
    frames = [
        {"file_path": name, "transform_matrix": POSE}
        for name in ("images/._1.png", "images/1.png", "images\\._2.png")
    ]
    dataset = open_dataset(write(tmp_path, {"camera_angle_x": 0.7}, frames, "transforms_test.json"))
    assert [view.name for view in dataset.views] == ["images/1.png"]
    assert any(note.startswith("2 frames name hidden files") for note in dataset.notes)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "Git LFS pointer"),
        (b"\n<!-- x --><html>", "a web page"),
        (bytes(100), "nothing but zeros"),
        (b"\0\x05\x16\x07\0\x02", "macOS"),
        (b"II*\0", "TIFF"),
        (b"\0\0\0\x20ftypheic", "HEIC"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"GIF89a", "GIF"),
        (b"hello", "it is no picture"),
    ],
)
def test_a_picture_that_is_none_is_called_what_it_is(tmp_path, data, says):
    (tmp_path / "1.png").write_bytes(data)
    frame = {"file_path": "1.png", "transform_matrix": POSE}
    with pytest.raises(DatasetError, match=says) as caught:
        open_dataset(write(tmp_path, {"fl_x": 30.0}, [frame]))
    assert "1.png" in str(caught.value)


@pytest.mark.parametrize("name", ["transforms.json", "transforms_test.json"])
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"<!DOCTYPE html>", "a web page"),
    ],
)
def test_a_description_that_is_none_is_called_what_it_is(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError, match=says):
        open_dataset(tmp_path)


def passes(path: Path, count: int, side: int, tail: bytes = b"") -> Path:
    """A progressive JPEG whose last pass over all pixels comes `count` times more, some of it in a
    segment that nobody decodes."""
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (9, 9, 9)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    comment = b"\xff\xfe" + (2 + 4 * 1000).to_bytes(2, "big") + b"\xff\xda\0\0" * 1000
    path.write_bytes(data[:2] + comment + data[2:-2] + last * count + data[-2:] + tail)
    return path


def test_a_picture_is_not_decoded_without_end(tmp_path):
    frame = {"file_path": "1.jpg", "transform_matrix": POSE}
    write(tmp_path, {"fl_x": 30.0}, [frame])
    passes(tmp_path / "1.jpg", 20, 64, tail=b"\xff\xda" * 1000)
    assert open_dataset(tmp_path).image(0).shape == (64, 64, 3)
    passes(tmp_path / "1.jpg", 300_000, 4096)
    dataset, began = open_dataset(tmp_path), time.process_time()
    for read in (dataset.image, lambda index: dataset.thumbnail(index, 64)):
        with pytest.raises(DatasetError, match=f"more than {limits.JPEG_PASSES} passes"):
            read(0)
    assert time.process_time() - began < 5.0


def test_a_jpeg_larger_than_any_picture_is_not_read(tmp_path, monkeypatch):
    picture(tmp_path / "1.jpg")
    frame = {"file_path": "1.jpg", "transform_matrix": POSE}
    write(tmp_path, {"fl_x": 30.0}, [frame])
    monkeypatch.setattr(limits, "JPEG_BYTES", 100)
    with pytest.raises(DatasetError, match="larger than 0 MB"):
        open_dataset(tmp_path).image(0)


@pytest.mark.parametrize("stored", [[30.0, 30.0, 8.0, 6.0], [30.0] * 9, [[1, 2, 3]] * 5])
def test_a_list_that_is_no_matrix_is_told_of_where_the_lens_is_known(tmp_path, stored):
    picture(tmp_path / "1.png")
    frame = {"file_path": "1.png", "transform_matrix": POSE}
    dataset = open_dataset(write(tmp_path, {"fl_x": 30.0, "K": stored}, [frame]))
    assert dataset.cameras[0].focal_px == pytest.approx(30.0)
    assert any("K is not a matrix" in note for note in dataset.notes)


def test_what_is_missing_is_not_looked_for_in_a_list(tmp_path):
    """A list of distortion parameters says nothing of how far is seen."""
    picture(tmp_path / "1.png")
    frame = {"file_path": "1.png", "transform_matrix": POSE}
    folder = write(tmp_path, {"distortion_params": [0.1, 0.0, 0.0, 0.0]}, [frame])
    with pytest.raises(DatasetError, match="the field camera_angle_x is missing"):
        open_dataset(folder)


def test_a_mask_from_elsewhere_is_no_picture_from_elsewhere(tmp_path):
    picture(tmp_path / "masks/1.png", level=255)
    dataset = opened(tmp_path, {}, {"mask_path": "/home/somebody/masks/1.png"})
    assert any("have masks" in note for note in dataset.notes), "it was not found"
    assert not any("another machine" in note for note in dataset.notes)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (10, 200, 30)])
def test_masks_that_mask_by_transparency(tmp_path, colour):
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, :10] = 255
    mask = Image.new("RGB", (WIDTH, HEIGHT), colour)
    mask.putalpha(Image.fromarray(alpha))
    mask.save(tmp_path / "mask.png")
    counted = opened(tmp_path, {}, {"mask_path": "mask.png"}).counted(0)
    np.testing.assert_array_equal(counted, alpha > 0)


@pytest.mark.parametrize("size", [(limits.SIDE_PX + 1, 2), (2, limits.SIDE_PX + 1)])
def test_very_long_pictures_are_refused(tmp_path, size):
    picture(tmp_path / "a.png", size=size)
    write(tmp_path, {"camera_angle_x": 0.7}, [{"file_path": "a.png", "transform_matrix": POSE}])
    with pytest.raises(DatasetError, match=f"or than {limits.SIDE_PX} along a side"):
        open_dataset(tmp_path)
    (tmp_path / "a.png").unlink()
    fields = {"camera_angle_x": 0.7, "w": size[0], "h": size[1]}
    write(tmp_path, fields, [{"file_path": "a.png", "transform_matrix": POSE}])
    with pytest.raises(DatasetError, match=f"or {limits.SIDE_PX} along a side"):
        open_dataset(tmp_path)
