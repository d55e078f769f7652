"""The lens of a photograph, as the family of `transforms*.json` describes it.

One reader for all of them, whether nerfstudio, instant-ngp, a Blender add-on or the NeRF synthetic
scenes have written it: any field may stand in the frame or, for all of them, in the file. What the
frame says of its field of view, in whatever way, counts more than what the file does.

    fl_x fl_y, fx fy          focal lengths in pixels
    camera_angle_x, _y        fields of view in radians; x_fov, y_fov the same in degrees
    cx cy                     where the optical axis meets the picture, in pixels
    w h, width height         size of the picture that those pixels are of
    K, intrinsics             3x3 or 4x4 matrix of focal lengths and axis, as OpenCV has it
    camera_model, is_fisheye  what is no pinhole camera is refused, and so are the projections that
                              instant-ngp has besides, such as latlong
    k1 to k6, p1, p2          distortion, see `distortion`; k4 to k6 divide with FULL_OPENCV
    distortion_params         k1 k2 k3 k4 p1 p2 of nerfstudio, or four or five as OpenCV has them

There, pixel (i, j) is the square from (i, j) to (i + 1, j + 1) and its ray goes through the middle,
so our principal point lies half a pixel before theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from r2l_core.datasets.distortion import Distortion
from r2l_core.datasets.fields import DatasetFields
from r2l_core.json_fields import Fields

_F = TypeVar("_F", bound=Fields)
_MAX_FOCAL_PX = 1e6
_MAX_SIZE_PX = 65_536
_SAME_SHAPE = 0.02
"""How far the sides' ratio of a picture may be off that of `w` and `h`, as a share: rounding."""

_PINHOLE_MODELS = (
    *("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE"),
    *("SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"),
)
_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
_SPELLINGS = {
    "fl_x": ("fl_x", "fx"),
    "fl_y": ("fl_y", "fy"),
    "w": ("w", "width", "image_width"),
    "h": ("h", "height", "image_height"),
}
_MATRICES = ("K", "intrinsics", "intrinsic_matrix", "camera_matrix")
_PARAMETERS = {
    4: ("k1", "k2", "p1", "p2"),
    5: ("k1", "k2", "p1", "p2", "k3"),
    6: ("k1", "k2", "k3", "k4", "p1", "p2"),
}
_PROJECTIONS = (
    *("is_fisheye", "latlong", "equirectangular", "orthographic"),
    *(f"ftheta_p{power}" for power in range(5)),
)
"""Fields of instant-ngp's that say that a lens is none of a pinhole camera."""

_OTHER_TYPES = ("fisheye", "equirect", "ortho", "panoram", "spher", "omni", "vr180")
"""What `camera_type`, which has no agreed values, then says."""

_NOT_UNDONE = ("k7", "k8", "p3", "p4", "s1", "s2", "s3", "s4", "b1", "b2", "skew")
"""What other programs bend a lens by, and this does not know to undo."""

_RADIANS = math.pi
"""Fields of view that are said to be below this many degrees may be radians."""


@dataclass(frozen=True)
class Lens:
    """What a camera has beside its pose, in pixels of the picture as it is given out. `others`:
    further arguments of Camera. `distortion`: None where straight lines stay straight. `doubts`:
    sentences on what is not honoured, or may be meant otherwise."""

    focal_px: float
    others: dict[str, Any]
    distortion: Distortion | None
    doubts: tuple[str, ...] = ()


