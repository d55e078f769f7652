"""Photographs to learn from: what `teach`, `distill --finetune` and `learn` have in common."""

from __future__ import annotations

import argparse
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from r2l_core.commands.shared import print_notes
from r2l_core.errors import DatasetError

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset, NoSuchSplit
    from r2l_core.training.runs import TellDone
    from r2l_core.types import Progress

MIN_VIEWS = 4
"""Fewer say too little about where things are."""


def photographs_options(parser: argparse.ArgumentParser) -> None:
    """Declare --dataset and --half-res."""
    parser.add_argument(
        "--dataset",
        type=Path,
        required=True,
        metavar="DIR",
        help="photographs with their cameras: Blender, DONeRF, LLFF or nerfstudio",
    )
    half_res_option(parser)


def half_res_option(parser: argparse.ArgumentParser) -> None:
    """Declare --half-res."""
    parser.add_argument(
        "--half-res", action="store_true", help="use the photographs at half their size"
    )


def open_photographs(
    folder: Path, half_res: bool, tell: TellDone
) -> tuple[Dataset, Dataset | None]:
    """The training views, and views to measure against, where the dataset holds any out that are
    not its test views.

    Raises DatasetError: for a folder of pictures without poses, with the usual ways to get them.
    """
    training = _training_views(folder, half_res, partial(tell, "checking photographs"))
    if len(training) < MIN_VIEWS:
        raise DatasetError(
            f"The dataset {folder} cannot be learned from",
            f"it has {len(training)} training view{'s' * (len(training) != 1)}, and depth shows "
            f"only in several: at least {MIN_VIEWS} are needed",
            "Add photographs.",
        )
    _require_one_size(training)
    print_notes(training.notes)
    held_out = None
    if "val" in training.splits:
        held_out = _held_out_split(folder, "val", half_res)
    return training, held_out


def comparison_split(folder: Path, half_res: bool, tell: TellDone) -> str | None:
    """The split that a result is compared with in the end, all of whose pictures can be read; None
    where the dataset holds no views out. Raises DatasetError."""
    splits = _training_views(folder, half_res).splits
    split = next((split for split in ("test", "val") if split in splits), None)
    if split is not None:
        views = _held_out_split(folder, split, half_res)
        views.require_sound(partial(tell, f"checking {split} pictures"))
    return split


def _training_views(folder: Path, half_res: bool, checked: Progress | None = None) -> Dataset:
    # Imported here: only trainings and evaluations read photographs.
    from r2l_core.datasets import NoSuchSplit, open_dataset

    try:
        return open_dataset(folder, "train", half_res=half_res, progress=checked)
    except NoSuchSplit as error:
        raise _incomplete(error) from error
    except DatasetError as error:
        if not _bare_pictures(folder):
            raise
        raise DatasetError(
            f"The photographs in {folder} cannot be learned from",
            "nothing says where their cameras stood",
            "Find that out with COLMAP (its poses become an LLFF dataset with imgs2poses.py), or "
            "with nerfstudio's `ns-process-data images`, which makes a transforms.json.",
        ) from error


def _held_out_split(folder: Path, split: str, half_res: bool) -> Dataset:
    # Imported here, as above.
    from r2l_core.datasets import NoSuchSplit, open_dataset

    try:
        return open_dataset(folder, split, half_res=half_res)
    except NoSuchSplit as error:
        raise _incomplete(error) from error


def _incomplete(error: NoSuchSplit) -> DatasetError:
    """Where the split is none that could be chosen."""
    return DatasetError(error.what, error.why, "Give a complete dataset.")


def _require_one_size(dataset: Dataset) -> None:
    """One lens for all views belongs to pictures of one size; per-frame ones may differ."""
    if dataset.kind not in ("blender", "donerf"):
        return
    sizes = [(camera.width_px, camera.height_px) for camera in dataset.cameras]
    usual = Counter(sizes).most_common(1)[0][0]
    for view, size in zip(dataset.views, sizes, strict=True):
        if size != usual:
            raise DatasetError(
                f"The picture {view.path} cannot be learned from",
                f"it is {size[0]}x{size[1]} pixels, and the others are {usual[0]}x{usual[1]}",
                "Give pictures of one size.",
            )


def _bare_pictures(folder: Path) -> bool:
    """Whether there are pictures in the folder, or in its `images`, and no known description."""
    from r2l_core.datasets.images import SUFFIXES

    descriptions = ("transforms*.json", "poses_bounds.npy", "intrinsics.txt")
    try:
        if any(next(folder.glob(pattern), None) is not None for pattern in descriptions):
            return False
        places = (place for place in (folder, folder / "images") if place.is_dir())
        return any(path.suffix.lower() in SUFFIXES for place in places for path in place.iterdir())
    except (OSError, ValueError):
        return False
