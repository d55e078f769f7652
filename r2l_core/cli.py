"""The command line: `python -m r2l_core render | eval | bench | quantize | distill`.

Exit codes: 0 done, 1 a stated threshold failed, 2 bad input or environment (one paragraph on
stderr that names the file or flag). No command needs a display.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from r2l_core.arguments import Parser
from r2l_core.bench import ROUNDS, Bench
from r2l_core.camera import Camera, Orbit, load_pose
from r2l_core.checkpoint import LightField, load_light_field, save_light_field
from r2l_core.engines import ENGINES, build_engine
from r2l_core.errors import CheckpointError, QuantizationError, R2LError
from r2l_core.evaluation import Evaluation, evaluation_cameras
from r2l_core.output import IMAGE_SUFFIXES, save_image, write_json
from r2l_core.quantization.calibration import (
    CALIBRATION_RAYS,
    CALIBRATORS,
    CalibrationConfig,
)
from r2l_core.quantization.model import Recipe
from r2l_core.quantization.recipes import load_mix, load_ranges, quantized
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
    parser = Parser(prog="python -m r2l_core", description="Neural light fields without a window.")
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

    bench = commands.add_parser("bench", help="speed of every precision on every engine")
    _light_field_options(bench)
    _engine_options(bench)
    bench.add_argument("--size", type=_size, default=(400, 400), metavar="N|WxH")
    bench.add_argument("--precision", type=_precisions, required=True, metavar="P,P,...")
    bench.add_argument(
        "--rounds",
        type=_positive_int,
        default=ROUNDS,
        metavar="N",
        help=f"frames a path ({ROUNDS})",
    )
    _json_option(bench)
    bench.set_defaults(command=_bench)

    quantize = commands.add_parser("quantize", help="save a light field in eight or sixteen bits")
    _light_field_options(quantize)
    quantize.add_argument("--recipe", choices=get_args(Recipe), required=True)
    quantize.add_argument(
        "--calibrator", choices=CALIBRATORS, help="how int8-static finds its ranges (max)"
    )
    quantize.add_argument(
        "--smooth-alpha", type=_share, metavar="A", help="SmoothQuant exponent for int8-static"
    )
    quantize.add_argument(
        "--calibration-rays", type=_positive_int, metavar="N", help=f"({CALIBRATION_RAYS})"
    )
    quantize.add_argument(
        "--layers", type=Path, metavar="MIX.json", help="which body layers stay in fp32"
    )
    quantize.add_argument(
        "--amax",
        type=Path,
        metavar="RANGES",
        help="ranges saved by pytorch-quantization or nvidia-modelopt, for int8-static",
    )
    quantize.add_argument("--out", type=Path, required=True, metavar="Q.safetensors")
    _json_option(quantize)
    quantize.set_defaults(command=_quantize)

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


def _open(options: argparse.Namespace) -> LightField:
    scene = None if options.scene is None else load_scene(options.scene)
    return load_light_field(options.checkpoint, scene)


def _open_to_render(options: argparse.Namespace) -> tuple[LightField, RayMode]:
    light_field = _open(options)
    return light_field, light_field.scene.ray_mode(options.rays)


def _render(options: argparse.Namespace) -> int:
    light_field, ray_mode = _open_to_render(options)
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
    light_field, ray_mode = _open_to_render(options)
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
        if not reached_db >= bound_db:  # not a number is no pass either
            failed = True
            print(f"FAIL {precision}: {reached_db:.1f} dB < {bound_db:g} dB")
        else:
            print(f"PASS {precision}: {reached_db:.1f} dB >= {bound_db:g} dB")
    return 1 if failed else 0


def _bench(options: argparse.Namespace) -> int:
    light_field, ray_mode = _open_to_render(options)
    width_px, height_px = options.size
    scene = light_field.scene
    camera = scene.home().camera(width_px, height_px, scene.focal_px(width_px))
    bench = Bench(light_field, options.precision, camera, ray_mode, options.engine, options.device)
    total = options.rounds * (1 + len(bench.runs))
    for _ in tqdm(bench.measure(options.rounds), total=total, unit="frame", file=sys.stderr):
        pass
    report = bench.report()
    print(
        f"{'precision':<18}{'engine':<11}{'ms/frame':>9}{'kray/s':>8}{'x published':>13}"
        f"{'rays+enc %':>12}{'vs fp32 dB':>12}{'peak MB':>9}"
    )
    published = report["published"]
    print(
        f"{'fp32, published':<18}{'-':<11}{published['ms_median']:>9.0f}"
        f"{published['krays_per_s']:>8.1f}{1:>13.2f}"
    )
    for run in report["runs"]:
        preparing = 100 * (run["share"]["rays"] + run["share"]["encode"])
        peak = "-" if run["peak_rss_mb"] is None else f"{run['peak_rss_mb']:.0f}"
        print(
            f"{run['precision']:<18}{run['engine']:<11}{run['ms_median']:>9.0f}"
            f"{run['krays_per_s']:>8.1f}{run['ratio_to_published']:>13.2f}{preparing:>12.1f}"
            f"{run['psnr_db_vs_fp32']:>12.1f}{peak:>9}"
        )
    if options.json:
        write_json(options.json, report)
    return 0


def _quantize(options: argparse.Namespace) -> int:
    static = {
        "--calibrator": options.calibrator,
        "--smooth-alpha": options.smooth_alpha,
        "--calibration-rays": options.calibration_rays,
        "--amax": options.amax,
    }
    for flag, value in static.items():
        if value is not None and options.recipe != "int8-static":
            raise QuantizationError(
                f"{flag} does not go with --recipe {options.recipe}",
                "only int8-static has fixed ranges",
                f"Leave {flag} out, or choose int8-static.",
            )
    if options.layers is not None and options.recipe not in ("int8", "int8-static"):
        raise QuantizationError(
            f"--layers does not go with --recipe {options.recipe}",
            "the published recipes round every layer",
            "Leave --layers out, or choose int8 or int8-static.",
        )
    _require_native_name(options.out)
    light_field = _open(options)
    config = CalibrationConfig(
        calibrator=options.calibrator or "max",
        smooth_alpha=options.smooth_alpha,
        n_rays=options.calibration_rays or CALIBRATION_RAYS,
    )
    result = quantized(
        light_field,
        options.recipe,
        config,
        None if options.layers is None else load_mix(options.layers),
        None if options.amax is None else load_ranges(options.amax),
    )
    save_light_field(result, options.out)
    size_mb = options.out.stat().st_size / 1e6
    assert result.quantization is not None
    opens_in = result.quantization.opens_in
    print(f"{options.out}: {options.recipe}, {size_mb:.1f} MB, opens in {opens_in}")
    if options.json:
        write_json(
            options.json,
            {
                "recipe": options.recipe,
                "layers_int8": sorted(result.quantization.layers),
                "settings": dict(result.quantization.settings),
                "size_mb": size_mb,
            },
        )
    return 0


def _require_native_name(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise CheckpointError(
            f"The light field {path} cannot be written",
            "its name does not end in .safetensors",
            "Correct --out.",
        )


def _require_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"The light field {path} cannot be written",
            (error.strerror or str(error)).lower(),
            "Choose a folder you can write to.",
        ) from error


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
        if options.depth < 4:
            raise ValueError(f"depth {options.depth} has no body to train")
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
    _require_native_name(options.out)
    cache = platformdirs.user_cache_path("r2l-viewer") / "distill"
    state = options.state or cache / f"{options.out.stem}.pt"
    trainer = Trainer(
        scene, teacher_of(scene), network, TrainingConfig(minutes=options.minutes), state
    )
    if options.resume:
        trainer.resume()
    else:
        if state.exists():  # hours of work, perhaps
            state.replace(state.with_suffix(".previous.pt"))
        trainer.save()  # a place that cannot be written is better found now than in an hour
    _require_writable(options.out)
    stopped = False
    with tqdm(
        total=round(options.minutes * 60), initial=int(trainer.elapsed_s), unit="s", unit_scale=True
    ) as bar:
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


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _share(text: str) -> float:
    value = _finite_float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
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
