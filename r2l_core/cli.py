"""The command line: `python -m r2l_core render | eval | distill`.

Exit codes: 0 done, 1 a stated threshold failed, 2 bad input or environment (one paragraph on
stderr that names the file or flag). No command needs a display.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from r2l_core.camera import Camera, Orbit, load_pose
from r2l_core.checkpoint import LightField, load_light_field, save_light_field
from r2l_core.engines import ENGINES, build_engine
from r2l_core.errors import CheckpointError, R2LError
from r2l_core.evaluation import Evaluation, evaluation_cameras
from r2l_core.output import IMAGE_SUFFIXES, save_image, write_json
from r2l_core.renderer import Renderer
from r2l_core.scene import load_scene
from r2l_core.types import Precision, RayMode

MAX_SIZE_PX = 16384


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except R2LError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m r2l_core", description="Neural light fields without a window."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    render = commands.add_parser("render", help="one picture of a light field")
    _light_field_options(render)
    _engine_options(render)
    render.add_argument("--azimuth", type=_finite_float, metavar="DEG")
    render.add_argument("--elevation", type=_finite_float, metavar="DEG")
    render.add_argument("--radius", type=_positive_float, metavar="R")
    render.add_argument("--pivot", type=_vector, metavar="X,Y,Z")
    render.add_argument(
        "--pose", type=Path, metavar="POSE.json", help="4x4 camera-to-world matrix instead"
    )
    render.add_argument("--size", type=_size, required=True, metavar="N|WxH")
    render.add_argument(
        "--focal", type=_positive_float, metavar="PX", help="default: the scene's field of view"
    )
    render.add_argument("--precision", type=_precision, default=Precision.FP32, metavar="P")
    render.add_argument("--out", type=_image_path, required=True, metavar="x.png|x.npy")
    _json_option(render)
    render.set_defaults(command=_render)

    evaluate = commands.add_parser("eval", help="quality against ground truth")
    _light_field_options(evaluate)
    _engine_options(evaluate)
    evaluate.add_argument("--radius", type=_positive_float, metavar="R")
    evaluate.add_argument("--pivot", type=_vector, metavar="X,Y,Z")
    evaluate.add_argument("--precision", type=_precisions, required=True, metavar="P,P,...")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="write pictures and truth here")
    evaluate.add_argument(
        "--fail-under",
        type=_threshold,
        action="append",
        default=[],
        metavar="P:X",
        help="exit 1 where precision P is below X dB of the fp32 picture",
    )
    _json_option(evaluate)
    evaluate.set_defaults(command=_evaluate)

    distill = commands.add_parser("distill", help="train a light field from a teacher")
    distill.add_argument("--scene", default="demo", metavar="S")
    distill.add_argument("--teacher", choices=["procedural"], default="procedural")
    distill.add_argument("--out", type=Path, required=True, metavar="C.safetensors")
    distill.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    distill.add_argument(
        "--minutes", type=_positive_float, default=45.0, metavar="M", help="training time in all"
    )
    distill.add_argument("--width", type=int, default=256, help="units per layer (256)")
    distill.add_argument("--depth", type=int, default=88, help="layers (88)")
    distill.add_argument("--frequencies", type=int, default=6, help="encoding octaves (6)")
    distill.add_argument(
        "--state", type=Path, metavar="FILE", help="where to keep the training state"
    )
    _json_option(distill)
    distill.set_defaults(command=_distill)
    return parser


def _light_field_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", required=True, metavar="C", help="a file, or demo")
    parser.add_argument("--scene", metavar="S", help="a preset or scene JSON instead of the file's")


def _engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=["auto", *ENGINES], default="auto")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rays", choices=["auto", "plain", "canonical"], default="auto")


def _json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a report as JSON")


def _open(options: argparse.Namespace) -> tuple[LightField, RayMode]:
    scene = None if options.scene is None else load_scene(options.scene)
    light_field = load_light_field(options.checkpoint, scene)
    return light_field, light_field.scene.ray_mode(options.rays)


def _render(options: argparse.Namespace) -> int:
    light_field, ray_mode = _open(options)
    camera = _camera(options, light_field)
    engine = build_engine(light_field, options.precision, options.engine, options.device)
    renderer = Renderer(engine, light_field.scene, ray_mode)
    colors = renderer.render(camera)
    assert colors is not None  # nothing cancels it
    save_image(options.out, colors.numpy())
    info = engine.info
    print(f"{options.out}: {info.precision}, {info.arithmetic}, {info.kernel}, {info.device}")
    if options.json:
        from dataclasses import asdict

        write_json(
            options.json,
            {
                "size": [camera.width_px, camera.height_px],
                "focal_px": camera.focal_px,
                "T_world_camera": camera.T_world_camera.tolist(),
                "rays": ray_mode,
                "engine": asdict(info),
            },
        )
    return 0


def _camera(options: argparse.Namespace, light_field: LightField) -> Camera:
    width_px, height_px = options.size
    focal_px = options.focal or light_field.scene.focal_px(width_px)
    orbit = (options.azimuth, options.elevation, options.radius)
    if options.pose is not None:
        if any(value is not None for value in (*orbit, options.pivot)):
            raise R2LError(
                "--pose cannot be combined with --azimuth, --elevation, --radius or --pivot",
                "a pose already says where the camera is",
                "Give one or the other.",
            )
        return Camera(load_pose(options.pose), width_px, height_px, focal_px)
    if any(value is None for value in orbit):
        raise R2LError(
            "The camera is not complete",
            "--azimuth, --elevation and --radius are needed together",
            "Give all three, or --pose POSE.json.",
        )
    pivot = options.pivot or light_field.scene.center
    return Orbit(*orbit, pivot).camera(width_px, height_px, focal_px)


def _evaluate(options: argparse.Namespace) -> int:
    light_field, ray_mode = _open(options)
    for precision, _ in options.fail_under:
        if precision not in options.precision:
            raise R2LError(
                f"--fail-under names {precision}",
                "that precision is not evaluated",
                f"Add {precision} to --precision.",
            )
    cameras = evaluation_cameras(light_field.scene, options.radius, options.pivot)
    evaluation = Evaluation(
        light_field, options.precision, ray_mode, cameras, options.engine, options.device
    )
    total = len(cameras) * len(options.precision)
    for view in tqdm(evaluation.run(), total=total, unit="view", file=sys.stderr):
        if options.out:
            save_image(options.out / f"{view.index:03d}_{view.precision}.png", view.image)
            save_image(options.out / f"{view.index:03d}_truth.png", view.truth)
    report = evaluation.report()
    _print_table(report["precisions"])
    if options.json:
        write_json(options.json, report)
    failed = False
    for precision, bound_db in options.fail_under:
        reached_db = report["precisions"][precision]["psnr_db_vs_fp32_mean"]
        if reached_db < bound_db:
            failed = True
            print(f"FAIL {precision}: {reached_db:.1f} dB < {bound_db:g} dB")
        else:
            print(f"PASS {precision}: {reached_db:.1f} dB >= {bound_db:g} dB")
    return 1 if failed else 0


def _print_table(precisions: dict[str, dict[str, float]]) -> None:
    print(
        f"{'precision':<18}{'PSNR dB':>9}{'worst dB':>10}{'SSIM':>8}{'FLIP':>8}"
        f"{'vs fp32 dB':>12}{'ms/frame':>10}"
    )
    for name, row in precisions.items():
        worst = min(row["psnr_db_views"])  # type: ignore[call-overload]
        print(
            f"{name:<18}{row['psnr_db_mean']:>9.2f}{worst:>10.2f}{row['ssim_mean']:>8.4f}"
            f"{row['flip_mean']:>8.4f}{row['psnr_db_vs_fp32_mean']:>12.2f}"
            f"{row['ms_per_frame_median']:>10.0f}"
        )


def _distill(options: argparse.Namespace) -> int:
    # Imported here: training needs modules that rendering does not.
    import platformdirs

    from r2l_core.distill.teachers import teacher_of
    from r2l_core.distill.training import DEFAULT_NETWORK, Trainer, TrainingConfig
    from r2l_core.network import NetworkConfig

    scene = load_scene(options.scene)
    try:
        network = NetworkConfig(
            depth=options.depth,
            width=options.width,
            n_sample=DEFAULT_NETWORK.n_sample,
            n_frequencies=options.frequencies,
        )
    except ValueError as error:
        raise R2LError(
            "--depth, --width or --frequencies cannot be used", str(error), "Correct it."
        ) from error
    if options.out.suffix != ".safetensors":
        raise CheckpointError(
            f"The light field {options.out} cannot be written",
            "its name does not end in .safetensors",
            "Correct --out.",
        )
    cache = platformdirs.user_cache_path("r2l-viewer") / "distill"
    state = options.state or cache / f"{options.out.stem}.pt"
    trainer = Trainer(
        scene, teacher_of(scene), network, TrainingConfig(minutes=options.minutes), state
    )
    if options.resume:
        trainer.resume()
    bar = tqdm(
        total=round(options.minutes * 60), initial=int(trainer.elapsed_s), unit="s", unit_scale=True
    )
    stopped = False
    try:
        for progress in trainer.run():
            bar.set_postfix_str(
                f"D{progress.depth} {progress.train_psnr_db:.2f} dB "
                f"{progress.krays_per_s:.1f} kray/s {progress.rays / 1e6:.1f} Mray",
                refresh=False,
            )
            bar.update(int(progress.elapsed_s) - bar.n)
    except KeyboardInterrupt:
        trainer.save()
        stopped = True
    bar.close()
    if stopped:
        print(f"Stopped; the state is in {state}. Go on with --resume.")
        return 130
    light_field = trainer.light_field(options.out.stem)
    save_light_field(light_field, options.out)
    print(f"{options.out}: {light_field.network.short_name}, {trainer.rays / 1e6:.1f} million rays")
    if options.json:
        write_json(options.json, dict(light_field.provenance))
    return 0


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def _positive_float(text: str) -> float:
    value = _finite_float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _vector(text: str) -> tuple[float, float, float]:
    parts = [_finite_float(part) for part in text.split(",")]
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"'{text}' is not three numbers X,Y,Z")
    return parts[0], parts[1], parts[2]


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is neither N nor WxH")
    width, height = int(parts[0]), int(parts[-1])
    if not (1 <= width <= MAX_SIZE_PX and 1 <= height <= MAX_SIZE_PX):
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MAX_SIZE_PX} pixels")
    return width, height


def _precision(text: str) -> Precision:
    try:
        return Precision(text)
    except ValueError:
        known = ", ".join(Precision)
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {known}") from None


def _precisions(text: str) -> list[Precision]:
    return list(dict.fromkeys(_precision(part) for part in text.split(",")))


def _threshold(text: str) -> tuple[Precision, float]:
    name, _, bound = text.partition(":")
    return _precision(name), _finite_float(bound)


def _image_path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in IMAGE_SUFFIXES:
        raise argparse.ArgumentTypeError(f"'{text}' does not end in {' or '.join(IMAGE_SUFFIXES)}")
    return path
