"""DeepVoxels scenes (Sitzmann et al., CVPR 2019), as the released R2L code reads them.

`BASE/{train,validation,test}/SCENE` each hold `intrinsics.txt`, `pose/*.txt` (sixteen numbers:
camera-to-world, OpenCV axes) and `rgb/*.png`. Only the focal length of the intrinsics is used; near
and far are the mean distance of all cameras from the origin, less and plus 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.datasets.base import WHITE, Dataset, Request, View, camera_of, pictures_in
from r2l_core.datasets.fields import MAX_COORDINATE, bad_file, read_text
from r2l_core.errors import DatasetError, system_reason

FOLDERS = {"train": "train", "val": "validation", "test": "test"}
_INTRINSICS = "intrinsics.txt"
_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def recognises(request: Request) -> bool:
    """Whether the folder is BASE, or one of its SCENE folders."""
    return (request.root / _INTRINSICS).is_file() or bool(_scenes(request.root))


def folders(request: Request) -> list[Path]:
    """Those of the splits there are. Raises DatasetError."""
    return list(_split_folders(request).values())


def load(request: Request) -> Dataset:
    """Open one split. Raises DatasetError."""
    folders = _split_folders(request)
    request.choose(tuple(folders))
    poses = {split: _poses(folder) for split, folder in folders.items()}
    folder = folders[request.split]
    file = folder / _INTRINSICS
    focal_px, height_px, inverted = _intrinsics(file)
    pictures = pictures_in(folder / "rgb")
    chosen = poses[request.split]
    if [path.stem for path in pictures] != [path.stem for path in chosen]:
        raise bad_file(
            folder / "pose",
            f"its {len(chosen)} files do not match the {len(pictures)} pictures in 'rgb' by name",
        )
    views = []
    for done, (picture, (pose_file, matrix)) in enumerate(
        zip(pictures, chosen.items(), strict=True)
    ):
        if inverted:
            matrix = _inverse(pose_file, matrix)
        size_px = request.output_size(picture)
        focal = focal_px * size_px[1] / height_px
        camera = camera_of(pose_file, "the pose", matrix @ _FROM_OPENCV, size_px, focal)
        views.append(View(f"{request.split}/{picture.stem}", picture, camera))
        request.tell(done + 1, len(chosen))
    distances = [
        float(np.linalg.norm((_inverse(name, matrix) if inverted else matrix)[:3, 3]))
        for of_split in poses.values()
        for name, matrix in of_split.items()
    ]
    radius = float(np.mean(distances))
    return request.dataset(
        "deepvoxels",
        tuple(folders),
        views,
        WHITE,
        file,
        name=folder.resolve().name,
        near=radius - 1,
        far=radius + 1,
        background_rgb=WHITE,
        bound_radius=1.0,
        view_radius=radius,
    )


def _scenes(base: Path) -> list[str]:
    """Names of the scenes below BASE."""
    found = [base.joinpath(folder).glob(f"*/{_INTRINSICS}") for folder in FOLDERS.values()]
    return sorted({path.parent.name for paths in found for path in paths})


def _split_folders(request: Request) -> dict[str, Path]:
    root = request.root
    if not (root / _INTRINSICS).is_file():
        base, scenes = root, _scenes(root)
        if len(scenes) > 1:
            raise DatasetError(
                f"The dataset {root} cannot be opened",
                f"it holds several scenes: {', '.join(scenes[:20])}",
                f"Give one of them, such as {root / 'train' / scenes[0]}.",
            )
        scene = scenes[0]
    elif root.resolve().parent.name in FOLDERS.values():
        base, scene = root.resolve().parent.parent, root.resolve().name
    else:
        return {"train": root}
    folders = {split: base / folder / scene for split, folder in FOLDERS.items()}
    return {split: path for split, path in folders.items() if (path / _INTRINSICS).is_file()}


def _intrinsics(file: Path) -> tuple[float, float, bool]:
    """Focal length and image height, both in the file's own pixels, and whether its poses are
    world-to-camera."""
    lines = read_text(file).splitlines()[:6]
    if len(lines) < 5:
        raise bad_file(file, "it has fewer than five lines")
    focal_px = _numbers(file, "line 1", lines[0], at_least=1)[0]
    height_px = _numbers(file, "line 5", lines[4], at_least=2)[0]
    inverted = len(lines) > 5 and lines[5].strip() not in ("", "0")
    if focal_px <= 0 or not 1 <= height_px <= 65536:
        raise bad_file(file, "its focal length or image height is not a number of pixels")
    return focal_px, height_px, inverted


def _poses(folder: Path) -> dict[Path, NDArray[np.float64]]:
    try:
        files = sorted(path for path in (folder / "pose").iterdir() if path.suffix == ".txt")
    except OSError as error:
        raise bad_file(folder / "pose", f"it cannot be listed ({system_reason(error)})") from error
    if not 1 <= len(files) <= limits.VIEWS:
        raise bad_file(folder / "pose", f"it has {len(files)} poses, not 1 to {limits.VIEWS}")
    return {file: _pose(file) for file in files}


def _pose(file: Path) -> NDArray[np.float64]:
    numbers = _numbers(file, "the pose", read_text(file), at_least=16)
    if len(numbers) != 16:
        raise bad_file(file, "the pose has more than sixteen numbers")
    return np.array(numbers).reshape(4, 4)


def _inverse(file: Path, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        return np.linalg.inv(matrix).astype(np.float64)
    except np.linalg.LinAlgError as error:
        raise bad_file(file, "the pose cannot be inverted") from error


def _numbers(file: Path, field: str, text: str, at_least: int) -> list[float]:
    words = text.split(maxsplit=64)
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise bad_file(file, f"{field} is not a row of numbers") from error
    if len(numbers) < at_least:
        raise bad_file(file, f"{field} has {len(numbers)} numbers, not {at_least}")
    if not all(abs(number) <= MAX_COORDINATE for number in numbers):  # false for not-a-number, too
        raise bad_file(file, f"{field} has a number that is not finite, or huge")
    return numbers
