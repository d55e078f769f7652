"""The frames of any `transforms*.json` to views: pictures found, poses made rigid, lenses read.

The lens of a photograph, as the family of `transforms*.json` describes it.

One reader for all of them, whether nerfstudio, instant-ngp, a Blender add-on or the NeRF synthetic
scenes have written it: any field may stand in the frame or, for all of them, in the file.

    fl_x fl_y                 focal lengths in pixels
    camera_angle_x, _y        fields of view in radians; x_fov, y_fov the same in degrees
    cx cy                     where the optical axis meets the picture, in pixels
    w h                       size of the picture that those pixels are of
    camera_model, is_fisheye  what is no pinhole camera is refused
    k1 to k6, p1, p2          distortion, see `distortion`; k4 to k6 divide with FULL_OPENCV

There, pixel (i, j) is the square from (i, j) to (i + 1, j + 1) and its ray goes through the middle,
so our principal point lies half a pixel before theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r2l_core import limits
from r2l_core.datasets.base import NoSuchSplit, Request, View, camera_of
from r2l_core.datasets.distortion import Distortion
from r2l_core.datasets.fields import DatasetFields
from r2l_core.datasets.images import PictureFinder, image_size
from r2l_core.geometry.camera import without_scale


@dataclass
class _Remarks:
    """What is told of the frames as a whole."""

    missing: list[str] = field(default_factory=list)
    masked: int = 0
    masks_missing: list[str] = field(default_factory=list)
    scaled: int = 0
    distorted_px: float = 0.0

    def notes(self, n_frames: int) -> list[str]:
        notes = []
        if self.missing:
            notes.append(
                f"{len(self.missing)} of {n_frames} pictures are missing, such as "
                f"{self.missing[0][:200]!r}; the rest is opened"
            )
        if self.scaled:
            notes.append(f"the rotations of {self.scaled} poses have a scale, which was taken off")
        if self.masked:
            notes.append(
                f"{self.masked} pictures have masks: only the pixels that these keep count, in "
                "errors and in learning"
            )
        if self.masks_missing:
            notes.append(
                f"{len(self.masks_missing)} masks are missing, such as "
                f"{self.masks_missing[0][:200]!r}: all pixels of these pictures count"
            )
        if self.distorted_px > 0:
            size = f"{self.distorted_px:.1f}" if self.distorted_px > 0.1 else "0.1"
            notes.append(
                f"lens distortion of up to {size} pixels is undone by resampling "
                "the pictures; pixels that the lens did not see do not count"
            )
        return notes


def read_views(
    request: Request,
    shared: Sequence[DatasetFields],
    frames: Sequence[DatasetFields],
    *,
    centred: bool,
) -> tuple[tuple[View, ...], list[str]]:
    """A view for every frame whose picture is there, and notes; every picture's header is read.

    `shared`: what holds the fields that frames leave out. `centred`: see `read_lens`. Where no
    picture at all is there, but sizes are stated, the views are poses: their pictures cannot be
    read. Raises DatasetError.
    """
    finder, remarks, views = PictureFinder(request.root), _Remarks(), []
    for done, frame in enumerate(frames):
        if (view := _view(request, shared, frame, finder, remarks, centred)) is not None:
            views.append(view)
        request.tell(done + 1, len(frames))
    if views:
        return tuple(views), remarks.notes(len(frames))
    stated = {"w", "h"}
    if all(any(key in one for one in (frame, *shared)) for frame in frames for key in stated):
        alone = _Remarks()
        for frame in frames:
            view = _view(request, shared, frame, None, alone, centred)
            assert view is not None  # nothing is looked for
            views.append(view)
        note = f"none of the {len(frames)} pictures of this split is there: these are poses alone"
        return tuple(views), [note, *alone.notes(len(frames))]
    raise NoSuchSplit(
        f"The split '{request.split}' of the dataset {request.root} cannot be opened",
        f"none of its {len(frames)} pictures is there, such as {remarks.missing[0][:200]!r}",
        "Give a complete dataset, or choose another split.",
    )


def _view(
    request: Request,
    shared: Sequence[DatasetFields],
    frame: DatasetFields,
    finder: PictureFinder | None,
    remarks: _Remarks,
    centred: bool,
) -> View | None:
    """The view of a frame; None where its picture is missing. Without a `finder`, a pose."""
    name, sources = frame.text("file_path"), (frame, *shared)
    mask = None
    if finder is None:
        path = request.root / name
        w, h = (next(one for one in sources if key in one).integer_part(key) for key in ("w", "h"))
        stored_px = (w, h)
        if w * h > limits.PICTURE_PX:
            frame.refuse("w", f"and h are {w}x{h}, more than {limits.PICTURE_PX} pixels")
    else:
        found = _find(frame, "file_path", finder)
        if found is None:
            remarks.missing.append(name)
            return None
        path, stored_px = found, image_size(found)
        mask = _mask(frame, finder, stored_px, remarks)
    given_px = request.given_size(stored_px)
    lens = read_lens(sources, stored_px, given_px, centred=centred)
    pose, scale = without_scale(frame.pose("transform_matrix"))
    remarks.scaled += scale != 1.0
    where = f"{frame.prefix}transform_matrix"
    camera = camera_of(shared[0].file, where, pose, given_px, lens.focal_px, **lens.others)
    if lens.distortion is not None:
        remarks.distorted_px = max(remarks.distorted_px, lens.distortion.largest_px(camera))
    return View(name.replace("\\", "/").removeprefix("./"), path, camera, lens.distortion, mask)


def _find(frame: DatasetFields, field: str, finder: PictureFinder) -> Path | None:
    """The picture that a field names; None where it is missing."""
    name = frame.text(field)
    if not name or any(ord(sign) < 32 for sign in name):
        frame.refuse(field, "names no file")
    try:
        return finder.find(name)
    except ValueError as error:
        frame.refuse(field, f"{name[:200]!r} {error}")


def _mask(
    frame: DatasetFields, finder: PictureFinder, stored_px: tuple[int, int], remarks: _Remarks
) -> Path | None:
    """The mask of a frame, if it has one and this is there."""
    if not frame.mapping.get("mask_path"):
        return None
    found = _find(frame, "mask_path", finder)
    if found is None:
        remarks.masks_missing.append(frame.text("mask_path"))
        return None
    if not same_shape(image_size(found), stored_px):
        frame.refuse("mask_path", "names a picture of another shape than the photograph")
    remarks.masked += 1
    return found


_MAX_FOCAL_PX = 1e6
_MAX_SIZE_PX = 65_536
_SAME_SHAPE = 0.02
"""How far the sides' ratio of a picture may be off that of `w` and `h`, as a share: rounding."""

