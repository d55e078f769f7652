"""NeRF synthetic scenes (Mildenhall et al., ECCV 2020), as the released R2L code reads them.

`transforms_{train,val,test}.json` hold `camera_angle_x` and frames of `file_path` and
`transform_matrix`: camera-to-world, OpenGL axes, as here. Other programs write files of these names
with all that `lenses` describes. Pictures are laid over white, as with
`--white_bkgd`, unless their background is kept: then transparency is ignored, as without it, and
what is transparent has the colour that is stored there, which is black.
"""

from __future__ import annotations

import numpy as np

from r2l_core.datasets.base import BLACK, WHITE, Dataset, Request
from r2l_core.datasets.fields import DatasetFields
from r2l_core.datasets.frames import read_views

SPLITS = ("train", "val", "test")
NEAR, FAR = 2.0, 6.0


def recognises(request: Request) -> bool:
    """Whether the folder looks like such a scene."""
    return bool(existing_splits(request))


def load(request: Request) -> Dataset:
    """Open one split. Raises DatasetError."""
    splits = existing_splits(request)
    request.choose(splits)
    file = read_frames(request)
    views, notes = read_views(request, [file], file.frames(), centred=True)
    distances = [float(np.linalg.norm(view.camera.position)) for view in views]
    radius = float(np.mean(distances))
    background = None if request.keep_background else WHITE
    return request.dataset(
        "blender",
        splits,
        views,
        background,
        file.file,
        notes=notes,
        near=NEAR,
        far=FAR,
        background_rgb=background or BLACK,
        view_radius=radius if radius > 1e-6 else 1.0,  # all views from the origin
    )


def existing_splits(request: Request) -> tuple[str, ...]:
    """The splits that have a file."""
    return tuple(s for s in SPLITS if (request.root / f"transforms_{s}.json").is_file())


def read_frames(request: Request) -> DatasetFields:
    """The description of the wished-for split."""
    return DatasetFields(request.root / f"transforms_{request.split}.json")
