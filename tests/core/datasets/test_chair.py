"""The real thing: the chair of the NeRF synthetic data set, where it is at hand.

Whether its poses are read the right way round is asked of the pictures: a visual hull carved from
the train silhouettes must cast the test and val silhouettes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from r2l_core.datasets import Dataset, open_dataset

MASK_PX = 50
GRID = 72
EXTENT = 1.25
SPLIT_SIZES = {"train": 100, "val": 100, "test": 200}


def alpha_mask(dataset: Dataset, index: int) -> np.ndarray:
    """Where something is, bool (MASK_PX, MASK_PX), from the file itself."""
    with Image.open(dataset.views[index].path) as image:
        alpha = np.asarray(image)[..., 3]
    step = alpha.shape[0] // MASK_PX
    return alpha.reshape(MASK_PX, step, MASK_PX, step).mean((1, 3)) > 64


def mask_pixels(dataset: Dataset, index: int, points: np.ndarray, change) -> np.ndarray:
    """Row and column of the mask onto which world points fall, (2, N)."""
    camera = dataset.cameras[index]
    pose = change(camera.T_world_camera.copy())
    x, y, z = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    focal = camera.focal_px * MASK_PX / camera.width_px
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.stack([-y / -z, x / -z]) * focal + MASK_PX / 2
    places[:, z >= 0] = -1  # behind the camera
    return np.clip(np.nan_to_num(places, nan=-1), -1, MASK_PX).astype(int)


def hull(dataset: Dataset, indices, change) -> np.ndarray:
    """Centres of the voxels that no silhouette excludes, (N, 3)."""
    axis = (np.arange(GRID) + 0.5) / GRID * 2 * EXTENT - EXTENT
    points = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    for index in indices:
        framed = np.pad(alpha_mask(dataset, index), 1)
        rows, columns = mask_pixels(dataset, index, points, change) + 1
        points = points[framed[rows.clip(0, MASK_PX + 1), columns.clip(0, MASK_PX + 1)]]
    return points


def overlap(dataset: Dataset, index: int, points: np.ndarray, change) -> float:
    """Intersection over union of the hull's shadow and the silhouette."""
    shadow = np.zeros((MASK_PX + 2, MASK_PX + 2), bool)
    rows, columns = mask_pixels(dataset, index, points, change) + 1
    shadow[rows.clip(0, MASK_PX + 1), columns.clip(0, MASK_PX + 1)] = True
    shadow, mask = shadow[1:-1, 1:-1], alpha_mask(dataset, index)
    return float((shadow & mask).sum() / (shadow | mask).sum())


def as_read(pose: np.ndarray) -> np.ndarray:
    return pose


def opencv_axes(pose: np.ndarray) -> np.ndarray:
    pose[:3, 1:3] *= -1
    return pose


def world_to_camera(pose: np.ndarray) -> np.ndarray:
    return np.linalg.inv(pose)


def rolled(pose: np.ndarray) -> np.ndarray:
    pose[:3, :2] *= -1
    return pose


def mirrored(pose: np.ndarray) -> np.ndarray:
    pose[:3, 0] *= -1
    return pose


def y_up(pose: np.ndarray) -> np.ndarray:
    pose[:3, :3] = pose[[0, 2, 1], :3]
    return pose


@pytest.fixture(scope="module")
def splits(chair_folder):
    return {split: open_dataset(chair_folder, split) for split in SPLIT_SIZES}


def test_it_opens(splits):
    for split, count in SPLIT_SIZES.items():
        dataset = splits[split]
        assert (dataset.kind, dataset.name, dataset.split) == ("blender", "chair", split)
        assert len(dataset) == count
        assert dataset.splits == ("train", "val", "test")
        assert (dataset.scene.near, dataset.scene.far) == (2.0, 6.0)
        assert dataset.scene.view_radius == pytest.approx(4.031, abs=1e-3)


@pytest.mark.parametrize(
    ("half_res", "size", "focal"), [(False, 800, 1111.111), (True, 400, 555.556)]
)
def test_both_resolutions(chair_folder, half_res, size, focal):
    dataset = open_dataset(chair_folder, "test", half_res=half_res)
    for camera in dataset.cameras:
        assert (camera.width_px, camera.height_px) == (size, size)
        assert camera.focal_px == pytest.approx(focal, abs=1e-3)
    for index in (0, 77, 199):
        with Image.open(dataset.views[index].path) as picture:
            values = np.asarray(picture).astype(np.float64) / 255
        if half_res:
            values = values.reshape(400, 2, 400, 2, 4).mean((1, 3))
        expected = values[..., :3] * values[..., 3:] + (1 - values[..., 3:])
        np.testing.assert_allclose(dataset.image(index), expected, atol=1e-5)


def test_every_camera_looks_at_the_chair_from_above_the_floor(splits):
    for dataset in splits.values():
        for camera in dataset.cameras:
            right, up, back = camera.T_world_camera[:3, :3].T
            np.testing.assert_allclose(camera.position / 4.0311, back, atol=1e-3)
            assert camera.position[2] > -1e-6
            assert up[2] > -1e-6
            assert abs(right[2]) < 1e-4, "upright"


def test_the_hull_of_the_train_views_casts_the_other_silhouettes(splits):
    points = hull(splits["train"], range(0, 100, 6), as_read)
    assert 5_000 < len(points) < 60_000
    agreement = [
        overlap(splits[split], index, points, as_read)
        for split, step in (("train", 21), ("val", 9), ("test", 17))
        for index in range(4, SPLIT_SIZES[split], step)
    ]
    assert min(agreement) > 0.75
    assert np.mean(agreement) > 0.9


@pytest.mark.parametrize("change", [opencv_axes, world_to_camera, rolled, mirrored, y_up])
def test_any_other_convention_does_not(splits, change):
    points = hull(splits["train"], range(0, 100, 12), change)
    agreement = (
        [overlap(splits["test"], index, points, change) for index in range(4, 200, 40)]
        if len(points)
        else [0.0]
    )
    # All cameras look at the middle, so a roll by half a turn is much like a world turned inside
    # out, and only perspective tells the two apart: 0.73, where the others have 0.6 at most.
    assert np.mean(agreement) < 0.78


def test_one_wrong_pose_is_seen(splits):
    """The measure above is sharp enough to tell a single pose of another view."""
    dataset = splits["test"]
    points = hull(splits["train"], range(0, 100, 6), as_read)
    other = dataclasses.replace(dataset, views=(dataset.views[100],))
    swapped = dataclasses.replace(other.views[0], path=dataset.views[0].path)
    other = dataclasses.replace(other, views=(swapped,))
    assert overlap(dataset, 0, points, as_read) > 0.8 > overlap(other, 0, points, as_read)
