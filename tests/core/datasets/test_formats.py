"""Every format gives the same thing: cameras whose rays meet where the landmarks are, pictures as
published, and the published near, far and splits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from r2l_core.datasets import Dataset, open_dataset
from r2l_core.errors import DatasetError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import pixel_rays

FOCAL_PX, WIDTH_PX, HEIGHT_PX = 30.0, 24, 16  # as conftest writes them
KINDS = ("blender", "donerf", "llff", "deepvoxels", "transforms")


def meeting_error(cameras: list[Camera], seen: list[np.ndarray]) -> float:
    """How far rays through the landmarks' pixels miss each other, relative to their distance.

    seen: per camera (landmarks, 2) pixel coordinates.
    """
    rays = [
        pixel_rays(camera, *torch.tensor(pixels, dtype=torch.float64).T)
        for camera, pixels in zip(cameras, seen, strict=True)
    ]
    worst = 0.0
    for landmark in range(len(seen[0])):
        origins = np.array([o[landmark].double().numpy() for o, _ in rays])
        directions = np.array([d[landmark].double().numpy() for _, d in rays])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
        point = np.linalg.lstsq(
            across.sum(0), (across @ origins[:, :, None]).sum(0)[:, 0], rcond=None
        )[0]
        relative = point - origins
        if not ((relative * directions).sum(1) > 0).all():
            return np.inf  # they meet behind a camera
        misses = np.linalg.norm(np.einsum("nij,nj->ni", across, relative), axis=1)
        worst = max(worst, float(misses.max() / np.linalg.norm(relative, axis=1).mean()))
    return worst


def flipped(camera: Camera, *columns: int) -> Camera:
    pose = camera.T_world_camera.copy()
    pose[:, columns] *= -1
    return dataclasses.replace(camera, T_world_camera=pose)


def split_names(dataset: Dataset) -> list[str]:
    return [Path(view.name).stem for view in dataset.views]


# --- geometry ----------------------------------------------------------------------------------


@pytest.mark.parametrize("half_res", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rays_through_a_landmark_meet(write_dataset, around, kind, half_res):
    folder = write_dataset(kind)
    dataset = open_dataset(folder, "train", half_res=half_res)
    pick = {"llff": range(1, 8), "transforms": range(1, 8)}.get(kind, range(4))
    scale = 0.5 if half_res else 1.0
    if kind == "transforms":
        # Pixel i is the square [i, i+1): its middle has coordinate i, not i + 1/2.
        seen = [
            around.seen(i, 30.0 * scale, 31.5 * scale, (11.25 * scale, 8.5 * scale)) - 0.5
            for i in pick
        ]
    elif kind == "deepvoxels":
        focal, side = FOCAL_PX * scale, HEIGHT_PX * scale
        seen = [around.seen(i, focal, focal, (side / 2, side / 2)) for i in pick]
    else:
        center = (WIDTH_PX * scale / 2, HEIGHT_PX * scale / 2)
        seen = [around.seen(i, FOCAL_PX * scale, FOCAL_PX * scale, center) for i in pick]
    assert meeting_error(list(dataset.cameras), seen) < 1e-5
    for columns in ((0, 1), (1, 2), (0, 2)):
        wrong = [flipped(camera, *columns) for camera in dataset.cameras]
        assert meeting_error(wrong, seen) > 0.01


def test_llff_facing_forward(write_dataset, in_front):
    folder = write_dataset("llff", capture=in_front)
    train, test = (open_dataset(folder, split) for split in ("train", "test"))
    assert [len(train), len(test)] == [7, 2], "every eighth view is held out"
    assert split_names(test) == ["IMG_000", "IMG_008"]
    assert split_names(open_dataset(folder, "val")) == split_names(test)
    everyone = sorted([*train.views, *test.views], key=lambda view: view.name)
    cameras = [view.camera for view in everyone]
    assert meeting_error(cameras, [in_front.seen(i) for i in range(9)]) < 1e-5
    # The mean camera is the world: at the origin, looking along -Z, +Y up.
    poses = np.array([camera.T_world_camera for camera in cameras])
    np.testing.assert_allclose(poses[:, :3, 3].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(poses[:, :2, 2].sum(0), 0, atol=1e-12)
    assert poses[:, 2, 2].mean() > 0.9
    assert poses[:, 1, 1].mean() > 0.9
    # The nearest bound, 2, becomes 4/3.
    scale = (4 / 3) / 2.0
    before = np.linalg.norm(in_front.axes[0][3] - in_front.axes[5][3])
    assert np.linalg.norm(poses[0, :3, 3] - poses[5, :3, 3]) == pytest.approx(before * scale)
    assert (train.scene.near, train.scene.far, train.scene.nerf_ndc) == (0.0, 1.0, True)
    home = train.scene.home_camera().T_world_camera
    np.testing.assert_allclose(home[:3, :3], np.eye(3), atol=1e-12, err_msg="as the mean camera")


def test_blender_pictures_may_keep_their_background(write_dataset, around):
    folder = write_dataset("blender")
    dataset = open_dataset(folder, "train", keep_background=True)
    assert (dataset.background, dataset.scene.background_rgb) == (None, (0.0, 0.0, 0.0))
    np.testing.assert_allclose(dataset.image(2), around.pictures[2][..., :3] / 255, atol=1e-6)
    assert open_dataset(folder, "train").scene.background_rgb == (1.0, 1.0, 1.0)


def test_llff_spherified(write_dataset, around):
    folder = write_dataset("llff")
    dataset = open_dataset(folder, "train", spherify=True)
    held_out = open_dataset(folder, "test", spherify=True)
    cameras = [*dataset.cameras, *held_out.cameras]
    order = [*range(1, 8), 0, 8]
    assert meeting_error(cameras, [around.seen(i) for i in order]) < 1e-5
    radii = [np.linalg.norm(camera.position) for camera in cameras]
    assert np.sqrt(np.mean(np.square(radii))) == pytest.approx(1.0)
    # Bounds shrink as the world does: 2.0 and 9.0 of a sphere of about 4.
    world = 1 / np.sqrt(np.mean([np.sum((a[3] - meeting_point(around)) ** 2) for a in around.axes]))
    assert dataset.scene.near == pytest.approx(0.9 * 2.0 * world, rel=1e-6)
    assert dataset.scene.far == pytest.approx(9.0 * world, rel=1e-6)
    assert not dataset.scene.nerf_ndc
    middle = np.mean([camera.position for camera in cameras], axis=0)
    np.testing.assert_allclose(middle[:2], 0, atol=1e-9)
    assert middle[2] > 0, "+Z towards the mean camera"


def meeting_point(capture) -> np.ndarray:
    """The point closest to all optical axes."""
    total, moment = np.zeros((3, 3)), np.zeros(3)
    for _, _, ahead, position in capture.axes:
        across = np.eye(3) - np.outer(ahead, ahead)
        total += across
        moment += across @ position
    return np.linalg.solve(total, moment)


def test_deepvoxels_may_be_opened_by_its_scene_folder(write_dataset):
    base = write_dataset("deepvoxels")
    by_base = open_dataset(base, "test")
    for folder in ("train", "validation", "test"):
        by_scene = open_dataset(base / folder / "vase", "test")
        assert by_scene.name == by_base.name == "vase"
        assert by_scene.splits == by_base.splits == ("train", "val", "test")
        assert split_names(by_scene) == split_names(by_base) == ["000006", "000007", "000008"]


def test_deepvoxels_world_to_camera_poses_are_inverted(write_dataset, around):
    base = write_dataset("deepvoxels")
    expected = open_dataset(base, "train").cameras
    for folder in ("train", "validation", "test"):
        scene = base / folder / "vase"
        for file in (scene / "pose").iterdir():
            matrix = np.linalg.inv(np.array(file.read_text().split(), float).reshape(4, 4))
            file.write_text(" ".join(repr(float(x)) for x in matrix.reshape(-1)))
        file = scene / "intrinsics.txt"
        file.write_text(file.read_text().removesuffix("0\n") + "1\n")
    dataset = open_dataset(base, "train")
    for camera, other in zip(dataset.cameras, expected, strict=True):
        np.testing.assert_allclose(camera.T_world_camera, other.T_world_camera, atol=1e-9)
    assert dataset.scene.near == pytest.approx(3.0)


def test_several_deepvoxels_scenes_are_named(write_dataset):
    base = write_dataset("deepvoxels")
    (base / "train" / "vase").rename(base / "train" / "cube")
    with pytest.raises(DatasetError, match="several scenes: cube, vase"):
        open_dataset(base)


# --- published values --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "near_far", "background", "ndc"),
    [
        ("blender", (2.0, 6.0), (1.0, 1.0, 1.0), False),
        ("donerf", (0.25, 12.5), None, False),
        ("llff", (0.0, 1.0), None, True),
        ("deepvoxels", (3.0, 5.0), (1.0, 1.0, 1.0), False),
    ],
)
def test_published_values(write_dataset, kind, near_far, background, ndc):
    dataset = open_dataset(write_dataset(kind), "test")
    assert dataset.kind == kind
    assert (dataset.scene.near, dataset.scene.far) == pytest.approx(near_far)
    assert (dataset.background, dataset.scene.nerf_ndc) == (background, ndc)
    assert dataset.splits == ("train", "val", "test")
    assert dataset.name == dataset.scene.name
    assert dataset.scene.origin_radius is None, "rays as published"
    assert dataset.notes == ()


def test_the_published_focal_length(write_dataset):
    folder = write_dataset("blender")
    for half_res, focal in ((False, 30.0), (True, 15.0)):
        dataset = open_dataset(folder, "train", half_res=half_res)
        for camera in dataset.cameras:
            assert camera.focal_px == pytest.approx(focal)
            assert camera.center_px == (camera.width_px / 2, camera.height_px / 2)
        assert dataset.scene.focal_px(dataset.scene.width_px) == pytest.approx(focal)


def test_the_splits_of_a_blender_scene(write_dataset):
    folder = write_dataset("blender")
    assert split_names(open_dataset(folder, "train")) == ["r_0", "r_1", "r_2", "r_3"]
    assert split_names(open_dataset(folder, "val")) == ["r_4", "r_5"]
    assert split_names(open_dataset(folder)) == ["r_6", "r_7", "r_8"]
    (folder / "transforms_val.json").unlink()
    assert open_dataset(folder).splits == ("train", "test")
    with pytest.raises(DatasetError, match=r"no split 'val': it has train, test\."):
        open_dataset(folder, "val")


# --- transforms.json ---------------------------------------------------------------------------


def test_frames_may_have_intrinsics_of_their_own(write_dataset, edit_json):
    folder = write_dataset("transforms")

    def own(values):
        values["frames"][1] |= {"fl_x": 20.0, "cx": 3.0}

    edit_json("transforms.json", own)
    cameras = open_dataset(folder, "train").cameras
    assert (cameras[0].focal_px, cameras[0].fy_px, cameras[0].center_px) == (20.0, 31.5, (2.5, 8.0))
    assert (cameras[1].focal_px, cameras[1].fy_px, cameras[1].center_px) == (
        30.0,
        31.5,
        (10.75, 8.0),
    )


def test_an_angle_will_do_for_intrinsics(write_dataset):
    angle = 2 * np.arctan(12 / 30)
    nothing = dict.fromkeys(("fl_x", "fl_y", "cx", "cy", "w", "h"))
    folder = write_dataset("transforms", **nothing, camera_angle_x=angle)
    camera = open_dataset(folder, "train").cameras[0]
    assert (camera.focal_px, camera.fy_px) == pytest.approx((30.0, 30.0))
    assert camera.center_px == (11.5, 7.5), "the middle of the picture, pixels being squares"
    other = 2 * np.arctan(8 / 25)
    folder = write_dataset("transforms", **nothing, camera_angle_x=angle, camera_angle_y=other)
    assert open_dataset(folder, "train").cameras[0].fy_px == pytest.approx(25.0)


def test_an_applied_transform_is_part_of_the_poses_already(write_dataset):
    plain = open_dataset(write_dataset("transforms"), "train")
    turned = [[1, 0, 0, 5], [0, 0, 1, 0], [0, -1, 0, 0]]
    applied = open_dataset(write_dataset("transforms", applied_transform=turned), "train")
    for camera, other in zip(applied.cameras, plain.cameras, strict=True):
        assert camera.same_view(other)


def test_lists_of_names_choose_the_splits(write_dataset):
    names = [f"images/frame_{index:05d}.png" for index in range(9)]
    folder = write_dataset("transforms", train_filenames=names[3:], test_filenames=names[2:0:-1])
    dataset = open_dataset(folder)
    assert dataset.splits == ("train", "test")
    assert split_names(dataset) == ["frame_00002", "frame_00001"]
    assert len(open_dataset(folder, "train")) == 6


def test_without_lists_every_eighth_view_is_held_out(write_dataset):
    folder = write_dataset("transforms")
    assert split_names(open_dataset(folder)) == ["frame_00000", "frame_00008"]
    assert len(open_dataset(folder, "train")) == 7


def test_estimates_and_distortion_are_stated(write_dataset):
    dataset = open_dataset(write_dataset("transforms"), "train")
    assert [note.split(":")[0] for note in dataset.notes] == ["near and far are estimates"]
    assert 0 < dataset.scene.near < 3.5
    assert dataset.scene.far > 4.5
    np.testing.assert_allclose(dataset.scene.center, 0, atol=0.3)
    dataset = open_dataset(write_dataset("transforms", k1=0.05, k2=0, p1=None), "train")
    # By hand: the far corner lies at x = 12.75/30, y = 8/31.5 focal lengths from the middle.
    x, y = 12.75 / 30 + 0.5 / 30, 8 / 31.5
    r2 = x * x + y * y
    off = np.hypot(x * 0.05 * r2 * 30, y * 0.05 * r2 * 31.5)
    assert f"up to {off:.1f} pixels" in dataset.notes[1]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"camera_model": "OPENCV_FISHEYE"}, "camera_model"),
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model"),
        ({"is_fisheye": True}, "is_fisheye"),
        ({"w": 50}, "w is of a picture of 50x16"),
        ({"w": None, "width": 50}, "width is of a picture of 50x16"),
        ({"test_filenames": ["images/nosuch.png"]}, "test_filenames"),
        ({"applied_transform": [[1, 2], [3, 4]]}, "applied_transform"),
    ],
    ids=str,
)
def test_transforms_that_cannot_be_honoured_are_refused(write_dataset, change, named):
    folder = write_dataset("transforms", **change)
    with pytest.raises(DatasetError, match=named):
        open_dataset(folder)


# --- pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_belong_to_their_cameras(write_dataset, kind):
    dataset = open_dataset(write_dataset(kind), "train")
    for index, view in enumerate(dataset.views):
        image = dataset.image(index)
        assert image.dtype == np.float32
        assert image.shape == (view.camera.height_px, view.camera.width_px, 3)
        assert image.flags.c_contiguous
        assert 0 <= image.min() < image.max() <= 1


def test_pictures_are_laid_over_white(write_dataset, around):
    dataset = open_dataset(write_dataset("blender"), "train")
    values = around.pictures[2].astype(np.float64) / 255
    expected = values[..., :3] * values[..., 3:] + (1 - values[..., 3:])
    np.testing.assert_allclose(dataset.image(2), expected, atol=1e-6)


def test_half_resolution_averages_first_and_composites_then(write_dataset, around):
    dataset = open_dataset(write_dataset("blender"), "train", half_res=True)
    values = around.pictures[1].astype(np.float64) / 255
    mean = values.reshape(HEIGHT_PX // 2, 2, WIDTH_PX // 2, 2, 4).mean((1, 3))
    expected = mean[..., :3] * mean[..., 3:] + (1 - mean[..., 3:])
    np.testing.assert_allclose(dataset.image(1), expected, atol=1e-6)
    full = values[..., :3] * values[..., 3:] + (1 - values[..., 3:])
    other_order = full.reshape(HEIGHT_PX // 2, 2, WIDTH_PX // 2, 2, 3).mean((1, 3))
    assert np.abs(expected - other_order).max() > 0.05


def test_backgrounds_are_kept_where_published(write_dataset, around):
    folder = write_dataset("donerf")
    around.save_picture(0, "train/r_0.png")  # with transparency, which is ignored
    dataset = open_dataset(folder, "train")
    for index in (0, 1):
        expected = around.pictures[index][..., :3] / np.float32(255)
        np.testing.assert_allclose(dataset.image(index), expected, atol=1e-6)


def test_odd_pictures_can_be_halved(write_dataset, around):
    folder = write_dataset("blender")
    Image.fromarray(around.pictures[0][:15, :23]).save(folder / "train" / "r_0.png")
    dataset = open_dataset(folder, "train", half_res=True)
    assert dataset.image(0).shape == (7, 11, 3)
    assert dataset.cameras[0].width_px == 11


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGB", "RGBA"])
def test_other_kinds_of_pixels(write_dataset, around, mode):
    folder = write_dataset("blender")
    picture = Image.fromarray(around.pictures[0]).convert(mode)
    picture.save(folder / "train" / "r_0.png")
    dataset = open_dataset(folder, "train")
    rgba = np.asarray(picture.convert("RGBA"), dtype=np.float64) / 255
    expected = rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])
    np.testing.assert_allclose(dataset.image(0), expected, atol=1e-6)


def test_jpeg_pictures(write_dataset, around):
    folder = write_dataset("blender")
    (folder / "train" / "r_0.png").unlink()
    smooth = np.full((HEIGHT_PX, WIDTH_PX, 3), (200, 100, 50), np.uint8)
    Image.fromarray(smooth).save(folder / "train" / "r_0.jpg")
    image = open_dataset(folder, "train").image(0)
    np.testing.assert_allclose(image, smooth / 255, atol=0.02)


def test_thumbnails_fit(write_dataset):
    dataset = open_dataset(write_dataset("blender"), "train")
    thumbnail = dataset.thumbnail(0, 12)
    assert thumbnail.dtype == np.uint8
    assert thumbnail.shape == (8, 12, 3)
    small = dataset.image(0).reshape(8, 2, 12, 2, 3).mean((1, 3))
    assert np.abs(thumbnail / 255 - small).max() < 0.02


def test_a_picture_is_read_when_it_is_asked_for(write_dataset, around):
    folder = write_dataset("blender")
    dataset = open_dataset(folder, "train")
    Image.fromarray(np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)).save(folder / "train/r_0.png")
    assert dataset.image(0).max() == 0
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "train/r_0.png")
    with pytest.raises(DatasetError, match="size has changed"):
        dataset.image(0)


@pytest.mark.parametrize("kind", KINDS)
def test_progress_is_told(write_dataset, kind):
    told = []
    dataset = open_dataset(
        write_dataset(kind), "train", progress=lambda done, total: told.append((done, total))
    )
    assert told == [(i + 1, len(dataset)) for i in range(len(dataset))]


def test_datasets_are_frozen(write_dataset):
    dataset = open_dataset(write_dataset("blender"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.split = "train"
    with pytest.raises(ValueError, match="read-only"):
        dataset.cameras[0].T_world_camera[0, 0] = 2
