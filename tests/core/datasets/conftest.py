"""Small datasets in every format, written from the formats' own definitions.

Nine cameras look at landmarks. Where a landmark appears in a picture is worked out here from
scratch, in OpenCV terms (x right, y down, z ahead), so that a loader which turns or mirrors
something sends its rays elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WIDTH_PX, HEIGHT_PX, FOCAL_PX = 24, 16, 30.0
CAMERAS = 9
SPLITS = {"train": range(4), "val": range(4, 6), "test": range(6, 9)}
LLFF_FACTOR = 8


def _landmarks() -> np.ndarray:
    middle = np.array([0.3, -0.2, 0.1])
    return middle + np.random.default_rng(5).uniform(-0.5, 0.5, (6, 3))


@dataclass
class Capture:
    """What is in the files. `axes`: per camera right, down, ahead and position, each (3,).

    `pictures`: uint8 (H, W, 4). `folder`: the dataset. `seen`: per camera and landmark the pixel
    coordinate (column, row) under the format's own idea of pixels.
    """

    folder: Path
    axes: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)
    landmarks: np.ndarray = field(default_factory=_landmarks)

    def pose(self, index: int) -> np.ndarray:
        """Camera-to-world, OpenGL axes, (4, 4)."""
        right, down, ahead, position = self.axes[index]
        pose = np.eye(4)
        pose[:3] = np.stack([right, -down, -ahead, position], axis=1)
        return pose

    def seen(
        self,
        index: int,
        fx: float = FOCAL_PX,
        fy: float = FOCAL_PX,
        center: tuple[float, float] = (WIDTH_PX / 2, HEIGHT_PX / 2),
    ) -> np.ndarray:
        """(landmarks, 2) coordinates: f x/z + c."""
        right, down, ahead, position = self.axes[index]
        relative = self.landmarks - position
        x, y, z = relative @ right, relative @ down, relative @ ahead
        assert (z > 0.1).all(), "in front of the camera"
        return np.stack([fx * x / z + center[0], fy * y / z + center[1]], axis=1)

    def save_picture(self, index: int, name: str, channels: int = 4, size=None) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(self.pictures[index][..., :channels])
        (image if size is None else image.resize(size)).save(path)
        return path

    def write(self, name: str, content: object) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


def _capture(folder: Path, positions: np.ndarray, target: np.ndarray) -> Capture:
    """Cameras at `positions` that look roughly at `target`, each a little tilted."""
    rng = np.random.default_rng(3)
    capture = Capture(folder)
    for position in positions:
        ahead = target + rng.normal(0, 0.05, 3) - position
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, (0.0, 0.1, 1.0))
        right /= np.linalg.norm(right)
        capture.axes.append((right, np.cross(ahead, right), ahead, position))
        picture = rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 4), dtype=np.uint8)
        capture.pictures.append(picture)
    return capture


@pytest.fixture
def around(tmp_path) -> Capture:
    """Cameras all around, at a distance of 4 from the origin."""
    azimuth = np.linspace(0.2, 6.0, CAMERAS)
    elevation = np.linspace(0.2, 1.1, CAMERAS)
    positions = 4 * np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        axis=1,
    )
    return _capture(tmp_path / "scene", positions, np.zeros(3))


@pytest.fixture
def in_front(tmp_path) -> Capture:
    """Cameras on a wall, facing forward."""
    rng = np.random.default_rng(9)
    positions = np.array([7.0, 2.0, 1.0]) + rng.uniform(-0.8, 0.8, (CAMERAS, 3))
    return _capture(tmp_path / "scene", positions, np.zeros(3))


def _frames(capture: Capture, split: str) -> list[dict]:
    return [
        {
            "file_path": f"./{split}/r_{index}",
            "rotation": 0.01,
            "transform_matrix": capture.pose(index).tolist(),
        }
        for index in SPLITS[split]
    ]


def _angle_x() -> float:
    return 2 * float(np.arctan(WIDTH_PX / 2 / FOCAL_PX))


def write_blender(capture: Capture) -> Path:
    for split, indices in SPLITS.items():
        frames = _frames(capture, split)
        for index in indices:
            capture.save_picture(index, f"{split}/r_{index}.png")
        capture.write(f"transforms_{split}.json", {"camera_angle_x": _angle_x(), "frames": frames})
    return capture.folder


def write_donerf(capture: Capture) -> Path:
    for split, indices in SPLITS.items():
        for index in indices:
            capture.save_picture(index, f"{split}/r_{index}.png", channels=3)
        capture.write(f"transforms_{split}.json", {"frames": _frames(capture, split)})
    info = {
        "camera_angle_x": _angle_x(),
        "depth_range": [0.25, 12.5],
        "view_cell_center": [0, 0, 0],
        "resolution": [WIDTH_PX, HEIGHT_PX],
    }
    capture.write("dataset_info.json", info)
    return capture.folder


def write_llff(capture: Capture, bounds=(2.0, 9.0)) -> Path:
    rows = []
    for index, (right, down, ahead, position) in enumerate(capture.axes):
        full = (LLFF_FACTOR * HEIGHT_PX, LLFF_FACTOR * WIDTH_PX, LLFF_FACTOR * FOCAL_PX)
        matrix = np.stack([down, right, -ahead, position, full], axis=1)
        rows.append([*matrix.reshape(-1), bounds[0] + 0.1 * index, bounds[1]])
        capture.save_picture(index, f"images_{LLFF_FACTOR}/IMG_{index:03d}.png", channels=3)
    np.save(capture.folder / "poses_bounds.npy", np.array(rows))
    return capture.folder


def write_deepvoxels(capture: Capture) -> Path:
    """Returns the BASE folder; the scene is called vase."""
    folders = {"train": "train", "val": "validation", "test": "test"}
    size = (HEIGHT_PX, HEIGHT_PX)
    for split, indices in SPLITS.items():
        for index in indices:
            scene = f"{folders[split]}/vase"
            capture.save_picture(index, f"{scene}/rgb/{index:06d}.png", channels=3, size=size)
            right, down, ahead, position = capture.axes[index]
            pose = np.eye(4)
            pose[:3] = np.stack([right, down, ahead, position], axis=1)
            text = " ".join(repr(float(value)) for value in pose.reshape(-1))
            capture.write(f"{scene}/pose/{index:06d}.txt", text)
            # Intrinsics are those of pictures twice as large.
            lines = [f"{2 * FOCAL_PX} 17.0 15.0 0.", "0. 0. 0.", "1.", "1."]
            lines += [f"{2 * HEIGHT_PX} {2 * HEIGHT_PX}", "0"]
            capture.write(f"{scene}/intrinsics.txt", "\n".join(lines) + "\n")
    return capture.folder


TRANSFORMS_INTRINSICS = {
    "fl_x": 30.0,
    "fl_y": 31.5,
    "cx": 11.25,
    "cy": 8.5,
    "w": WIDTH_PX,
    "h": HEIGHT_PX,
}


def write_transforms(capture: Capture, **shared) -> Path:
    frames = []
    for index in range(CAMERAS):
        capture.save_picture(index, f"images/frame_{index:05d}.png", channels=3)
        frames.append(
            {
                "file_path": f"images/frame_{index:05d}.png",
                "transform_matrix": capture.pose(index).tolist(),
            }
        )
    content = {**TRANSFORMS_INTRINSICS, "camera_model": "OPENCV", "frames": frames, **shared}
    capture.write("transforms.json", {k: v for k, v in content.items() if v is not None})
    return capture.folder


WRITERS: dict[str, Callable[[Capture], Path]] = {
    "blender": write_blender,
    "donerf": write_donerf,
    "llff": write_llff,
    "deepvoxels": write_deepvoxels,
    "transforms": write_transforms,
}


@pytest.fixture
def write_dataset(around):
    """A function that writes a capture (`around`, unless another is given) in a format by name,
    with the writer's options, and returns the folder to open."""

    def write(kind: str, capture: Capture = around, **options) -> Path:
        capture.folder.mkdir(exist_ok=True)
        return WRITERS[kind](capture, **options)

    return write


@pytest.fixture
def edit_json(around):
    """A function that changes a JSON file of the capture: `edit_json(name, change)`, where
    `change` gets the parsed object and may return another."""

    def edit(name: str, change: Callable[[dict], object]) -> None:
        path = around.folder / name
        values = json.loads(path.read_text())
        changed = change(values)
        path.write_text(json.dumps(values if changed is None else changed))

    return edit


@pytest.fixture(scope="session")
def chair_folder() -> Path:
    """The chair of the NeRF synthetic data set, beside the repository. Skips where it is not."""
    repository = Path(__file__).parents[3]
    for parent in repository.parents[:3]:
        folder = parent / "shared" / "data" / "nerf_synthetic" / "chair"
        if folder.is_dir():
            return folder
    pytest.skip("the chair of the NeRF synthetic data set is not beside the repository")
