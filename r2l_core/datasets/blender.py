"""NeRF synthetic scenes (Mildenhall et al., ECCV 2020), as the released R2L code reads them.

`transforms_{train,val,test}.json` hold `camera_angle_x` and frames of `file_path` and
`transform_matrix`: camera-to-world, OpenGL axes, as here. Pictures are laid over white, as with
`--white_bkgd`, unless their background is kept: then transparency is ignored, as without it, and
what is transparent has the colour that is stored there, which is black.
"""

from __future__ import annotations

import math

import numpy as np

from r2l_core.datasets.base import BLACK, WHITE, Dataset, Request, View, camera_of
from r2l_core.datasets.fields import DatasetFields
from r2l_core.geometry.camera import focal_from_angle

SPLITS = ("train", "val", "test")
NEAR, FAR = 2.0, 6.0


def recognises(request: Request) -> bool:
    """Whether the folder looks like such a scene."""
    return bool(existing_splits(request))


def load(request: Request) -> Dataset:
    """Open one split. Raises DatasetError."""
    splits = existing_splits(request)
    request.choose(splits)
    frames = read_frames(request)
    views = views_of(request, frames, camera_angle_x_rad(frames))
    distances = [float(np.linalg.norm(view.camera.position)) for view in views]
    background = None if request.keep_background else WHITE
    return request.dataset(
        "blender",
        splits,
        views,
        background,
        frames.file,
        near=NEAR,
        far=FAR,
        background_rgb=background or BLACK,
        view_radius=float(np.mean(distances)),
    )


def existing_splits(request: Request) -> tuple[str, ...]:
    """The splits that have a file."""
    return tuple(s for s in SPLITS if (request.root / f"transforms_{s}.json").is_file())


def read_frames(request: Request) -> DatasetFields:
    """The description of the wished-for split."""
    return DatasetFields(request.root / f"transforms_{request.split}.json")


def camera_angle_x_rad(fields: DatasetFields) -> float:
    """The horizontal field of view."""
    return fields.number("camera_angle_x", low=1e-3, high=math.pi - 1e-3)


def views_of(request: Request, fields: DatasetFields, angle_x_rad: float) -> tuple[View, ...]:
    """A view for every frame; every picture's header is looked at."""
    frames = fields.frames()
    views = []
    for index, frame in enumerate(frames):
        path = request.picture_of(frame)
        size_px = request.output_size(path)
        views.append(
            View(
                name=frame.text("file_path").removeprefix("./"),
                path=path,
                camera=camera_of(
                    fields.file,
                    f"{frame.prefix}transform_matrix",
                    frame.pose("transform_matrix"),
                    size_px,
                    focal_from_angle(size_px[0], angle_x_rad),
                ),
            )
        )
        request.tell(index + 1, len(frames))
    return tuple(views)
