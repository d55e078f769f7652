"""The frames of any `transforms*.json` to views: pictures found, poses made rigid, lenses read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from r2l_core import limits
from r2l_core.datasets.base import NoSuchSplit, Request, View, camera_of
from r2l_core.datasets.fields import DatasetFields
from r2l_core.datasets.images import image_size
from r2l_core.datasets.lenses import read_lens, same_shape, stated_size
from r2l_core.datasets.pictures import PictureFinder
from r2l_core.geometry.camera import without_scale

_HIDDEN = "._"
"""How the names of files begin that macOS puts beside others, and scripts find with them."""

_MOST_DOUBTS = 4
"""That are told; every frame may have its own."""


@dataclass
class _Remarks:
    """What is told of the frames as a whole."""

    missing: list[str] = field(default_factory=list)
    hidden: int = 0
    moved: int = 0
    doubts: dict[str, None] = field(default_factory=dict)
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
        if self.hidden:
            notes.append(
                f"{self.hidden} frames name hidden files of macOS, which are no pictures: left out"
            )
        if self.moved:
            notes.append(
                f"{self.moved} pictures are named by where they lay on another machine; those of "
                "the same names in this folder are taken"
            )
        notes += list(self.doubts)[:_MOST_DOUBTS]
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
    if all(stated_size((frame, *shared)) for frame in frames):
        alone = _Remarks()
        for frame in frames:
            view = _view(request, shared, frame, None, alone, centred)
            assert view is not None  # nothing is looked for
            views.append(view)
        note = f"none of the {len(frames)} pictures of this split is there: these are poses alone"
        return tuple(views), [note, *alone.notes(len(frames))]
    raise NoSuchSplit(
        f"The split '{request.split}' of the dataset {request.root} cannot be opened",
        f"none of its {len(frames)} pictures is there, such as "
        f"{frames[0].text('file_path')[:200]!r}",
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
        size = stated_size(sources)
        assert size is not None  # or nobody would ask for poses
        w, h = stored_px = size
        if not limits.fits(w, h):
            most = f"{limits.PICTURE_PX} pixels, or {limits.SIDE_PX} along a side"
            frame.refuse("w", f"and h are {w}x{h}, more than {most}")
    else:
        if PureWindowsPath(name).name.startswith(_HIDDEN):
            remarks.hidden += 1
            return None
        found = _find(frame, "file_path", finder)
        if found is None:
            remarks.missing.append(name)
            return None
        remarks.moved += found in finder.moved
        path, stored_px = found, image_size(found)
        mask = _mask(frame, finder, stored_px, remarks)
    given_px = request.given_size(stored_px)
    lens = read_lens(sources, stored_px, given_px, centred=centred)
    remarks.doubts.update(dict.fromkeys(lens.doubts))
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
