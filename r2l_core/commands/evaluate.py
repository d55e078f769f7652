"""`eval`: quality against ground truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from r2l_core.checkpoint import LightField
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

if TYPE_CHECKING:
    from r2l_core.html_report import HtmlReport


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
        "--html", type=Path, metavar="FILE", help="write a report with pictures and differences"
    )
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
    html = _html_report(light_field, len(cameras)) if options.html else None
    total = len(cameras) * len(options.precision)
    for view in tqdm(evaluation.run(), total=total, unit="view", file=sys.stderr):
        if options.out:
            save_image(options.out / f"{view.index:03d}_{view.precision}.png", view.image)
            save_image(options.out / f"{view.index:03d}_truth.png", view.truth)
        if html:
            html.add(view)
    report = evaluation.report()
    _print_table(report["precisions"])
    if report["lpips_why_not"]:
        print(f"LPIPS was not measured: {report['lpips_why_not']}")
    if options.json:
        write_json(options.json, report)
    if html:
        html.write(options.html, report)
    failed = False
    for precision, bound_db in options.fail_under:
        reached_db = report["precisions"][precision]["psnr_db_vs_fp32_mean"]
        if not reached_db >= bound_db:  # not a number is no pass either
            failed = True
            print(f"FAIL {precision}: {reached_db:.1f} dB < {bound_db:g} dB")
        else:
            print(f"PASS {precision}: {reached_db:.1f} dB >= {bound_db:g} dB")
    return 1 if failed else 0


def _html_report(light_field: LightField, n_views: int) -> HtmlReport:
    from r2l_core.html_report import HtmlReport  # its templates and colours: only where needed

    return HtmlReport(light_field, n_views)


def _print_table(precisions: dict[str, dict[str, Any]]) -> None:
    print(
        f"{'':<18}{'-- against the truth ':-<66}  {'-- against fp32 ':-<26}\n"
        f"{'precision':<18}{'PSNR dB':>9}{'worst dB':>10}{'SSIM':>8}{'FLIP':>8}{'LPIPS':>8}"
        f"{'max err':>9}{'off 1/255':>14}  {'PSNR dB':>9}{'max err':>8}{'off':>9}{'ms/frame':>10}"
    )
    for name, row in precisions.items():
        lpips = "-" if row["lpips_mean"] is None else f"{row['lpips_mean']:.4f}"
        print(
            f"{name:<18}{row['psnr_db_mean']:>9.2f}{min(row['psnr_db_views']):>10.2f}"
            f"{row['ssim_mean']:>8.4f}{row['flip_mean']:>8.4f}{lpips:>8}"
            f"{row['max_abs_mean']:>9.3f}{row['off_by_1_255_percent_mean']:>12.1f} %"
            f"  {row['psnr_db_vs_fp32_mean']:>9.2f}{row['max_abs_vs_fp32_mean']:>8.3f}"
            f"{row['off_by_1_255_percent_vs_fp32_mean']:>7.1f} %{row['ms_per_frame_median']:>10.0f}"
        )