_PINHOLE_MODELS = (
    *("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE"),
    *("SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"),
)
_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")


@dataclass(frozen=True)
class Lens:
    """What a camera has beside its pose, in pixels of the picture as it is given out. `others`:
    further arguments of Camera. `distortion`: None where straight lines stay straight."""

    focal_px: float
    others: dict[str, Any]
    distortion: Distortion | None


def read_lens(
    sources: Sequence[DatasetFields],
    stored_px: tuple[int, int],
    given_px: tuple[int, int],
    *,
    centred: bool,
) -> Lens:
    """The lens of a picture. `sources`: where its fields are looked for, the frame first.

    `stored_px`, `given_px`: width and height of the file, and as it is given out. `centred`: what
    says nothing of cx and cy has its axis at (W/2, H/2), as published for the synthetic scenes;
    otherwise half a pixel before, as above. Raises DatasetError that names the field.
    """

    def source(key: str) -> DatasetFields:
        return next((one for one in sources if key in one), sources[-1])

    def number(key: str, low: float, high: float) -> float | None:
        return source(key).optional_number(key, low, high)

    def focal_px(axis: str, side_px: float, across: float) -> float | None:
        """In pixels of the given picture; `across`: how many of these one of the file's is."""
        stated = number(f"fl_{axis}", 1e-3, _MAX_FOCAL_PX)
        if stated is not None:
            return stated * across
        angle = number(f"camera_angle_{axis}", 1e-3, math.pi - 1e-3)
        if angle is None and (degrees := number(f"{axis}_fov", 0.05, 179.9)) is not None:
            angle = math.radians(degrees)
        return None if angle is None else side_px / 2 / math.tan(angle / 2)

    rational = _refuse_other_lenses(source)
    width = number("w", 1, _MAX_SIZE_PX) or float(stored_px[0])
    height = number("h", 1, _MAX_SIZE_PX) or float(stored_px[1])
    _check_shape(source, (width, height), stored_px)
    across, down = given_px[0] / width, given_px[1] / height
    if int(width) == stored_px[0] and given_px[0] == stored_px[0]:
        across = 1.0
    if int(height) == stored_px[1] and given_px[1] == stored_px[1]:
        down = 1.0
    fx, fy = focal_px("x", given_px[0], across), focal_px("y", given_px[1], down)
    if fx is None:
        if fy is None:
            why = "is missing, and so are fl_x, x_fov and all else that says how far it is seen"
            source("camera_angle_x").refuse("camera_angle_x", why)
        fx = fy / down * across
    elif fy is None and "fl_x" in source("fl_x"):
        fy = fx / across * down  # its pixels are square
    others: dict[str, Any] = {}
    if fy is not None and not math.isclose(fx, fy, rel_tol=1e-9):
        others["focal_y_px"] = fy
    cx, cy = (number(key, -_MAX_FOCAL_PX, _MAX_FOCAL_PX) for key in ("cx", "cy"))
    if not centred or cx is not None or cy is not None:
        cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
        others["principal_px"] = (cx * across - 0.5, cy * down - 0.5)
    *radial, p1, p2 = (number(key, -1e3, 1e3) or 0.0 for key in _DISTORTION)
    if not rational:
        radial[4:] = 0.0, 0.0
    bends = any((*radial, p1, p2))
    distortion = Distortion(tuple(radial), p1, p2, rational) if bends else None
    return Lens(fx, others, distortion)


