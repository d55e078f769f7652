"""Photographs with known cameras, in the formats that NeRFs and light fields are published with.

Whatever the format, `open_dataset` gives one shape: a `Dataset`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from r2l_core.datasets import blender, deepvoxels, donerf, llff, transforms
from r2l_core.datasets.base import Dataset, NoSuchSplit, Progress, Request, View
from r2l_core.errors import DatasetError

__all__ = ["Dataset", "NoSuchSplit", "Progress", "View", "open_dataset"]

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
    """Open one split of the dataset in the folder `path`; its format is found out.

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
    request = Request(root, split, half_res, spherify, keep_background, progress)
    what = f"The dataset {request.root} cannot be opened"
    try:
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
