"""`x.json` beside `x.mp4`: everything needed to record it again, and how far it got.

It is there before the first frame and replaced as a whole after each, so it can be trusted whenever
a recording is cut off. Beside it lies the table `x.csv` (see `table`).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from r2l_core.camera_path import GAIN_RANGE
from r2l_core.camera_path_files import camera_path_values, read_camera_path
from r2l_core.errors import RecordingError, SceneError
from r2l_core.json_fields import Fields
from r2l_core.recording.formats import FORMATS, VideoFormat
from r2l_core.recording.plan import FPS_RANGE, MAX_SECONDS, Labels, Mode, RecordingPlan
from r2l_core.scene import SceneSpec
from r2l_core.types import EngineInfo, Precision, RayMode

FORMAT = "r2l-recording"
VERSION = 1
MAX_SIZE_PX = 16384
MAX_LAYERS = 10_000

PANES = ("a", "b")
State = Literal["recording", "finished", "aborted", "failed"]

Engines = Mapping[Precision, tuple[str, str]]

_PACKAGES = ("torch", "numpy", "scipy", "openvino", "pillow", "imageio", "imageio-ffmpeg")
_PRECISIONS = {precision.value: precision for precision in Precision}


@dataclass(frozen=True, eq=False)
class Recipe:
    """What makes a recording the same recording.

    checkpoint: path of the light field, or the name of an embedded one; sha256: of that file.
    engines: of each pane, name and device ("cpu" or "cuda") of what renders each precision.
    layers_in_fp32: body layers that eight-bit precisions leave alone (`quantization.mix`).
    assumed: what a released file does not say and --assume said, by name.
    """

    plan: RecordingPlan
    checkpoint: str
    sha256: str
    scene: SceneSpec
    ray_mode: RayMode
    engines: tuple[Engines, ...]
    layers_in_fp32: frozenset[str] = frozenset()
    assumed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LoadedSidecar:
    """A sidecar that was read. rest_starts_at: the frame at which the part that an interrupted
    completion wrote begins, or None without one."""

    path: Path
    recipe: Recipe
    video: Path
    video_format: VideoFormat
    state: State
    frames_done: int
    rest_starts_at: int | None


class Sidecar:
    """Writes one sidecar. Used by one thread at a time."""

    def __init__(
        self,
        video: Path,
        video_format: VideoFormat,
        recipe: Recipe,
        engines: Sequence[Iterable[EngineInfo]],
    ) -> None:
        """engines: what really renders, of each pane."""
        self.path = video.with_suffix(".json")
        plan = recipe.plan
        self.size_px = video_format.encoded_size(*plan.picture_size)
        """Width and height of the video."""
        self._n_frames = plan.n_frames
        values = {
            "video": video.name,
            "table": video.with_suffix(".csv").name,
            "codec": video_format.name,
            "pixel_format": video_format.pixel_format(self.size_px),
            "size_px": self.size_px,
            "picture_px": plan.picture_size,
            "pane_px": (plan.width_px, plan.height_px),
            "fps": plan.fps,
            "duration_s": float(plan.n_frames / plan.exact_fps),
            "path_s": plan.seconds,
            "mode": plan.mode,
            "precisions": plan.precisions,
            "labels": plan.labels,
            "gain": plan.gain,
            "title": plan.title,
            "checkpoint": {"path": recipe.checkpoint, "sha256": recipe.sha256},
            "assumed": dict(recipe.assumed),
            "rays": recipe.ray_mode,
            "scene": asdict(recipe.scene),
            "layers": dict.fromkeys(sorted(recipe.layers_in_fp32), "fp32"),
            "engines": [
                {"pane": pane, **asdict(info)}
                for pane, infos in zip(PANES, engines, strict=False)
                for info in infos
            ],
            "machine": _machine(),
            "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        # Keyframes are many and short: one a line.
        camera_path = camera_path_values(plan.path)
        keys = ",\n".join(json.dumps(key) for key in camera_path.pop("keyframes"))
        text = json.dumps(values, indent=1, ensure_ascii=False)[2:-2]
        head = json.dumps(camera_path)[:-1]
        # Made once: the text is written after every frame.
        self._fixed = f'{text},\n "camera_path": {head}, "keyframes": [\n{keys}\n]}}'

    def write(
        self,
        state: State,
        frames_done: int,
        rest_starts_at: int | None = None,
        error: str | None = None,
    ) -> None:
        """Replace the file. Raises RecordingError."""
        now = {
            "format": FORMAT,
            "version": VERSION,
            "state": state,
            "frames_done": frames_done,
            "frames_total": self._n_frames,
            "rest_starts_at": rest_starts_at,
            "error": error,
        }
        temporary = self.path.with_name(self.path.name + ".tmp")
        head = json.dumps(now, indent=1, ensure_ascii=False)[:-2]
        try:
            temporary.write_text(f"{head},\n{self._fixed}\n}}\n", encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError as problem:
            raise RecordingError(
                f"The sidecar {self.path} could not be written",
                (problem.strerror or str(problem)).lower(),
                "Choose a folder you can write to, with enough free space.",
            ) from problem
        finally:
            with contextlib.suppress(OSError):  # on a full disk, half of it
                temporary.unlink(missing_ok=True)


def is_sidecar(path: Path) -> bool:
    """Whether a file is one of ours, in whatever state."""
    try:
        fields = Fields.of_file(path, "", RecordingError)
    except RecordingError:
        return False
    return fields.is_text("format") and fields.text("format") == FORMAT


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
    )


def _plan(fields: Fields) -> RecordingPlan:
    modes: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}
    labels: dict[str, Labels] = {label: label for label in get_args(Labels)}
    mode = fields.choice("mode", modes)
    names = fields.values("precisions", 2)
    if len(names) != (1 if mode == "single" else 2) or not all(
        isinstance(name, str) and name in _PRECISIONS for name in names
    ):
        fields.refuse("precisions", f"does not name what the mode '{mode}' needs")
    size = fields.values("pane_px", 2)
    if len(size) != 2 or not all(type(px) is int and 1 <= px <= MAX_SIZE_PX for px in size):
        fields.refuse("pane_px", f"is not a width and a height of 1 to {MAX_SIZE_PX}")
    return RecordingPlan(
        path=read_camera_path(fields.inner("camera_path")),
        seconds=fields.number("path_s", None, 0.0, MAX_SECONDS),
        fps=fields.number("fps", None, *FPS_RANGE),
        width_px=size[0],
        height_px=size[1],
        precisions=tuple(_PRECISIONS[name] for name in names),
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


def _engines(fields: Fields, n_panes: int) -> tuple[Engines, ...]:
    panes = {pane: pane for pane in PANES}
    engines: tuple[dict[Precision, tuple[str, str]], ...] = tuple({} for _ in range(n_panes))
    for entry in fields.objects("engines", 2 * len(_PRECISIONS)):
        device = "cpu" if entry.text("device") == "cpu" else "cuda"
        named = entry.choice("pane", panes) if "pane" in entry else None
        for pane, found in zip(PANES, engines, strict=False):
            if named in (None, pane):
                found[entry.choice("precision", _PRECISIONS)] = (entry.text("engine"), device)
    return engines


def _layers(fields: Fields) -> frozenset[str]:
    mix = fields.inner("layers").mapping if "layers" in fields else {}
    if len(mix) > MAX_LAYERS or not set(map(str, mix.values())) <= {"fp32", "int8"}:
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


def _machine() -> dict[str, Any]:
    # Imported here: whoever only reads a sidecar need not wait for it.
    import torch

    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "processor": torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": packages,
    }
