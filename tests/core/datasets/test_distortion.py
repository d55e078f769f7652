"""Lenses that bend straight lines, and masks: what is compared is what a pinhole would have seen.

The photographs are made here from a picture that is known everywhere: through OpenCV's formulas,
written out once more and turned around by Newton's method.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from r2l_core.datasets import Dataset, open_dataset
from r2l_core.datasets.distortion import Distortion
from r2l_core.errors import DatasetError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit

WIDTH, HEIGHT, FX, FY, CX, CY = 120, 90, 80.0, 84.0, 63.0, 41.5
LENSES = {
    "barrel": {"k1": -0.25, "k2": 0.06},
    "cushion": {"k1": 0.2, "k2": 0.05, "k3": 0.01},
    "tangential": {"p1": 0.03, "p2": -0.02},
    "all": {"k1": -0.2, "k2": 0.05, "p1": 0.01, "p2": 0.01, "k4": 0.002},
    "quotient": {"camera_model": "FULL_OPENCV", "k1": 0.3, "k4": 0.5, "k5": 0.1, "p1": 0.01},
}


def world(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What is at x, y of the plane at depth 1: (..., 3) in [0, 1], smooth."""
    waves = [np.sin(9 * x + 2 * y), np.sin(8 * y - 3 * x + 1), np.sin(6 * (x + y)) * np.cos(5 * x)]
    return 0.5 + 0.45 * np.stack(waves, axis=-1)


def bend(lens: dict, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV's model, as its manual has it."""
    k = [lens.get(f"k{n}", 0.0) for n in range(1, 7)]
    p1, p2 = lens.get("p1", 0.0), lens.get("p2", 0.0)
    r = np.sqrt(x**2 + y**2)
    radial = 1 + k[0] * r**2 + k[1] * r**4 + k[2] * r**6
    if "camera_model" in lens:
        radial /= 1 + k[3] * r**2 + k[4] * r**4 + k[5] * r**6
    else:
        radial += k[3] * r**8
    return (
        x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2),
        y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y,
    )


def straight(lens: dict, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points that the lens puts at x, y."""
    step = 1e-6
    found_x, found_y = x.copy(), y.copy()
    for _ in range(15):
        here = bend(lens, found_x, found_y)
        right, down = bend(lens, found_x + step, found_y), bend(lens, found_x, found_y + step)
        (a, c), (b, d) = (
            [(moved[at] - here[at]) / step for at in range(2)] for moved in (right, down)
        )
        off_x, off_y = here[0] - x, here[1] - y
        found_x, found_y = (
            found_x - (d * off_x - b * off_y) / (a * d - b * c),
            found_y - (a * off_y - c * off_x) / (a * d - b * c),
        )
    np.testing.assert_allclose(bend(lens, found_x, found_y), (x, y), atol=1e-9)
    return found_x, found_y


def plane() -> tuple[np.ndarray, np.ndarray]:
    """Of every pixel's middle, on the plane at depth 1, y downwards."""
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    return (columns - CX) / FX, (rows - CY) / FY


def photograph(lens: dict) -> np.ndarray:
    """What the lens takes of the world: float (H, W, 3)."""
    return world(*straight(lens, *plane()))


def saved(folder: Path, picture: np.ndarray, lens: dict, **frame: object) -> Path:
    """A dataset of one photograph."""
    (folder / "images").mkdir(parents=True)
    pixels = np.rint(255 * picture).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "images/0.png")
    pose = Orbit(30.0, 20.0, 4.0).T_world_camera().tolist()
    size = {"w": picture.shape[1], "h": picture.shape[0]}
    values = {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, **size, **lens}
    values["frames"] = [{"file_path": "images/0.png", "transform_matrix": pose, **frame}]
    (folder / "transforms.json").write_text(json.dumps(values))
    return folder


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    return -10 * math.log10(float(np.mean((one - other) ** 2)))


def counted(dataset: Dataset) -> np.ndarray:
    found = dataset.counted(0)
    camera = dataset.cameras[0]
    return np.ones((camera.height_px, camera.width_px), bool) if found is None else found


@pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_the_picture_is_that_of_a_pinhole(tmp_path, lens, half):
    taken = photograph(lens)
    dataset = open_dataset(saved(tmp_path / "scene", taken, lens), half_res=half)
    truth = world(*plane())
    if half:
        truth, taken = (
            one.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
            for one in (truth, taken)
        )
    seen = counted(dataset)
    assert seen.mean() > 0.8
    assert psnr_db(dataset.image(0)[seen], truth[seen]) > 40
    assert psnr_db(taken[seen], truth[seen]) < 30
    assert "is undone" in dataset.notes[-1]


def test_what_the_lens_has_not_seen_does_not_count(tmp_path):
    lens = LENSES["cushion"]
    seen = counted(open_dataset(saved(tmp_path / "scene", photograph(lens), lens)))
    x, y = plane()
    for row, column in ((0, 0), (0, 60), (45, 60), (89, 119), (45, 119), (20, 3)):
        bent_x, bent_y = bend(lens, x[row, column], y[row, column])
        inside = 0 <= bent_x * FX + CX <= WIDTH and 0 <= bent_y * FY + CY <= HEIGHT
        assert seen[row, column] == inside


def test_where_a_polynomial_turns_back_nothing_is_seen(tmp_path):
    """Beyond r = 0.58, this one shows the middle once more."""
    lens = {"k1": -1.0}
    seen = counted(open_dataset(saved(tmp_path / "scene", world(*plane()), lens)))
    x, y = plane()
    radii = np.hypot(x, y)
    assert seen[radii < 0.57].all()
    assert not seen[radii > 0.585].any()


