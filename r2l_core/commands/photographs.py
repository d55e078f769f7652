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
    from r2l_core.datasets import Dataset
    from r2l_core.training.runs import TellDone

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
    # Imported here: only trainings and evaluations read photographs.
    from r2l_core.datasets import NoSuchSplit, open_dataset

    try:
        checked = partial(tell, "checking photographs")
        training = open_dataset(folder, "train", half_res=half_res, progress=checked)
    except NoSuchSplit:
        raise
    except DatasetError as error:
        if not _bare_pictures(folder):
            raise
        raise DatasetError(
            f"The photographs in {folder} cannot be learned from",
            "nothing says where their cameras stood",
            "Find that out with COLMAP (its poses become an LLFF dataset with imgs2poses.py), or "
            "with nerfstudio's `ns-process-data images`, which makes a transforms.json.",
        ) from error
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
        held_out = open_dataset(folder, "val", half_res=half_res)
    return training, held_out


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