def stated_size(sources: Sequence[DatasetFields]) -> tuple[int, int] | None:
    """Width and height that a frame's fields state; None where they do not. Raises DatasetError."""
    size = []
    for key in ("w", "h"):
        field, name = lens_field(sources, key)
        if name not in field:
            return None
        size.append(field.integer_part(name))
    return size[0], size[1]


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

    doubts: list[str] = []
    levels = lens_levels(sources, doubts)
    sources = [one for level in levels for one in level]
    sources.append(levels[-1][0])  # what is nowhere is missing there, and not in a matrix

    def source(key: str) -> DatasetFields:
        return lens_field(sources, key)[0]

    def number(key: str, low: float, high: float) -> float | None:
        field, name = lens_field(sources, key)
        return field.optional_number(name, low, high)

    rational = _refuse_other_lenses(source)
    width = number("w", 1, _MAX_SIZE_PX) or float(stored_px[0])
    height = number("h", 1, _MAX_SIZE_PX) or float(stored_px[1])
    _check_shape(sources, (width, height), stored_px)
    across, down = given_px[0] / width, given_px[1] / height
    if int(width) == stored_px[0] and given_px[0] == stored_px[0]:
        across = 1.0
    if int(height) == stored_px[1] and given_px[1] == stored_px[1]:
        down = 1.0

    def focal_px(seen: FieldOfView, axis: str) -> float:
        """In pixels of the given picture."""
        if seen.focal_px is not None:
            return seen.focal_px * (across if axis == "x" else down)
        return given_px[axis == "y"] / 2 / math.tan(seen.angle_rad / 2)

    x, y = (
        [(at, seen) for at, seen in enumerate(along) if seen is not None]
        for along in zip(*fields_of_view(levels, doubts), strict=True)
    )
    if x:
        fx = focal_px(x[0][1], "x")
        # Where pixels are said to be of a length, they are square.
        square = fx / across * down if x[0][1].focal_px is not None else None
        fy = focal_px(y[0][1], "y") if y else square
    elif y:
        fy = focal_px(y[0][1], "y")
        fx = fy / down * across
    else:
        why = "is missing, and so are fl_x, x_fov and all else that says how far it is seen"
        source("camera_angle_x").refuse("camera_angle_x", why)
    if x and y and fy is not None:
        # Said of one axis in the frame, and in other words of both in the file: pixels keep their
        # shape.
        if (other := _in_other_words(x, y[0][0])) is not None:
            fy *= fx / focal_px(other, "x")
        elif (other := _in_other_words(y, x[0][0])) is not None:
            fx *= fy / focal_px(other, "y")
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
    for key in _NOT_UNDONE:
        if value := number(key, -1e6, 1e6):
            doubts.append(f"the lens has {key} {value:g}, which is not undone")
    shutter = source("rolling_shutter").mapping.get("rolling_shutter")
    if isinstance(shutter, list) and any(shutter):
        doubts.append("the pictures have a rolling_shutter, which is not undone")
    return Lens(fx, others, distortion, tuple(doubts))


@dataclass(frozen=True)
class FieldOfView:
    """Along one axis, as a file says it: in its own pixels, or as an angle."""

    focal_px: float | None
    angle_rad: float = 0.0


def lens_levels(sources: Sequence[_F], doubts: list[str]) -> list[list[_F]]:
    """For each source its fields, and those that stand there as matrices and lists."""
    return [[one, *_of_matrix(one, doubts), *_of_parameters(one, doubts)] for one in sources]


def fields_of_view(
    levels: Sequence[Sequence[_F]], doubts: list[str]
) -> Iterator[tuple[FieldOfView | None, FieldOfView | None]]:
    """Along x and along y, as far as each level says it: of the frame before those of the file.
    Raises the error of their fields."""
    for level in levels:
        yield _field_of_view(level, "x", doubts), _field_of_view(level, "y", doubts)


def _field_of_view(level: Sequence[_F], axis: str, doubts: list[str]) -> FieldOfView | None:
    """Along `axis`, x or y, as far as one level says it. Raises the error of its fields."""
    field, name = lens_field(level, f"fl_{axis}")
    if (focal_px := field.optional_number(name, 1e-3, _MAX_FOCAL_PX)) is not None:
        return FieldOfView(focal_px)
    field, name = lens_field(level, f"camera_angle_{axis}")
    if (angle := field.optional_number(name, 1e-3, 180.0)) is not None:
        if angle > math.pi - 1e-3:
            field.refuse(name, f"is {angle:g}, and an angle in radians below pi is expected")
        return FieldOfView(None, angle)
    field, name = lens_field(level, f"{axis}_fov")
    if (degrees := field.optional_number(name, 0.05, 179.9)) is None:
        return None
    if degrees < _RADIANS:
        doubts.append(
            f"{axis}_fov is {degrees:g} degrees: if that are radians, the file has to say "
            f"{math.degrees(degrees):.1f}, or camera_angle_{axis}"
        )
    return FieldOfView(None, math.radians(degrees))


