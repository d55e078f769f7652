"""Datasets as programs and people write them: what differs from the formats' own definitions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from r2l_core.datasets import NoSuchSplit, open_dataset
from r2l_core.errors import DatasetError
from tests.core.datasets.conftest import (
    FOCAL_PX,
    HEIGHT_PX,
    TRANSFORMS_INTRINSICS,
    WIDTH_PX,
)

FILE = "transforms_train.json"
BLENDER = {"w": WIDTH_PX, "h": HEIGHT_PX, "cx": WIDTH_PX / 2, "cy": HEIGHT_PX / 2}
ANGLE = 2 * math.atan(WIDTH_PX / 2 / FOCAL_PX)


def with_fields(edit_json, frames: bool = False, without: tuple[str, ...] = (), **fields) -> None:
    """Put fields into the training file of a Blender scene, or into each of its frames."""

    def change(values):
        for key in without:
            values.pop(key)
        for one in values["frames"] if frames else [values]:
            one.update(fields)

    edit_json(FILE, change)


# --- lenses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [False, True], ids=["file", "frames"])
@pytest.mark.parametrize(
    "lens",
    [
        TRANSFORMS_INTRINSICS,
        {**TRANSFORMS_INTRINSICS, "cx": 18.0, "cy": 4.0},
        {**TRANSFORMS_INTRINSICS, "fl_y": 45.0},
        {**TRANSFORMS_INTRINSICS, "fl_y": 45.0, "camera_angle_y": 0.3},
        {"x_fov": math.degrees(ANGLE), "y_fov": 40.0, **BLENDER},
        {"camera_angle_x": ANGLE, "camera_angle_y": 0.8, **BLENDER},
        {"fl_x": 28.0, "w": float(WIDTH_PX), "h": float(HEIGHT_PX), "cx": 12.0, "cy": 8.0},
        {"fl_x": 56.0, "w": 2 * WIDTH_PX, "h": 2 * HEIGHT_PX, "cx": 20.0, "cy": 17.0},
    ],
    ids=str,
)
def test_one_lens_in_all_files_of_the_family(write_dataset, edit_json, lens, frames):
    """The same fields in transforms.json and transforms_train.json, for all views or each."""
    folder = write_dataset("blender")
    with_fields(edit_json, frames, () if "camera_angle_x" in lens else ("camera_angle_x",), **lens)
    blender = open_dataset(folder, "train")
    values = json.loads((folder / FILE).read_text())
    names = [frame["file_path"] for frame in values["frames"]]
    (folder / "transforms.json").write_text(json.dumps({**values, "train_filenames": names}))
    for path in folder.glob("transforms_*.json"):
        path.unlink()
    captured = open_dataset(folder, "train")
    assert (blender.kind, captured.kind) == ("blender", "transforms")
    for one, other in zip(blender.cameras, captured.cameras, strict=True):
        assert one.same_view(other)
    share = WIDTH_PX / lens.get("w", WIDTH_PX)
    assert blender.cameras[0].center_px == (lens["cx"] * share - 0.5, lens["cy"] * share - 0.5)
    if "fl_y" in lens:
        assert blender.cameras[0].fy_px == pytest.approx(lens["fl_y"])
    if "y_fov" in lens:
        assert blender.cameras[0].fov_y_deg == pytest.approx(lens["y_fov"])


def test_landmarks_through_a_shifted_lens(write_dataset, edit_json, around):
    """Where the rays of a shifted lens go, against projections worked out by hand."""
    folder = write_dataset("blender")
    center = (18.0, 4.0)
    with_fields(edit_json, fl_x=30.0, fl_y=45.0, cx=center[0], cy=center[1], w=24, h=16)
    dataset = open_dataset(folder, "train")
    for index, camera in enumerate(dataset.cameras):
        seen = around.seen(index, 30.0, 45.0, center) - 0.5  # squares to points
        position = camera.T_world_camera[:3, 3]
        local = (around.landmarks - position) @ camera.T_world_camera[:3, :3]
        column = camera.focal_px * local[:, 0] / -local[:, 2] + camera.center_px[0]
        row = -camera.fy_px * local[:, 1] / -local[:, 2] + camera.center_px[1]
        np.testing.assert_allclose(np.stack([column, row], 1), seen, atol=1e-9)


def test_a_published_scene_keeps_its_middle(write_dataset):
    camera = open_dataset(write_dataset("blender"), "train").cameras[0]
    assert camera.center_px == (WIDTH_PX / 2, HEIGHT_PX / 2)
    assert camera.focal_y_px is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"camera_model": "OPENCV_FISHEYE"}, "camera_model"),
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model"),
        ({"is_fisheye": True}, "is_fisheye"),
        ({"ftheta_p0": 0.0, "ftheta_p1": 0.9}, "ftheta_p1"),
        ({"latlong": True}, "latlong"),
        ({"equirectangular": True}, "equirectangular"),
        ({"orthographic": True}, "orthographic"),
        ({"camera_type": "FishEye"}, "camera_type"),
    ],
    ids=str,
)
@pytest.mark.parametrize("frames", [False, True], ids=["file", "frames"])
def test_other_lenses_are_refused(write_dataset, edit_json, frames, fields, named):
    folder = write_dataset("blender")
    with_fields(edit_json, frames, **fields)
    with pytest.raises(DatasetError, match=named):
        open_dataset(folder, "train")


@pytest.mark.parametrize(
    ("of_file", "of_frame", "expected"),
    [
        ({"fl_x": 30.0, "fl_y": 30.0}, {"camera_angle_x": 0.8}, (28.382667, 28.382667)),
        ({"fl_x": 30.0, "fl_y": 60.0}, {"x_fov": math.degrees(0.8)}, (28.382667, 56.765335)),
        ({"fl_x": 30.0, "fl_y": 60.0}, {"camera_angle_y": 0.6}, (12.930911, 25.861822)),
        (
            {"camera_angle_x": 0.5, "camera_angle_y": 0.6},
            {"fl_x": 40.0, "fl_y": 41.0},
            (40.0, 41.0),
        ),
        ({"K": [[30, 0, 9], [0, 31, 9], [0, 0, 1]]}, {"fx": 20.0}, (20.0, 31.0)),
        ({"fl_x": 30.0, "fl_y": 45.0}, {"fl_y": 90.0}, (30.0, 90.0)),
        ({"fl_x": 30.0}, {"fl_y": 45.0}, (30.0, 45.0)),
    ],
)
def test_a_frame_says_more_than_the_file(write_dataset, edit_json, of_file, of_frame, expected):
    """However either spells it."""
    folder = write_dataset("blender")
    with_fields(edit_json, False, ("camera_angle_x",), **of_file)
    with_fields(edit_json, True, **of_frame)
    camera = open_dataset(folder, "train").cameras[0]
    assert (camera.focal_px, camera.fy_px) == pytest.approx(expected)


def test_a_rolling_shutter_is_told(write_dataset, edit_json):
    folder = write_dataset("blender")
    with_fields(edit_json, rolling_shutter=[0.0, 0.0, 1.0, 0.0])
    assert "rolling_shutter" in open_dataset(folder, "train").notes[0]


@pytest.mark.parametrize("model", ["pinhole", "FULL_OPENCV", "Simple_Radial"])
def test_models_are_known_in_any_case(write_dataset, edit_json, model):
    folder = write_dataset("blender")
    with_fields(edit_json, camera_model=model)
    assert open_dataset(folder, "train").notes == ()


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "on_disk"),
    [
        ("train\\r_{}.png", "train/r_{}.png"),
        (".\\train\\r_{}", "train/r_{}.png"),
        ("./train/r_{}", "train/r_{}.PNG"),
        ("train/r_{}", "train/r_{}.JPG"),
        ("train/r_{}.jpg", "train/r_{}.JPG"),
        ("Train/R_{}.png", "train/r_{}.png"),
        ("train/r_{}.png.png", "train/r_{}.png"),
        ("train/r_{}.webp", "train/r_{}.webp"),
        ("train/Bild {} ä", "train/Bild {} ä.jpeg"),
        ("train/frame.{:04d}", "train/frame.{:04d}.png"),
    ],
)
def test_pictures_are_found(write_dataset, edit_json, written, on_disk):
    folder = write_dataset("blender")
    for index in range(4):
        with Image.open(folder / f"train/r_{index}.png") as picture:
            picture.convert("RGB").save(folder / "x.png")
        (folder / f"train/r_{index}.png").unlink()
        target = folder / on_disk.format(index)
        with Image.open(folder / "x.png") as picture:
            picture.save(target)

    def rename(values):
        for index, frame in enumerate(values["frames"]):
            frame["file_path"] = written.format(index)

    edit_json(FILE, rename)
    dataset = open_dataset(folder, "train")
    assert [view.path for view in dataset.views] == [folder / on_disk.format(k) for k in range(4)]
    assert dataset.image(3).shape == (HEIGHT_PX, WIDTH_PX, 3)


@pytest.mark.parametrize("name", ["..\\outside", "train\\..\\..\\outside"])
def test_backslashes_lead_nowhere_else(write_dataset, edit_json, around, name):
    folder = write_dataset("blender")
    around.save_picture(0, "../outside.png")
    edit_json(FILE, lambda values: values["frames"][0].update(file_path=name))
    with pytest.raises(DatasetError, match="leads out"):
        open_dataset(folder, "train")


@pytest.mark.parametrize("kind", ["blender", "transforms"])
def test_missing_pictures_are_counted(write_dataset, kind):
    folder = write_dataset(kind)
    whole = open_dataset(folder, "train")
    whole.views[1].path.unlink()
    dataset = open_dataset(folder, "train")
    assert len(dataset) == len(whole) - 1
    assert f"1 of {len(whole)} pictures are missing" in dataset.notes[-1]
    assert whole.views[1].name in dataset.notes[-1]
    dataset.image(0)


def test_poses_without_pictures(write_dataset, edit_json):
    folder = write_dataset("blender")
    for picture in (folder / "train").iterdir():
        picture.unlink()
    with pytest.raises(NoSuchSplit, match="none of its 4 pictures"):
        open_dataset(folder, "train")
    with_fields(edit_json, **BLENDER)
    dataset = open_dataset(folder, "train")
    assert len(dataset) == 4
    assert dataset.cameras[0].width_px == WIDTH_PX
    assert "none of the 4 pictures" in dataset.notes[0]
    with pytest.raises(DatasetError, match="no such file"):
        dataset.image(0)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("kind", ["blender", "transforms"])
def test_marks_of_the_byte_order(write_dataset, kind, encoding):
    folder = write_dataset(kind)
    for path in folder.glob("*.json"):
        path.write_text(path.read_text(), encoding=encoding)
    assert len(open_dataset(folder, "train")) > 0


def test_the_order_of_frames_does_not_choose_what_is_held_out(write_dataset, edit_json):
    folder = write_dataset("transforms")
    sorted_names = [view.name for view in open_dataset(folder).views]
    edit_json("transforms.json", lambda values: values["frames"].reverse())
    assert [view.name for view in open_dataset(folder).views] == sorted_names


# --- poses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.02, 0.01, 250.0])
def test_scaled_rotations_are_normalised(write_dataset, edit_json, scale):
    folder = write_dataset("blender")
    before = open_dataset(folder, "train").cameras[2]

    def change(values):
        pose = np.array(values["frames"][2]["transform_matrix"])
        pose[:3, :3] *= scale
        values["frames"][2]["transform_matrix"] = pose.tolist()

    edit_json(FILE, change)
    dataset = open_dataset(folder, "train")
    np.testing.assert_allclose(dataset.cameras[2].T_world_camera, before.T_world_camera, atol=1e-9)
    assert "rotations of 1 poses have a scale" in dataset.notes[0]


@pytest.mark.parametrize("diagonal", [(1, 1, 2), (-1, 1, 1), (0, 0, 0), (1e9, 1e9, 1e9)])
def test_what_is_no_scaled_rotation_is_refused(write_dataset, edit_json, diagonal):
    folder = write_dataset("blender")
    pose = np.diag([*diagonal, 1.0]).tolist()
    edit_json(FILE, lambda values: values["frames"][0].update(transform_matrix=pose))
    with pytest.raises(DatasetError, match=r"frames\[0\].transform_matrix"):
        open_dataset(folder, "train")


@pytest.mark.parametrize("rows", [3, 4])
def test_matrices_row_after_row(write_dataset, edit_json, rows):
    folder = write_dataset("transforms")
    before = open_dataset(folder, "train").cameras

    def flatten(values):
        for frame in values["frames"]:
            frame["transform_matrix"] = [
                number for row in frame["transform_matrix"][:rows] for number in row
            ]

    edit_json("transforms.json", flatten)
    for one, other in zip(before, open_dataset(folder, "train").cameras, strict=True):
        assert one.same_view(other)


# --- pictures, and what lies about --------------------------------------------------------------


def test_a_picture_that_is_too_large_says_the_limit(write_dataset):
    folder = write_dataset("blender")
    Image.new("RGB", (5616, 3744)).save(folder / "train/r_0.png")
    with pytest.raises(DatasetError, match=r"16777216 pixels.*Make the pictures smaller"):
        open_dataset(folder, "train")


def test_hidden_files_are_no_pictures(write_dataset):
    folder = write_dataset("llff")
    for picture in list((folder / "images_8").iterdir()):
        picture.with_name(f"._{picture.name}").write_bytes(b"\0\5\x16\7Mac OS X")
    (folder / "images_8/.DS_Store").write_bytes(b"Bud1")
    assert len(open_dataset(folder, "train")) == 7


@pytest.mark.parametrize("left", [0, 5])
def test_a_folder_that_is_not_whole_gives_way(write_dataset, around, left):
    folder = write_dataset("llff")
    for index in range(9):
        size = (2 * WIDTH_PX, 2 * HEIGHT_PX)
        around.save_picture(index, f"images_4/IMG_{index:03d}.png", channels=3, size=size)
        if index >= left:
            (folder / f"images_8/IMG_{index:03d}.png").unlink()
    dataset = open_dataset(folder, "train")
    assert dataset.cameras[0].width_px == 2 * WIDTH_PX
    assert f"images_8 with {left} pictures" in dataset.notes[0]
    assert "images_4 is used" in dataset.notes[0]


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("transforms", "transforms.json"),
        ("transforms", "images/frame_00003.png"),
        ("blender", "transforms_test.json"),
        ("llff", "poses_bounds.npy"),
        ("donerf", "dataset_info.json"),
    ],
)
def test_a_file_inside_opens_its_dataset(write_dataset, kind, file):
    folder = write_dataset(kind)
    assert open_dataset(folder / file).name == open_dataset(folder).name


def test_cameras_at_the_origin(write_dataset, edit_json):
    """A panorama: nothing says how far away a look from outside would be."""
    folder = write_dataset("blender")

    def move(values):
        for frame in values["frames"]:
            for row in frame["transform_matrix"][:3]:
                row[3] = 0.0

    edit_json(FILE, move)
    assert open_dataset(folder, "train").scene.view_radius == 1.0
