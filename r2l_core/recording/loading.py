"""Reads sidecars, which may come from strangers, and says which recordings are unfinished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from r2l_core import limits
from r2l_core.camera_paths.camera_path import GAIN_RANGE
from r2l_core.camera_paths.files import read_camera_path
from r2l_core.errors import RecordingError, SceneError
from r2l_core.geometry.scene import SceneSpec
from r2l_core.json_fields import Fields
from r2l_core.recording.formats import FORMATS, VideoFormat
from r2l_core.recording.plan import FPS_RANGE, MAX_SECONDS, Labels, Mode, RecordingPlan
from r2l_core.recording.sidecar import FORMAT, PANES, VERSION, Engines, Recipe, State, other_writer
from r2l_core.types import Precision, RayMode


@dataclass(frozen=True, eq=False)
class LoadedSidecar:
    """A sidecar that was read. rest_starts_at: the frame at which the part that an interrupted
    completion wrote begins, or None without one. writer: number of another process that is writing
    it right now, or None."""

    path: Path
    recipe: Recipe
    video: Path
    video_format: VideoFormat
    state: State
    frames_done: int
    rest_starts_at: int | None
    writer: int | None


def is_sidecar(path: Path) -> bool:
    """Whether a file is one of ours, in whatever state."""
    try:
        fields = Fields.of_file(path, "", RecordingError)
    except RecordingError:
        return False
    return fields.is_text("format") and fields.text("format") == FORMAT


@dataclass(frozen=True)
class Unfinished:
    """A recording that can be completed: its sidecar, the name of its film, and how far it got."""

    sidecar: Path
    video: str
    frames_done: int
    frames_total: int


def unfinished(path: Path) -> Unfinished | None:
    """What a sidecar says of an interrupted recording; None where it is finished, still written by
    another process, or no sidecar. That it can be completed is not checked. Loads no torch."""
    try:
        fields = Fields.of_file(path, "", RecordingError)
        if not is_sidecar(path) or fields.text("state") == "finished" or _other_writer(fields):
            return None
        total = fields.integer("frames_total", 1, 2**53)
        name = fields.text("video")[:100]
        return Unfinished(path, name, fields.integer("frames_done", 0, total), total)
    except RecordingError:
        return None


def load_sidecar(path: Path) -> LoadedSidecar:
    """Read a sidecar. Raises RecordingError, or CameraPathError and SceneError for those parts,
    each naming the file and the field."""
    fields = Fields.of_file(path, f"The sidecar {path} cannot be used", RecordingError)
    if not fields.is_text("format") or fields.text("format") != FORMAT:
        fields.unusable("it does not describe a recording", "Choose the .json beside a recording.")
    if fields.number("version") != VERSION:
        fields.unusable(
            f"it has format version {fields.number('version'):g}, and this program reads {VERSION}",
            "Update the program.",
        )
    name = fields.text("video")
    # A name from a stranger's file must not lead out of the folder.
    if Path(name).name != name or Path(name).suffix.lower() not in FORMATS:
        fields.refuse("video", f"is '{name[:40]}', not the name of a video")
    # Nor to another film in it, which would be written over.
    if Path(name).stem != path.stem:
        fields.refuse("video", f"is '{name[:40]}', and this is the sidecar of {path.stem}")
    plan = _plan(fields)
    checkpoint = fields.inner("checkpoint")
    states = {state: state for state in get_args(State)}
    rays: dict[str, RayMode] = {"plain": "plain", "canonical": "canonical"}
    recipe = Recipe(
        plan=plan,
        checkpoint=checkpoint.text("path"),
        sha256=checkpoint.text("sha256"),
        scene=_scene(fields),
        ray_mode=fields.choice("rays", rays),
        engines=_engines(fields, len(plan.precisions)),
        layers_in_fp32=_layers(fields),
        assumed=_assumed(fields.inner("assumed")) if "assumed" in fields else {},
    )
    rest = (
        fields.integer("rest_starts_at", 1, plan.n_frames) if "rest_starts_at" in fields else None
    )
    return LoadedSidecar(
        path=path,
        recipe=recipe,
        video=path.with_name(name),
        video_format=FORMATS[Path(name).suffix.lower()],
        state=fields.choice("state", states),
        frames_done=fields.integer("frames_done", 0, plan.n_frames),
        rest_starts_at=rest,
        writer=_other_writer(fields),
    )


def _plan(fields: Fields) -> RecordingPlan:
    modes: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}
    labels: dict[str, Labels] = {label: label for label in get_args(Labels)}
    mode = fields.choice("mode", modes)
    names = fields.values("precisions", 2)
    known = all(isinstance(name, str) and name in set(Precision) for name in names)
    if len(names) != (1 if mode == "single" else 2) or not known:
        fields.refuse("precisions", f"does not name what the mode '{mode}' needs")
    size = fields.values("pane_px", 2)
    if len(size) != 2 or not all(type(px) is int and 1 <= px <= limits.SIDE_PX for px in size):
        fields.refuse("pane_px", f"is not a width and a height of 1 to {limits.SIDE_PX}")
    return RecordingPlan(
        path=read_camera_path(fields.inner("camera_path")),
        seconds=fields.number("path_s", None, 0.0, MAX_SECONDS),
        fps=fields.number("fps", None, *FPS_RANGE),
        width_px=size[0],
        height_px=size[1],
        precisions=tuple(Precision(name) for name in names),
        mode=mode,
        labels=fields.choice("labels", labels),
        gain=fields.number("gain", None, *GAIN_RANGE),
        title=fields.text("title", ""),
    )


def _scene(fields: Fields) -> SceneSpec:
    try:
        return SceneSpec.from_mapping(fields.inner("scene").mapping)
    except SceneError as error:
        fields.refuse("scene", f"cannot be used: {error.why}")


def writer_of(path: Path) -> int | None:
    """The number of another process that is writing the recording of a sidecar right now."""
    try:
        fields = Fields.of_file(path, "", RecordingError)
        return _other_writer(fields) if is_sidecar(path) else None
    except RecordingError:
        return None


def _other_writer(fields: Fields) -> int | None:
    writing = fields.text("state") == "recording" and "writer" in fields
    return other_writer(fields.inner("writer").mapping) if writing else None


def _engines(fields: Fields, n_panes: int) -> tuple[Engines, ...]:
    panes = {pane: pane for pane in PANES}
    engines: tuple[dict[Precision, tuple[str, str]], ...] = tuple({} for _ in range(n_panes))
    for entry in fields.objects("engines", 2 * len(Precision)):
        device = "cpu" if entry.text("device") == "cpu" else "cuda"
        named = entry.choice("pane", panes) if "pane" in entry else None
        for pane, found in zip(PANES, engines, strict=False):
            if named in (None, pane):
                found[entry.member("precision", Precision)] = (entry.text("engine"), device)
    return engines


def _layers(fields: Fields) -> frozenset[str]:
    mix = fields.inner("layers").mapping if "layers" in fields else {}
    if len(mix) > limits.DEPTH or not set(map(str, mix.values())) <= {"fp32", "int8"}:
        fields.refuse("layers", 'is no mix of layers such as {"body.0.body.0": "fp32"}')
    return frozenset(name for name, precision in mix.items() if precision == "fp32")


def _assumed(fields: Fields) -> dict[str, Any]:
    read: dict[str, Callable[[str], Any]] = {
        "n_frequencies": lambda name: fields.integer(name, 1, 1000),
        "n_sample": lambda name: fields.integer(name, 1, 100_000),
        "res_scale": fields.number,
        "use_residual": fields.boolean,
        "plucker": fields.boolean,
        "act": fields.text,
        "inact": fields.text,
        "outact": fields.text,
    }
    for name in fields.mapping:
        if name not in read:
            fields.refuse(name, f"is not one of {', '.join(read)}")
    return {name: read[name](name) for name in fields.mapping}
