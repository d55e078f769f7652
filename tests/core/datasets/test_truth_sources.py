"""A dataset as the ground truth: its pictures at its poses, and nothing anywhere else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from r2l_core.datasets import NoSuchSplit, open_dataset
from r2l_core.engines.building import build_engine
from r2l_core.errors import DatasetError
from r2l_core.evaluation.ground_truth import TRUTH, DatasetSource
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.render.frames import RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.renderer import Renderer
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision, to_uint8


@pytest.fixture
def dataset(write_dataset):
    return open_dataset(write_dataset("blender"), "test")


@pytest.fixture
def truth(dataset):
    return DatasetSource(dataset)


def only_frame(source, camera: Camera):
    ((frame,),) = Renderer([Pane(source)]).frames(RenderRequest(1, camera, target_ms=1.0))
    return frame


def test_every_pose_shows_its_own_picture_at_once(dataset, truth):
    for index, camera in enumerate(dataset.cameras):
        frame = only_frame(truth, camera)
        assert (frame.engine.engine, frame.complete, frame.why_blank) == (TRUTH, True, "")
        np.testing.assert_allclose(frame.image / 255, dataset.image(index), atol=0.5001 / 255)


def test_there_is_no_picture_beside_the_poses(dataset, truth):
    only_frame(truth, dataset.cameras[0])
    pose = dataset.cameras[0].T_world_camera.copy()
    pose[0, 3] += 1e-9
    own = dataset.cameras[0]
    frame = only_frame(truth, Camera(pose, own.width_px, own.height_px, own.focal_px))
    assert frame.why_blank == "not at a pose of the dataset"
    assert len(np.unique(frame.image)) == 1, "nothing of the picture before is left"


def test_another_size_is_averaged_over_the_area_of_each_pixel(dataset, truth):
    frame = only_frame(truth, dataset.cameras[1].resized(12, 8))
    assert frame.why_blank == ""
    areas = dataset.image(1).reshape(8, 2, 12, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(frame.image, np.rint(255 * areas), atol=1)


def test_beside_a_network_it_is_whole_at_once(dataset, truth, light_field):
    engine = build_engine(light_field, Precision.FP32, "torch", "cpu")
    renderer = Renderer([Pane(NetworkSource(engine, light_field.scene)), Pane(truth)])
    request = RenderRequest(1, dataset.cameras[2], target_ms=0.001)
    preview, shown = next(iter(renderer.frames(request)))
    assert preview.stride > 1
    np.testing.assert_allclose(shown.image, np.rint(255 * dataset.image(2)), atol=1)
    assert (preview.known_share < 1, shown.known_share) == (True, 1.0)


def test_beside_a_network_it_ends_with_the_exact_picture(dataset, truth, light_field):
    engine = build_engine(light_field, Precision.FP32, "torch", "cpu")
    renderer = Renderer([Pane(NetworkSource(engine, light_field.scene)), Pane(truth)])
    request = RenderRequest(1, dataset.cameras[2], target_ms=0.001)
    *_, (_, shown) = renderer.frames(request)
    np.testing.assert_array_equal(shown.colors, dataset.image(2))
    *_, (other, blank) = renderer.frames(
        RenderRequest(2, Orbit(1.0, 2.0, 4.0).camera(24, 16, 30.0))
    )
    assert blank.complete
    assert (other.why_blank, bool(blank.why_blank)) == ("", True)


def test_a_picture_that_has_gone_is_named(dataset, truth):
    path = dataset.views[0].path
    path.unlink()
    with pytest.raises(DatasetError, match=path.name):
        only_frame(truth, dataset.cameras[0])


def test_a_picture_is_read_once(dataset, truth):
    first = only_frame(truth, dataset.cameras[0])
    dataset.views[0].path.unlink()
    again = only_frame(truth, dataset.cameras[0])
    np.testing.assert_array_equal(again.image, first.image)
    assert not np.array_equal(first.image, to_uint8(_picture(dataset, 1))), "pictures differ"


def _picture(dataset, index):
    import torch

    return torch.from_numpy(dataset.image(index))


def test_the_nearest_view_stands_and_looks_alike(dataset):
    for index, camera in enumerate(dataset.cameras):
        pose = camera.T_world_camera.copy()
        pose[:3, 3] += 0.05
        assert dataset.nearest(Camera(pose, 8, 8, 10.0)) == index
        assert dataset.index_of(camera) == index
    assert dataset.index_of(dataset.cameras[0].resized(8, 8)) is None


def test_of_two_cameras_at_one_place_the_one_that_looks_the_same_way_is_nearest(write_dataset):
    dataset = open_dataset(write_dataset("blender"), "test")
    pose = dataset.cameras[1].T_world_camera.copy()
    pose[:3, 3] = dataset.cameras[0].position * 0.5 + dataset.cameras[1].position * 0.5
    assert dataset.nearest(Camera(pose, 8, 8, 10.0)) == 1


def test_a_split_that_is_missing_is_told_from_a_bad_one(write_dataset, around):
    folder = write_dataset("blender")
    (folder / "transforms_test.json").unlink()
    with pytest.raises(NoSuchSplit, match="train, val"):
        open_dataset(folder, "test")


def test_frames_say_which_pixels_count(write_dataset, edit_json, light_field):
    folder = write_dataset("blender")
    mask = np.zeros((16, 24), np.uint8)
    mask[:, :12] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    edit_json(
        "transforms_test.json",
        lambda values: [frame.update(mask_path="mask.png") for frame in values["frames"]] and None,
    )
    dataset = open_dataset(folder, "test")
    engine = build_engine(light_field, Precision.FP32, "torch", "cpu")
    panes = [Pane(NetworkSource(engine, light_field.scene)), Pane(DatasetSource(dataset))]
    for camera, kept in (
        (dataset.cameras[0], mask > 0),
        (dataset.cameras[0].resized(12, 8), mask[::2, ::2] > 0),
    ):
        *_, (own, truth) = Renderer(panes).frames(RenderRequest(1, camera))
        np.testing.assert_array_equal(truth.counted, kept)
        assert own.counted is None
