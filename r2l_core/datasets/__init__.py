"""Photographs with known cameras, in the formats that NeRFs and light fields are published with.

Whatever the format, `open_dataset` gives one shape: a `Dataset`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from r2l_core.datasets import blender, deepvoxels, donerf, llff, transforms
from r2l_core.datasets.base import Dataset, NoSuchSplit, Request, View
from r2l_core.errors import DatasetError
from r2l_core.types import Progress

__all__ = [
    "Dataset",
    "NoSuchSplit",
    "View",
    "dataset_around",
    "folders_around",
    "open_dataset",
]

# Asked in this order: a DONeRF scene is a Blender scene with one file more.
_FORMATS: tuple[tuple[Callable[[Request], bool], Callable[[Request], Dataset]], ...] = (
    (donerf.recognises, donerf.load),
    (blender.recognises, blender.load),
    (transforms.recognises, transforms.load),
    (llff.recognises, llff.load),
    (deepvoxels.recognises, deepvoxels.load),
)


def open_dataset(
    path: Path | str,
    split: str = "test",
    *,
    half_res: bool = False,
    spherify: bool = False,
    keep_background: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Open one split of the dataset in the folder `path`, or around the file `path`; its format is
    found out.

    Descriptions, poses and the headers of all pictures are checked now, the pictures themselves
    are decoded when they are asked for. `half_res`: give pictures out at half their size,
    area-averaged. `spherify`: for LLFF captures all around an object. `keep_background`: do not lay
    the transparent pictures of Blender scenes over white. `progress` is told how many views are
    checked. Raises DatasetError, which names the file and the field.
    """
    try:
        root = Path(path).expanduser()
    except RuntimeError:  # the home of nobody
        root = Path(path)
    what = f"The dataset {root} cannot be opened"
    try:
        root = dataset_around(root) or root
        request = Request(root, split, half_res, spherify, keep_background, progress)
        if not request.root.is_dir():
            raise DatasetError(what, "there is no such folder", "Give the folder of a scene.")
        for recognises, load in _FORMATS:
            if recognises(request):
                return load(request)
    except OSError as error:
        raise DatasetError(what, f"it cannot be read ({error})", "Check the path.") from error
    raise DatasetError(
        what,
        "it has none of transforms_test.json, transforms.json, poses_bounds.npy and intrinsics.txt",
        "Give the folder of a Blender, DONeRF, LLFF, DeepVoxels or nerfstudio scene.",
    )


def dataset_around(path: Path) -> Path | None:
    """The folder of the dataset that `path` is, or lies in as a file; None where there is none."""
    # A picture lies up to two folders below: in BASE/train/SCENE/rgb of DeepVoxels.
    folders = (path,) if path.is_dir() else tuple(path.parents[:2]) if path.is_file() else ()
    for folder in folders:
        request = Request(folder, "test")
        if folder.is_dir() and any(recognises(request) for recognises, _ in _FORMATS):
            return folder
    return None


def folders_around(path: Path) -> list[Path]:
    """Where the files of the dataset lie that `path` is, or lies in as a file: its folder, and
    those of its splits, which may lie elsewhere. Empty where there is none."""
    try:
        root = dataset_around(path)
        if root is None:
            return []
        request = Request(root, "test")
        apart = deepvoxels.folders(request) if deepvoxels.recognises(request) else []
        return [root, *apart]
    except (OSError, ValueError, DatasetError):  # names no file system takes
        return []
