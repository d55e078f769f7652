"""`x.json` beside `x.mp4`: everything needed to record it again, and how far it got.

It is there before the first frame and replaced as a whole after each, so it can be trusted whenever
a recording is cut off. Beside it lies the table `x.csv` (see `table`).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil

from r2l_core.camera_paths.files import camera_path_values
from r2l_core.errors import RecordingError
from r2l_core.files import replacing
from r2l_core.geometry.scene import SceneSpec
from r2l_core.recording.formats import VideoFormat
from r2l_core.recording.plan import RecordingPlan
from r2l_core.types import EngineInfo, Precision, RayMode

FORMAT = "r2l-recording"
VERSION = 1

PANES = ("a", "b")
State = Literal["recording", "finished", "aborted", "failed"]

Engines = Mapping[Precision, tuple[str, str]]

_PACKAGES = ("torch", "numpy", "scipy", "openvino", "pillow", "imageio", "imageio-ffmpeg")

_SAME_S = 0.5
"""Two processes of one number do not begin closer than this; clocks differ by less."""

_TICKS_AT = 19
"""Where the begin of a process stands behind its name in /proc/PID/stat (proc(5), field 22)."""


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
        self._writer = this_process()
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
            "writer": self._writer,
        }
        head = json.dumps(now, indent=1, ensure_ascii=False)[:-2]
        what = f"The sidecar {self.path} could not be written"
        with replacing(self.path, RecordingError, what, make_folder=False) as new:
            text = f"{head},\n{self._fixed}\n}}\n"
            # Names that are not UTF-8 stand there as their escapes.
            new.write_text(text, encoding="utf-8", errors="backslashreplace")


def _machine() -> dict[str, Any]:
    # Imported here: whoever only reads a sidecar need not wait for it.
    import torch

    from r2l_core.engines.processor import this_processor

    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "processor": this_processor().name,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": packages,
    }


def this_process() -> dict[str, Any]:
    """For a sidecar: number of this process, and when it began: as Unix time, and where the system
    tells in ticks since which start of the machine, which a step of the clock does not move."""
    began = _ticks(os.getpid())
    return {
        "pid": os.getpid(),
        "started_s": psutil.Process().create_time(),
        **({} if began is None else {"boot": began[0], "started_ticks": began[1]}),
    }


def other_writer(owner: Mapping[str, Any]) -> int | None:
    """The number of the process that a sidecar names, if that is not this one and still runs."""
    pid, started_s = owner.get("pid"), owner.get("started_s")
    if type(pid) is not int or not isinstance(started_s, int | float) or pid == os.getpid():
        return None
    if "boot" in owner and (began := _ticks(pid)) is not None:
        return pid if began == (owner["boot"], owner.get("started_ticks")) else None
    try:
        runs = abs(psutil.Process(pid).create_time() - started_s) < _SAME_S
    except (psutil.Error, ValueError, OverflowError):
        return None
    return pid if runs else None


def _ticks(pid: int) -> tuple[str, int] | None:
    """Which start of the machine, and how many ticks after it a process began; None where the
    system does not say, or there is no such process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # Its name, in brackets, may hold anything.
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return boot, int(after_name[_TICKS_AT])
    except (OSError, ValueError, IndexError):
        return None
