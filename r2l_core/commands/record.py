"""`record`: a video along a camera path."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from r2l_core.checkpoints.opening import embedded_names
from r2l_core.commands.arguments import positive_float, precision, precisions, size
from r2l_core.commands.process import stop_flag
from r2l_core.commands.shared import (
    Subparsers,
    engine_options,
    json_option,
    light_field_options,
    open_to_render,
    print_notes,
)
from r2l_core.errors import R2LError, RecordingError
from r2l_core.files import write_json
from r2l_core.types import Precision

if TYPE_CHECKING:
    from r2l_core.camera_paths.camera_path import CameraPath
    from r2l_core.model.light_field import LightField
    from r2l_core.recording.plan import RecordingPlan
    from r2l_core.recording.recorder import Recorder

_SECONDS = 6.0
_FPS = 30.0
_SIZE = (400, 400)
_NEW_ONLY = (
    *("scene", "path", "seconds", "fps", "size", "precision", "compare", "mode", "labels"),
    *("gain", "title"),
)


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    record = commands.add_parser(
        "record",
        help="a video along a camera path",
        examples=[
            (
                "Once around the demo, int8 beside fp32",
                "--checkpoint demo --path turntable --seconds 4 --compare fp32,int8-sim "
                "--out demo.mp4",
            ),
            ("Complete a recording that was stopped", "--resume demo.json"),
        ],
        description="Renders every frame whole, however long it takes, into MP4, WebM, GIF or "
        "numbered PNG pictures. Beside x.mp4 lie x.json, from which it can be made again or "
        "completed, and x.csv with a row for every frame. Keyframes may set the precision of each "
        "pane, the wipe and the gain; --precision, --compare and --gain win over them.",
    )
    light_field_options(record, required=False)
    engine_options(record)
    record.add_argument(
        "--path",
        metavar="turntable|spiral|dolly|PATH.json",
        help="a preset around the scene, or a file: ours or nerfstudio's (turntable)",
    )
    record.add_argument(
        "--seconds",
        type=positive_float,
        metavar="S",
        help=f"length of the path (a file's own, or {_SECONDS:g})",
    )
    record.add_argument(
        "--fps", type=positive_float, metavar="F", help=f"frames a second ({_FPS:g})"
    )
    record.add_argument(
        "--size", type=size, metavar="N|WxH", help="of one pane; --mode side is twice as wide (400)"
    )
    record.add_argument("--precision", type=precision, metavar="P", help="of one pane (fp32)")
    record.add_argument("--compare", type=precisions, metavar="P,P", help="two panes instead")
    record.add_argument(
        "--mode",
        choices=["side", "wipe", "difference"],
        help="(side); without --compare, of the precisions that keyframes name for panes A and B",
    )
    record.add_argument(
        "--labels",
        choices=["off", "names", "live"],
        help="what is burned in; live adds ms and dB (live where two are compared, otherwise off)",
    )
    record.add_argument("--gain", type=positive_float, metavar="G", help="of --mode difference (8)")
    record.add_argument("--title", metavar="TEXT", help="two seconds of title before the path")
    record.add_argument("--out", type=Path, metavar="x.mp4|.webm|.gif|.png", help="the film")
    record.add_argument(
        "--from", dest="again", type=Path, metavar="SIDECAR.json", help="record it once more"
    )
    record.add_argument(
        "--resume", type=Path, metavar="SIDECAR.json", help="complete an interrupted recording"
    )
    json_option(record)
    # None: as recorded, where a recording is made again.
    record.set_defaults(command=_record, engine=None)


def _record(options: argparse.Namespace) -> int:
    recorder = _recorder(options)
    plan = recorder.plan
    total, first = plan.n_frames, recorder.first_frame
    try:
        with stop_flag() as stopped, tqdm(total=total, initial=first, unit="frame") as bar:
            for _ in recorder.frames(aborted=stopped):
                bar.update()
    except R2LError as error:
        sidecar = recorder.out.with_suffix(".json")
        then = f"Then complete it with --resume {sidecar}." if sidecar.is_file() else ""
        raise type(error)(error.what, error.why, f"{error.remedy} {then}".strip()) from error
    complete = recorder.state == "finished"
    sidecar = recorder.out.with_suffix(".json")
    width_px, height_px = recorder.video_px
    padded = (
        ""
        if plan.picture_size == recorder.video_px
        else (
            f", padded from {plan.picture_size[0]}×{plan.picture_size[1]} because its format needs "
            "even sizes"
        )
    )
    done = f"{recorder.frames_done}" if complete else f"{recorder.frames_done} of {plan.n_frames}"
    seconds = float(recorder.frames_done / plan.exact_fps)
    print(
        f"{recorder.out}: {done} frames, {seconds:.2f} s, {width_px}×{height_px}{padded}; "
        f"{sidecar.name}, {sidecar.with_suffix('.csv').name}"
    )
    if options.json:
        write_json(options.json, _report(recorder))
    if complete:
        return 0
    print(f"Stopped. Complete it with --resume {sidecar}")
    return 130


def _report(recorder: Recorder) -> dict[str, Any]:
    plan, n_rendered = recorder.plan, recorder.frames_done - recorder.first_frame
    return {
        "video": str(recorder.out),
        "state": recorder.state,
        "frames_done": recorder.frames_done,
        "frames_total": plan.n_frames,
        "size_px": recorder.video_px,
        "fps": float(plan.exact_fps),
        "duration_s": float(recorder.frames_done / plan.exact_fps),
        "ms_per_frame_mean": recorder.rendered_s / n_rendered * 1e3 if n_rendered else None,
        "encoder_wait_s": recorder.waited_s,
    }


def _recorder(options: argparse.Namespace) -> Recorder:
    # Imported here: cameras on a path need SciPy, which takes longer to load than other commands.
    from r2l_core.recording.session import new_recording, recording_again, resumed_recording

    if options.again is not None or options.resume is not None:
        flag = "--from" if options.resume is None else "--resume"
        given = [f"--{name}" for name in _NEW_ONLY if getattr(options, name) is not None]
        given += ["--rays"] if options.rays != "auto" else []
        given += ["--assume"] if options.assume else []
        if options.resume is not None and (options.out or options.again):
            given.append("--out" if options.out else "--from")
        if given:
            raise RecordingError(
                f"{given[0]} does not go with {flag}",
                "the sidecar says all of that",
                f"Leave {given[0]} out.",
            )
        if options.engine is not None or options.device != "auto":
            engine = (options.engine or "auto", options.device)
        else:
            engine = None
        if options.resume is not None:
            return resumed_recording(options.resume, options.checkpoint, engine)
        return recording_again(options.again, _out(options), options.checkpoint, engine)
    out = _out(options)
    if options.checkpoint is None:
        raise RecordingError(
            "There is nothing to record", "--checkpoint is missing", "Give a file, or demo."
        )
    light_field, ray_mode = open_to_render(options)
    return new_recording(
        light_field,
        _lasting_name(options.checkpoint),
        _plan(options, light_field),
        out,
        ray_mode,
        options.engine or "auto",
        options.device,
        assumed=dict(options.assume),
    )


def _out(options: argparse.Namespace) -> Path:
    if options.out is None:
        raise RecordingError("There is nowhere to record to", "--out is missing", "Give a file.")
    out: Path = options.out
    return out


def _plan(options: argparse.Namespace, light_field: LightField) -> RecordingPlan:
    from r2l_core.recording.plan import DEFAULT_GAIN, FPS_RANGE, MAX_SECONDS, RecordingPlan

    if options.compare is not None and options.precision is not None:
        raise RecordingError(
            "--precision does not go with --compare",
            "the two precisions to compare say it already",
            "Leave --precision out.",
        )
    if options.compare is not None and len(options.compare) != 2:
        raise RecordingError(
            "--compare cannot be used", "it does not name two precisions", "Give P,P."
        )
    width_px, height_px = options.size or _SIZE
    for flag, value, (low, high) in (
        ("--seconds", options.seconds, (0.0, MAX_SECONDS)),
        ("--fps", options.fps, FPS_RANGE),
    ):
        if value is not None and not low <= value <= high:
            raise RecordingError(
                f"{flag} {value:g} cannot be recorded",
                f"it is not from {low:g} to {high:g}",
                f"Correct {flag}.",
            )
    path = _camera_path(options, light_field, width_px, height_px)
    path, shown = _panes(options, path)
    compares = len(shown) == 2
    return RecordingPlan(
        path=path,
        seconds=options.seconds or path.seconds or _SECONDS,
        fps=options.fps or _FPS,
        width_px=width_px,
        height_px=height_px,
        precisions=shown,
        mode=(options.mode or "side") if compares else "single",
        labels=options.labels or ("live" if compares else "off"),
        gain=options.gain or DEFAULT_GAIN,
        title=options.title or "",
    )


def _panes(
    options: argparse.Namespace, path: CameraPath
) -> tuple[CameraPath, tuple[Precision, ...]]:
    """The path without what flags say otherwise, and the precision each pane begins with."""
    if options.gain is not None:
        path = path.without("gain")
    if options.compare is not None or options.precision is not None:
        path = path.without("precision_a", "precision_b")
        return path, tuple(options.compare or [options.precision])
    if options.mode is None:
        return path, (Precision.FP32,)
    keys = path.keyframes
    first = [
        next((one for one in said if one is not None), None)
        for said in ([key.precision_a for key in keys], [key.precision_b for key in keys])
    ]
    shown = tuple(one for one in first if one is not None)
    if len(shown) < 2:
        raise RecordingError(
            f"--mode {options.mode} needs two pictures",
            "--compare is missing, and the keyframes do not name a precision for both panes",
            "Give --compare.",
        )
    return path, shown


def _camera_path(
    options: argparse.Namespace, light_field: LightField, width_px: int, height_px: int
) -> CameraPath:
    from r2l_core.camera_paths.files import load_camera_path
    from r2l_core.camera_paths.presets import PRESETS, preset

    name = options.path or PRESETS[0]
    if name in PRESETS:
        scene = light_field.scene
        home = scene.home()
        # The field of view the `render` command has at this size.
        fov_y_deg = home.camera(width_px, height_px, scene.focal_px(width_px)).fov_y_deg
        return preset(name, home, fov_y_deg, options.seconds or _SECONDS, scene.bound_radius)
    path = load_camera_path(Path(name))
    print_notes(path.notes)
    return path if options.seconds is None else path.lasting(options.seconds)


def _lasting_name(checkpoint: str) -> str:
    """What the light field is opened by later, from any folder."""
    if checkpoint in embedded_names() and not Path(checkpoint).is_file():
        return checkpoint
    return str(Path(checkpoint).expanduser().absolute())