def same_shape(one_px: tuple[float, float], other_px: tuple[float, float]) -> bool:
    """Whether widths and heights have the same ratio, but for rounding."""
    return abs(one_px[0] / one_px[1] / (other_px[0] / other_px[1]) - 1) <= _SAME_SHAPE


def _check_shape(source: Any, stated: tuple[float, float], stored_px: tuple[int, int]) -> None:
    """Pictures made smaller as a whole keep their lens; others have another."""
    exact = all(int(said) == is_px for said, is_px in zip(stated, stored_px, strict=True))
    if not exact and not same_shape(stated, stored_px):
        key = "w" if "w" in source("w") else "h"
        source(key).refuse(
            key,
            f"and h are {stated[0]:g}x{stated[1]:g}, and the picture is of another shape: "
            f"{stored_px[0]}x{stored_px[1]}",
        )


def _refuse_other_lenses(source: Any) -> bool:
    """Whether distortion is a quotient. Raises DatasetError for what is no pinhole camera."""
    fields: DatasetFields = source("camera_model")
    model = fields.text("camera_model") if "camera_model" in fields else "PINHOLE"
    if model.upper() not in _PINHOLE_MODELS:
        fields.refuse("camera_model", f"is {model[:40]!r}, not a pinhole camera")
    fields = source("is_fisheye")
    if fields.mapping.get("is_fisheye"):
        fields.refuse("is_fisheye", "is set, and only pinhole cameras can be opened")
    return model.upper() == "FULL_OPENCV"
