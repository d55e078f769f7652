"""`eval`: quality against ground truth."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from r2l_core.checkpoints.opening import is_released
from r2l_core.commands.arguments import (
    frames,
    positive_float,
    positive_int,
    precisions,
    threshold,
    vector,
)
from r2l_core.commands.photographs import half_res_option
from r2l_core.commands.shared import (
    Subparsers,
    engine_options,
    json_option,
    light_field_options,
    open_to_render,
    print_notes,
)
from r2l_core.errors import R2LError
from r2l_core.evaluation.evaluation import Evaluation, evaluation_cameras
from r2l_core.evaluation.folder import EvaluationFolder
from r2l_core.evaluation.ground_truth import DatasetReference, Reference, TeacherReference
from r2l_core.evaluation.shimmer import STEP_DEG, Images, Shimmer, turntable_cameras
from r2l_core.files import write_json
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import require_in_reach
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.render.progressive_image import timed_image
from r2l_core.render.sources import PixelSource
from r2l_core.types import RayMode

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    evaluate = commands.add_parser(
        "eval",
        help="quality against ground truth",
        description="Compares pictures of every precision with the truth, and with fp32: PSNR in "
        "dB, SSIM, FLIP, and LPIPS where it is installed. The truth are a dataset's photographs, "
        "or the scene's own ray tracer seen by 8 cameras around it.",
        examples=[
            ("Of the demo, whose scene is known", "--checkpoint demo --precision fp32,bf16"),
            (
                "Against a dataset's test pictures at half size, as published",
                "--checkpoint lego.tar --scene blender:lego --dataset nerf_synthetic/lego "
                "--half-res --precision fp32,int8-sim",
            ),
            (
                "In continuous integration: fail where int8 is below 38 dB of fp32",
                "--checkpoint demo --precision int8-sim --fail-under int8-sim:38",
            ),
        ],
    )
    light_field_options(evaluate)
    engine_options(evaluate)
    evaluate.add_argument(
        "--radius", type=positive_float, metavar="R", help="of the 8 cameras, scene units (4)"
    )
    evaluate.add_argument(
        "--pivot", type=vector, metavar="X,Y,Z", help="what they look at (the scene centre)"
    )
    evaluate.add_argument(
        "--precision", type=precisions, required=True, metavar="P,P,...", help="which to compare"
    )
    evaluate.add_argument(
        "--turntable",
        type=frames,
        metavar="N",
        help=f"shimmer as well: how N frames, {STEP_DEG:g} degree apart, change, against the "
        "teacher's",
    )
    evaluate.add_argument(
        "--dataset", type=Path, metavar="DIR", help="against its pictures instead of the teacher"
    )
    evaluate.add_argument("--split", choices=["train", "val", "test"], help="of the dataset (test)")
    half_res_option(evaluate)
    evaluate.add_argument(
        "--spherify", action="store_true", help="the dataset is an LLFF capture all around"
    )
    evaluate.add_argument("--limit", type=positive_int, metavar="N", help="its first N views only")
    evaluate.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="keep pictures, truth, errors, videos and records here; a run that was stopped goes "
        "on from the records that are there",
    )
    evaluate.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a report with pictures and differences; its views are always measured",
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
    for precision, _ in options.fail_under:
        if precision not in options.precision:
            raise R2LError(
                f"--fail-under names {precision}",
                "that precision is not evaluated",
                f"Add {precision} to --precision.",
            )
    dataset = _dataset(options)
    light_field, ray_mode = _light_field(options, dataset)
    reference = _reference(options, light_field, dataset)
    folder = EvaluationFolder(options.out) if options.out else None
    evaluation = Evaluation(
        light_field, options.precision, ray_mode, reference, options.engine, options.device, folder
    )
    if folder:
        folder.claim([precision.value for precision in options.precision], len(reference.cameras))
    html = None
    if options.html:  # loads its templates and colours
        from r2l_core.evaluation.html_report import HtmlReport

        html = HtmlReport(light_field, len(reference.cameras))
    views = evaluation.run(anew=html.shown if html else ())
    for view in tqdm(views, total=evaluation.views_total, unit="view", file=sys.stderr):
        if html and view:
            html.add(view)
    report = {
        **evaluation.report(),
        "turntable": _shimmer(options, evaluation, reference, light_field.scene),
        "dataset": dataset and _facts(dataset),
    }
    _print_table(report["precisions"])
    if report["turntable"]:
        _print_shimmer(report["turntable"])
    if report["lpips_why_not"]:
        print(f"LPIPS was not measured: {report['lpips_why_not']}")
    if evaluation.views_resumed:
        print(f"{evaluation.views_resumed} of {evaluation.views_total} were measured before.")
    if options.json:
        write_json(options.json, report)
    if html:
        html.write(options.html, report)
    if folder and len({(c.width_px, c.height_px) for c in reference.cameras}) == 1:
        folder.save_videos(list(report["precisions"]), report["views"])
    failed = False
    for precision, bound_db in options.fail_under:
        reached_db = report["precisions"][precision]["psnr_db_vs_fp32_mean"]
        passed = reached_db >= bound_db  # not a number is no pass either
        failed = failed or not passed
        said, sign = ("PASS", ">=") if passed else ("FAIL", "<")
        print(f"{said} {precision}: {reached_db:.1f} dB {sign} {bound_db:g} dB")
    return 1 if failed else 0


def _dataset(options: argparse.Namespace) -> Dataset | None:
    of_dataset = ("split", "half_res", "spherify", "limit")
    of_teacher = ("radius", "pivot", "turntable")
    missing = (
        "no --dataset is given"
        if options.dataset is None
        else "a dataset has its own cameras, and no truth between them"
    )
    for name in of_dataset if options.dataset is None else of_teacher:
        if getattr(options, name):
            raise R2LError(
                f"--{name.replace('_', '-')} cannot be used", missing, "Leave one of them out."
            )
    if options.dataset is None:
        return None
    from r2l_core.datasets import open_dataset

    with tqdm(unit="picture", file=sys.stderr, leave=False, delay=1) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        dataset = open_dataset(
            options.dataset,
            options.split or "test",
            half_res=options.half_res,
            spherify=options.spherify,
            progress=progress,
        )
        replace(dataset, views=dataset.views[: options.limit]).require_sound(progress)
    return dataset


def _light_field(
    options: argparse.Namespace, dataset: Dataset | None
) -> tuple[LightField, RayMode]:
    """A released file does not know its scene, and the dataset does."""
    if dataset is None:
        return open_to_render(options)
    scene, notes = None, list(dataset.notes)
    if options.scene is None and is_released(options.checkpoint):
        scene = dataset.scene
        notes.append(
            f"No scene was given: near {scene.near:g}, far {scene.far:g} and background of the "
            f"dataset {dataset.name} are used."
        )
    opened = open_to_render(options, scene)
    print_notes(notes)
    return opened


def _reference(
    options: argparse.Namespace, light_field: LightField, dataset: Dataset | None
) -> Reference:
    if dataset is not None:
        return DatasetReference(dataset, options.limit)
    scene = light_field.scene
    cameras = evaluation_cameras(scene, options.radius, options.pivot)
    for camera in cameras:
        require_in_reach(camera, scene)
    return TeacherReference(scene, cameras)


def _shimmer(
    options: argparse.Namespace, evaluation: Evaluation, reference: Reference, scene: SceneSpec
) -> dict[str, Any] | None:
    if options.turntable is None:
        return None
    assert isinstance(reference, TeacherReference), "--turntable does not go with --dataset"

    def images(source: PixelSource) -> Images:
        def see(camera: Camera) -> NDArray[np.float32]:
            colors: NDArray[np.float32] = timed_image(source, camera).colors.numpy()
            return colors

        return see

    light_fields = {p.value: images(source) for p, source in evaluation.sources.items()}
    cameras = turntable_cameras(scene, options.turntable, options.radius, options.pivot)
    shimmer = Shimmer(reference.seen_by, light_fields, cameras)
    for _ in tqdm(shimmer.run(), total=len(cameras), unit="frame", file=sys.stderr):
        pass
    return shimmer.report()


def _print_shimmer(shimmer: dict[str, Any]) -> None:
    print(
        f"turntable, {shimmer['frames']} frames {shimmer['step_deg']:g} degree apart: what changes "
        "from one to the next\n"
        f"{'precision':<18}{'PSNR dB to the change of the truth':>36}{'mean change':>13}"
        f"{'x truth':>9}"
    )
    for name, row in shimmer["precisions"].items():
        ratio = row["change_ratio_to_truth"]
        shown = "-" if ratio is None else f"{ratio:.3f}"
        print(f"{name:<18}{row['change_psnr_db']:>36.2f}{row['change_mean_abs']:>13.5f}{shown:>9}")
    print(f"{'truth':<18}{'':>36}{shimmer['truth_change_mean_abs']:>13.5f}{1:>9.3f}")


def _facts(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "split": dataset.split,
        "half_res": dataset.half,
        "views_in_split": len(dataset),
        "notes": list(dataset.notes),
    }


def _print_table(precisions: dict[str, dict[str, Any]]) -> None:
    print(
        f"{'':<18}{'-- against the truth ':-<76}  {'-- against fp32 ':-<26}\n"
        f"{'precision':<18}{'PSNR dB':>9}{'pooled':>10}{'worst dB':>10}{'SSIM':>8}{'FLIP':>8}"
        f"{'LPIPS':>8}{'max err':>9}{'off 1/255':>14}  {'PSNR dB':>9}{'max err':>8}{'off':>9}"
        f"{'ms/frame':>10}"
    )
    for name, row in precisions.items():
        lpips = "-" if row["lpips_mean"] is None else f"{row['lpips_mean']:.4f}"
        # Not of views of which no pixel counts.
        worst = min((db for db in row["psnr_db_views"] if not math.isnan(db)), default=math.nan)
        print(
            f"{name:<18}{row['psnr_db_mean']:>9.2f}{row['psnr_db_pooled']:>10.2f}"
            f"{worst:>10.2f}{row['ssim_mean']:>8.4f}{row['flip_mean']:>8.4f}"
            f"{lpips:>8}{row['max_abs_mean']:>9.3f}{row['off_by_1_255_percent_mean']:>12.1f} %"
            f"  {row['psnr_db_vs_fp32_mean']:>9.2f}{row['max_abs_vs_fp32_mean']:>8.3f}"
            f"{row['off_by_1_255_percent_vs_fp32_mean']:>7.1f} %{row['ms_per_frame_median']:>10.0f}"
        )
