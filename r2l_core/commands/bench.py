"""`bench`: speed of every precision on every engine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from r2l_core.commands.arguments import positive_int, precisions, size, thread_counts
from r2l_core.commands.shared import (
    Subparsers,
    engine_options,
    json_option,
    light_field_options,
    open_teacher,
    open_to_render,
)
from r2l_core.engines.processor import this_processor
from r2l_core.errors import R2LError
from r2l_core.evaluation.bench import ROUNDS, Bench
from r2l_core.files import write_json
from r2l_core.geometry.scene import load_scene


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    bench = commands.add_parser(
        "bench",
        help="speed of every precision on every engine",
        description="Times whole pictures, every pixel through the network, of each precision on "
        "each engine that has it, in turns; a first frame of each is not counted. Beside them it "
        "times the published way of computing the same.",
        examples=[
            ("Four precisions at 400x400", "--checkpoint demo --precision fp32,bf16,fp16,int8"),
            ("The processor's share of a picture made on a GPU", "--overhead"),
            (
                "One engine at 800x800, as JSON",
                "--checkpoint demo --precision fp32 --engine torch --size 800 --json bench.json",
            ),
        ],
    )
    light_field_options(bench, required=False)
    engine_options(bench)
    bench.add_argument("--size", type=size, default=(400, 400), metavar="N|WxH", help="(400)")
    bench.add_argument("--precision", type=precisions, metavar="P,P,...", help="which to time")
    bench.add_argument(
        "--rounds",
        type=positive_int,
        default=ROUNDS,
        metavar="N",
        help=f"frames a path ({ROUNDS})",
    )
    bench.add_argument(
        "--threads",
        type=thread_counts,
        metavar="N,N,...",
        help="time everything with so many processor threads, one number after the other (torch's)",
    )
    bench.add_argument(
        "--teacher",
        metavar="NERF.tar|T.safetensors",
        help="a teacher to time beside them, on a sample of its rays",
    )
    bench.add_argument(
        "--overhead",
        action="store_true",
        help="instead: processor time of a whole picture around an engine whose device answers at "
        "once",
    )
    json_option(bench)
    bench.set_defaults(command=_bench)


def _overhead(options: argparse.Namespace) -> int:
    # Imported here: nothing else needs it.
    from r2l_core.evaluation.overhead import overhead_ms

    processor = this_processor().name
    measured_ms = overhead_ms(load_scene("demo"), (400, 800))
    print(f"Processor time from the camera to the host's 8-bit image, {processor}:")
    for side_px, ms in measured_ms.items():
        print(f"{side_px}x{side_px}{ms:>10.2f} ms")
    if options.json:
        write_json(options.json, {"overhead_ms": measured_ms, "processor": processor})
    return 0


def _bench(options: argparse.Namespace) -> int:
    if options.overhead:
        return _overhead(options)
    for flag in ("checkpoint", "precision"):
        if getattr(options, flag) is None:
            raise R2LError(
                f"bench needs --{flag}",
                "it says what to time",
                f"Name one with --{flag}, or ask for --overhead alone.",
            )
    light_field, ray_mode = open_to_render(options)
    width_px, height_px = options.size
    scene = light_field.scene
    camera = scene.home().camera(width_px, height_px, scene.focal_px(width_px))
    teacher = None if options.teacher is None else open_teacher(options.teacher, scene)
    torch_threads = torch.get_num_threads()
    reports = []
    try:
        for n_threads in options.threads or [torch_threads]:
            # Engines are built with as many threads as torch has.
            torch.set_num_threads(n_threads)
            bench = Bench(
                light_field,
                options.precision,
                camera,
                ray_mode,
                options.engine,
                options.device,
                teacher,
            )
            total = options.rounds * (1 + len(bench.runs) + (teacher is not None))
            turns = bench.measure(options.rounds)
            for _ in tqdm(turns, total=total, unit="frame", file=sys.stderr):
                pass
            reports.append(bench.report())
            _print(reports[-1])
    finally:
        torch.set_num_threads(torch_threads)
    # The last is the report; what others measured joins it.
    *others, report = reports
    report["runs"] = [run for one in reports for run in one["runs"]]
    report["published_by_threads"] = [one["published"] for one in reports]
    if others:
        _print_scaling(report["runs"])
    if options.json:
        write_json(options.json, report)
    return 0


def _print(report: dict[str, Any]) -> None:
    published = report["published"]
    threads = published["threads"]
    print(f"{report['processor']}, {threads} thread{'s' * (threads > 1)}")
    print(
        f"{'precision':<18}{'engine':<11}{'ms/frame':>9}{'kray/s':>8}{'x published':>13}"
        f"{'GOP/s':>8}{'% of peak':>11}{'rays+enc %':>12}{'vs fp32 dB':>12}{'peak MB':>9}"
    )
    print(
        f"{'fp32, published':<18}{'-':<11}{published['ms_median']:>9.0f}"
        f"{published['krays_per_s']:>8.1f}{1:>13.2f}{published['gops']:>8.0f}"
    )
    for run in report["runs"]:
        if run["failed"]:
            print(f"{run['precision']:<18}{run['engine']:<11}failed: {run['failed']}")
            continue
        preparing = 100 * (run["share"]["rays"] + run["share"]["encode"])
        peak_mb = "-" if run["peak_rss_mb"] is None else f"{run['peak_rss_mb']:.0f}"
        share = "-" if run["peak_share"] is None else f"{100 * run['peak_share']:.0f}"
        print(
            f"{run['precision']:<18}{run['engine']:<11}{run['ms_median']:>9.0f}"
            f"{run['krays_per_s']:>8.1f}{run['ratio_to_published']:>13.2f}{run['gops']:>8.0f}"
            f"{share:>11}{preparing:>12.1f}{run['psnr_db_vs_fp32']:>12.1f}{peak_mb:>9}"
        )
    if (timed := report["teacher"]) is not None:
        print(
            f"{'teacher':<18}{timed['engine_info']['engine']:<11}{timed['ms_median']:>9.0f}"
            f"{timed['krays_per_s']:>8.2f}{timed['ratio_to_published']:>13.3f}"
            f"   extrapolated from {timed['rays_timed']} rays"
        )


def _print_scaling(runs: Sequence[dict[str, Any]]) -> None:
    """How much faster each path is with more threads, against its fewest."""
    print("speed with more threads, against the fewest")
    paths: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        if not run["failed"]:
            paths.setdefault((run["precision"], run["engine"]), []).append(run)
    for (precision, engine), timed in paths.items():
        first = timed[0]["krays_per_s"]
        speeds = "".join(f"{one['threads']:>5}:{one['krays_per_s'] / first:>5.2f}" for one in timed)
        print(f"{precision:<18}{engine:<11}{speeds}")