def _in_other_words(said: Sequence[tuple[int, FieldOfView]], level: int) -> FieldOfView | None:
    """Along an axis of which it is `said` at which levels: what that level says, if a nearer one
    says the same as an angle instead of a length, or the other way round."""
    nearest, seen = said[0]
    other = dict(said).get(level)
    if nearest == level or other is None or (other.focal_px is None) == (seen.focal_px is None):
        return None
    return other


def lens_field(sources: Sequence[_F], key: str) -> tuple[_F, str]:
    """Where a field of the lens stands, in whatever spelling, and its name there; the last source
    where it stands in none."""
    spellings = _SPELLINGS.get(key, (key,))
    found = ((one, name) for one in sources for name in spellings if name in one)
    return next(found, (sources[-1], key))


def _of_matrix(fields: _F, doubts: list[str]) -> list[_F]:
    """What a matrix among the fields says, as fields of their own."""
    name = next((name for name in _MATRICES if isinstance(fields.mapping.get(name), list)), None)
    if name is None:
        return []
    rows = fields.values(name, 16)
    if not 3 <= len(rows) <= 4 or not all(
        isinstance(row, list) and 3 <= len(row) <= 4 for row in rows
    ):
        doubts.append(f"{name} is not a matrix of three or four rows, and is not read")
        return []
    places = {"fl_x": (0, 0), "fl_y": (1, 1), "cx": (0, 2), "cy": (1, 2), "skew": (0, 1)}
    return [fields.part({key: rows[i][j] for key, (i, j) in places.items()}, name)]


def _of_parameters(fields: _F, doubts: list[str]) -> list[_F]:
    """What a list of distortion parameters says, as fields of their own."""
    name = "distortion_params"
    if name not in fields:
        return []
    values = fields.values(name, 14)
    if not any(values):
        return []
    if len(values) not in _PARAMETERS:
        doubts.append(f"{name} has {len(values)} numbers, which are not undone")
        return []
    return [fields.part(dict(zip(_PARAMETERS[len(values)], values, strict=True)), name)]


def same_shape(one_px: tuple[float, float], other_px: tuple[float, float]) -> bool:
    """Whether widths and heights have the same ratio, but for rounding."""
    return abs(one_px[0] / one_px[1] / (other_px[0] / other_px[1]) - 1) <= _SAME_SHAPE


def _check_shape(
    sources: Sequence[DatasetFields], stated: tuple[float, float], stored_px: tuple[int, int]
) -> None:
    """Pictures made smaller as a whole keep their lens; others have another."""
    exact = all(int(said) == is_px for said, is_px in zip(stated, stored_px, strict=True))
    if not exact and not same_shape(stated, stored_px):
        places = (lens_field(sources, key) for key in ("w", "h"))
        field, name = next((field, name) for field, name in places if name in field)
        field.refuse(
            name,
            f"is of a picture of {stated[0]:g}x{stated[1]:g}, and this one is of another shape: "
            f"{stored_px[0]}x{stored_px[1]}",
        )


def _refuse_other_lenses(source: Any) -> bool:
    """Whether distortion is a quotient. Raises DatasetError for what is no pinhole camera."""
    fields: DatasetFields = source("camera_model")
    model = fields.text("camera_model") if "camera_model" in fields else "PINHOLE"
    if model.upper() not in _PINHOLE_MODELS:
        fields.refuse("camera_model", f"is {model[:40]!r}, not a pinhole camera")
    for projection in _PROJECTIONS:
        fields = source(projection)
        if fields.mapping.get(projection):
            fields.refuse(projection, "is set, and only pinhole cameras can be opened")
    fields = source("camera_type")
    kind = fields.text("camera_type").lower() if fields.is_text("camera_type") else ""
    if any(other in kind for other in _OTHER_TYPES):
        fields.refuse("camera_type", f"is {kind[:40]!r}, not a pinhole camera")
    return model.upper() == "FULL_OPENCV"
