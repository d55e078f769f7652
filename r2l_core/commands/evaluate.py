"""`eval`: quality against ground truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from r2l_core.commands.shared import (
    Subparsers,
    engine_options,
    json_option,
    light_field_options,
    open_to_render,
)
from r2l_core.commands.values import positive_float, precisions, threshold, vector
from r2l_core.errors import R2LError
from r2l_core.evaluation import Evaluation, evaluation_cameras
from r2l_core.output import save_image, write_json


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    evaluate = commands.add_parser("eval", help="quality against ground truth")
    light_field_options(evaluate)
    engine_options(evaluate)
    evaluate.add_argument("--radius", type=positive_float, metavar="R")
    evaluate.add_argument("--pivot", type=vector, metavar="X,Y,Z")
    evaluate.add_argument("--precision", type=precisions, required=True, metavar="P,P,...")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="write pictures and truth here")
    evaluate.add_argument(
        "--fail-under",
        type=threshold,
        action="append",
        default=[],
        metavar="P:X",
        help="exit 1 where precision P is below X dB of the fp32 picture",
    )
    json_option(evaluate)
    evaluate.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    light_field, ray_mode = open_to_render(options)
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
