"""Session files: what is open and how it is looked at, as JSON that a person can read and mend.

    {"format": "r2l-session", "version": 2, "checkpoint": "demo", "sha256": "9f86d0…",
     "scene": null, "assumed": [], "engine": "auto", "device": "auto", "rays": "auto",
     "render_size_px": [400, 400], "match_window": false,
     "camera": {"azimuth_deg": 35.0, "elevation_deg": 30.0, "radius": 4.0,
                "pivot": [0.0, 0.0, 0.0], "fov_x_deg": 39.6},
     "target_fps": 30.0, "max_stride": 32, "fill_flat": false,
     "bookmarks": {"1": {...as camera}}, "camera_path": {...a camera path} or null,
     "panes": [{"source": "int8", "engine": "auto", "layers_in_fp32": [], "checkpoint": null,
                "sha256": null}],
     "active_pane": 0, "compared_panes": [0, 1], "reference_pane": null, "mode": "Wipe",
     "region": {"left": 40, "top": 60, "width": 120, "height": 80} or null,
     "difference": {"kind": "absolute", "gain": 16.0, "locked": false, "scale": "Inferno",
                    "signed_scale": "Blue – black – red"},
     "display": {"exposure_ev": 0.0, "offset": 0.0, "channel": "RGB"},
     "dataset": {"path": "chair", "split": "test", "half_res": false, "spherify": false,
                 "keep_background": false} or null}

`scene` is a preset, a file or an object of the entries of `SceneSpec`. `source` of a pane is a
precision, "truth" or "scene truth", its `checkpoint` another light field than the open one.
`sha256` is of a light field's file. Version 1 had one mix of layers for all panes, and the
`precision` of a picture alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from r2l_core import limits
from r2l_core.camera_paths.files import camera_path_values, read_camera_path
from r2l_core.errors import SceneError, SessionError
from r2l_core.files import replacing
from r2l_core.geometry.scene import SceneSpec
from r2l_core.json_fields import Fields, parse_json
from r2l_core.render.frames import STRIDES
from r2l_core.types import Precision
from viewer.state.panes import AUTO, LETTERS, TRUTHS, CompareMode, PaneChoice
from viewer.state.session_looks import read_difference, read_display, read_region
from viewer.state.view_state import DatasetChoice, LightFieldChoice, ViewState
from viewer.state.viewpoint import NUMBERS, Viewpoint, read_view, view_values

FORMAT = "r2l-session"
VERSION = 2
MAX_ASSUMED = 20

_SOURCES: dict[str, Precision | str] = {str(one): one for one in (*Precision, *TRUTHS)}
_RAYS = {rays: rays for rays in ("auto", "plain", "canonical")}


@dataclass(frozen=True)
class Session:
    """`sha256`: of the light fields, by their name or path in the state, as far as they were
    known."""

    state: ViewState
    bookmarks: Mapping[int, Viewpoint] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)


def session_text(session: Session) -> str:
    """The session as JSON."""
    state, light_field = session.state, session.state.light_field
    scene = light_field.scene
    values = {
        "format": FORMAT,
        "version": VERSION,
        "checkpoint": light_field.checkpoint,
        "sha256": session.sha256.get(light_field.checkpoint),
        "scene": asdict(scene) if isinstance(scene, SceneSpec) else scene,
        "assumed": light_field.assumed,
        "dataset": None if state.dataset is None else asdict(state.dataset),
        "engine": light_field.engine,
        "device": light_field.device,
        "rays": light_field.rays,
        "render_size_px": state.render_size_px,
        "match_window": state.match_window,
        "camera": view_values(state.viewpoint),
        "target_fps": state.target_fps,
        "max_stride": state.max_stride,
        "fill_flat": state.fill_flat,
        "bookmarks": {str(n): view_values(view) for n, view in session.bookmarks.items()},
        "panes": [_pane_values(pane, session.sha256) for pane in state.panes],
        "active_pane": state.active,
        "compared_panes": state.pair,
        "reference_pane": state.reference,
        "region": None if state.region is None else asdict(state.region),
        "mode": state.mode,
        "difference": asdict(state.difference),
        "display": asdict(state.display),
        "camera_path": None if state.path is None else camera_path_values(state.path),
    }
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def save_session(session: Session, file: Path) -> None:
    """Write the session, whole or not at all. Raises SessionError."""
    what = f"The session {file} could not be written"
    with replacing(file, SessionError, what, make_folder=False) as new:
        new.write_text(session_text(session), encoding="utf-8", errors="backslashreplace")


def load_session(file: Path) -> Session:
    """Read a session. Raises SessionError naming the file and the field."""
    return _session(Fields.of_file(file, f"The session {file} cannot be used", SessionError))


def parse_session(text: str) -> Session:
    """Read a session that was kept as text. Raises SessionError naming the field."""
    what = "The last session cannot be used"
    try:
        values = parse_json(text)
    except ValueError as error:
        raise SessionError(what, f"it is not JSON ({error})", "Begin a new one.") from error
    if not isinstance(values, dict):
        raise SessionError(what, "it is not a JSON object", "Begin a new one.")
    return _session(Fields(values, what, SessionError))


def _session(fields: Fields) -> Session:
    if not fields.is_text("format") or fields.text("format") != FORMAT:
        fields.unusable("it is no session of this program", "Choose another file.")
    version = fields.number("version")
    if version not in (1, VERSION):
        fields.unusable(
            f"it has format version {version:g}, and this program reads {VERSION}",
            "Update the program.",
        )
    of_panes = fields.objects("panes", len(LETTERS)) if "panes" in fields else []
    panes = tuple(map(_pane, of_panes))
    sha256 = {
        one.text("checkpoint"): one.text("sha256")
        for one in (fields, *of_panes)
        if "checkpoint" in one and "sha256" in one
    }
    mode = fields.member("mode", CompareMode, CompareMode.SINGLE)
    usual = ViewState(LightFieldChoice(fields.text("checkpoint")))
    strides = {stride: stride for stride in STRIDES}
    state = ViewState(
        light_field=LightFieldChoice(
            checkpoint=fields.text("checkpoint"),
            scene=_scene(fields),
            engine=fields.text("engine", AUTO),
            device=fields.text("device", "auto"),
            rays=fields.choice("rays", _RAYS, "auto"),
            assumed=tuple(_texts(fields, "assumed", MAX_ASSUMED)),
        ),
        panes=panes,
        active=fields.integer("active_pane", 0, len(panes) - 1) if panes else 0,
        pair=_pair(fields, len(panes)),
        reference=fields.integer("reference_pane", 0, len(panes) - 1)
        if "reference_pane" in fields and panes
        else None,
        region=read_region(fields.inner("region")) if "region" in fields else None,
        mode=mode if len(panes) > 1 else CompareMode.SINGLE,
        viewpoint=read_view(fields.inner("camera")),
        render_size_px=_size(fields),
        match_window=fields.boolean("match_window", False),
        difference=read_difference(fields.inner("difference"))
        if "difference" in fields
        else usual.difference,
        display=read_display(fields.inner("display")) if "display" in fields else usual.display,
        target_fps=fields.number("target_fps", usual.target_fps, 1.0, 1000.0),
        max_stride=strides.get(fields.integer("max_stride", 1, STRIDES[0]), usual.max_stride)
        if "max_stride" in fields
        else usual.max_stride,
        fill_flat=fields.boolean("fill_flat", usual.fill_flat),
        dataset=_dataset(fields.inner("dataset")) if "dataset" in fields else None,
        path=read_camera_path(fields.inner("camera_path")) if "camera_path" in fields else None,
    )
    return Session(
        state if version == VERSION else _of_version_1(fields, state),
        _bookmarks(fields.inner("bookmarks")) if "bookmarks" in fields else {},
        sha256,
    )


def _of_version_1(fields: Fields, state: ViewState) -> ViewState:
    """Its one mix was that of every pane that can have one; a picture alone was never the ground
    truth, nor of another light field."""
    layers = frozenset(_texts(fields, "layers_in_fp32", limits.DEPTH))
    panes = tuple(
        replace(pane, layers_in_fp32=layers) if pane.has_mix else pane for pane in state.panes
    )
    state = state.with_panes(panes)
    precision = fields.member("precision", Precision) if "precision" in fields else None
    if state.comparing or precision is None:
        return state
    alone = PaneChoice(precision)
    alone = replace(alone, layers_in_fp32=layers) if alone.has_mix else alone
    if not panes:
        return replace(state, panes=(alone,))
    for at in (state.active, *range(len(panes))):
        if panes[at].source == precision and panes[at].checkpoint is None:
            return replace(state, active=at)
    return state.with_pane(state.active, alone)


def _pane_values(pane: PaneChoice, sha256: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": pane.source,
        "engine": pane.engine,
        "layers_in_fp32": sorted(pane.layers_in_fp32),
        "checkpoint": pane.checkpoint,
        "sha256": sha256.get(pane.checkpoint or ""),
    }


def _pane(fields: Fields) -> PaneChoice:
    source = fields.choice("source", _SOURCES)
    other = fields.text("checkpoint") if "checkpoint" in fields else None
    if other is not None and source in TRUTHS:
        fields.refuse("checkpoint", "cannot be: the ground truth is that of the open light field")
    pane = PaneChoice(source, fields.text("engine", AUTO), other)
    layers = frozenset(_texts(fields, "layers_in_fp32", limits.DEPTH))
    return replace(pane, layers_in_fp32=layers) if pane.has_mix else pane


def _pair(fields: Fields, n_panes: int) -> tuple[int, int]:
    """Two different panes; the first two where nothing is said."""
    if "compared_panes" not in fields or n_panes < 2:
        return 0, 1
    found = fields.values("compared_panes", 2)
    able = len(found) == 2 and all(type(one) is int and 0 <= one < n_panes for one in found)
    if not able or found[0] == found[1]:
        fields.refuse("compared_panes", "is not two of the panes, counted from 0")
    return found[0], found[1]


def _dataset(fields: Fields) -> DatasetChoice:
    return DatasetChoice(
        fields.text("path"),
        fields.text("split", ""),
        fields.boolean("half_res", False),
        fields.boolean("spherify", False),
        fields.boolean("keep_background", False),
    )


def _texts(fields: Fields, name: str, most: int) -> list[str]:
    found = fields.values(name, most) if name in fields else []
    if not all(isinstance(text, str) for text in found):
        fields.refuse(name, "holds something else than texts")
    return found


def _scene(fields: Fields) -> str | SceneSpec | None:
    if "scene" not in fields or fields.is_text("scene"):
        return fields.text("scene") if "scene" in fields else None
    try:
        return SceneSpec.from_mapping(fields.inner("scene").mapping)
    except SceneError as error:
        fields.refuse("scene", f"cannot be used: {error.why}")


def _size(fields: Fields) -> tuple[int, int]:
    found = fields.values("render_size_px", 2)
    if len(found) != 2 or not all(type(one) is int and one >= 1 for one in found):
        fields.refuse("render_size_px", "is not two whole numbers above 0")
    if not limits.fits(found[0], found[1], limits.SESSION_PX):
        most = f"{limits.SESSION_PX >> 20} million pixels, or {limits.SIDE_PX} along a side"
        fields.refuse("render_size_px", f"has more than {most}")
    return found[0], found[1]


def _bookmarks(fields: Fields) -> dict[int, Viewpoint]:
    known = {str(number): number for number in NUMBERS}
    for name in fields.mapping:
        if name not in known:
            fields.refuse(name, f"is no bookmark from {NUMBERS[0]} to {NUMBERS[-1]}")
    return {known[name]: read_view(fields.inner(name)) for name in fields.mapping}