@pytest.mark.parametrize("numbers", [(1e3, -1e3, 1e3, -1e3), (-1e3, 0, 0, 0), (0, 0, 0, 1e-9)])
def test_any_coefficients_have_a_picture(tmp_path, numbers):
    for model in ("OPENCV", "FULL_OPENCV"):
        lens = dict(zip(("k1", "k4", "p1", "k6"), numbers, strict=True), camera_model=model)
        dataset = open_dataset(saved(tmp_path / model, world(*plane()), lens))
        assert np.isfinite(dataset.image(0)).all()
        counted(dataset)


def test_the_size_of_the_shift_is_noted(tmp_path):
    lens = {"k1": -0.1}
    note = open_dataset(saved(tmp_path / "scene", world(*plane()), lens)).notes[-1]
    corner = (-CX / FX, (HEIGHT - CY) / FY)
    moved = np.array(bend(lens, *corner)) - corner
    px = math.hypot(moved[0] * FX, moved[1] * FY)
    assert f"up to {px:.1f} pixels" in note


def test_no_distortion_changes_no_number(tmp_path):
    picture = world(*plane())
    zeros = {**{f"k{n}": 0.0 for n in range(1, 5)}, "p1": 0.0, "p2": 0.0}
    dataset = open_dataset(saved(tmp_path / "scene", picture, zeros))
    np.testing.assert_array_equal(
        dataset.image(0), np.rint(255 * picture).astype(np.uint8).astype(np.float32) / 255
    )
    assert dataset.counted(0) is None
    assert len(dataset.notes) == 1


def test_strips_are_one_picture(monkeypatch):
    """Wide pictures are undone a few rows at a time."""
    distortion = Distortion((-0.1, 0.0, 0.0, 0.0, 0.0, 0.0))
    from r2l_core.datasets import distortion as room

    picture = np.random.default_rng(2).random((50, 40, 3), np.float32)
    camera = Camera(np.eye(4), 40, 50, 30.0)
    whole = room.undistorted(picture, camera, distortion)
    kept = room.counted(camera, distortion, None)
    monkeypatch.setattr(room, "_STRIP_PX", 130)
    np.testing.assert_array_equal(room.undistorted(picture, camera, distortion), whole)
    np.testing.assert_array_equal(room.counted(camera, distortion, None), kept)


# --- masks --------------------------------------------------------------------------------------

LEFT = np.zeros((HEIGHT, WIDTH), np.uint8)
LEFT[:, : WIDTH // 2] = 255


def masked(folder: Path, mask: Image.Image, name: str = "masks/0.png", lens=None) -> Dataset:
    saved(folder, world(*plane()), lens or {}, mask_path=name.replace("0.PNG", "0.png"))
    (folder / "masks").mkdir()
    mask.save(folder / name)
    return open_dataset(folder)


@pytest.mark.parametrize(
    "mask",
    {
        "grey": Image.fromarray(LEFT),
        "one": Image.fromarray(LEFT // 255),
        "bits": Image.fromarray(LEFT > 0),
        "colours": Image.fromarray(LEFT).convert("RGB"),
        "transparency": Image.fromarray(LEFT).convert("RGBA"),
        "palette": Image.fromarray(LEFT).convert("P"),
        "larger": Image.fromarray(LEFT).resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.NEAREST),
    }.values(),
    ids=["grey", "one", "bits", "colours", "transparency", "palette", "larger"],
)
def test_masks_keep_what_is_bright(tmp_path, mask):
    dataset = masked(tmp_path / "scene", mask)
    np.testing.assert_array_equal(dataset.counted(0), LEFT > 0)
    assert "1 pictures have masks" in dataset.notes[-1]


def test_masks_are_found_like_pictures(tmp_path):
    dataset = masked(tmp_path / "scene", Image.fromarray(LEFT), "masks/0.PNG")
    np.testing.assert_array_equal(dataset.counted(0), LEFT > 0)


def test_of_pixels_made_smaller_all_has_to_be_kept(tmp_path):
    mask = LEFT.copy()
    mask[10, 10] = 0
    folder = masked(tmp_path / "scene", Image.fromarray(mask)).views[0].path.parents[1]
    kept = open_dataset(folder, half_res=True).counted(0)
    expected = mask.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).min(axis=(1, 3)) > 0
    np.testing.assert_array_equal(kept, expected)


def test_masks_are_bent_back_as_well(tmp_path):
    lens = LENSES["barrel"]
    taken = photograph(lens)[..., 0] > 0.5
    dataset = masked(tmp_path / "scene", Image.fromarray(taken), lens=lens)
    expected = world(*plane())[..., 0] > 0.5
    kept = counted(dataset)
    assert not (kept & ~expected).sum() > 0.01 * kept.size
    assert (kept == expected).mean() > 0.9


def test_a_missing_mask_is_told_and_a_wrong_one_refused(tmp_path):
    folder = saved(tmp_path / "scene", world(*plane()), {}, mask_path="masks/7.png")
    dataset = open_dataset(folder)
    assert "1 masks are missing, such as 'masks/7.png'" in dataset.notes[-1]
    assert dataset.counted(0) is None
    (folder / "masks").mkdir()
    Image.fromarray(LEFT[:, :40]).save(folder / "masks/7.png")
    with pytest.raises(DatasetError, match=r"frames\[0\].mask_path names a picture of another sha"):
        open_dataset(folder)
    (folder / "masks/7.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"masks/7\.png cannot be read"):
        open_dataset(folder)


def test_masks_lead_nowhere_else(tmp_path):
    Image.fromarray(LEFT).save(tmp_path / "outside.png")
    folder = saved(tmp_path / "scene", world(*plane()), {}, mask_path="../outside.png")
    with pytest.raises(DatasetError, match=r"mask_path '\.\./outside\.png' leads out"):
        open_dataset(folder)
