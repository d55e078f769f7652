"""`sensitivity`: which layers eight bits hurt most, a mix that keeps them in fp32, and how the
residual stream grows."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from r2l_core.commands.arguments import finite_float, positive_int, precision
from r2l_core.commands.shared import (
    Subparsers,
    json_option,
    light_field_options,
    open_light_field,
)
from r2l_core.errors import QuantizationError
from r2l_core.evaluation.sensitivity import (
    SENSITIVITY_RAYS,
    Kept,
    Sensitivity,
    analyse,
    find_worst,
)
from r2l_core.files import write_json
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.divergence import StreamSize, residual_stream_sizes
from r2l_core.quantization.recipes import save_mix

_SHOWN = 10


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    sensitivity = commands.add_parser(
        "sensitivity",
        help="which layers eight bits hurt most",
        description="Runs one layer at a time in eight bits, and one at a time in float32, and "
        "says what that does to the colours. --keep or --target-db finds the layers that should "
        "stay in float32.",
        examples=[
            ("Every layer of the demo", "--checkpoint demo --precision int8-sim"),
            (
                "The four costliest, for quantize --layers",
                "--checkpoint demo --precision int8-sim --keep 4 --out mix.json",
            ),
        ],
    )
    light_field_options(sensitivity)
    sensitivity.add_argument(
        "--precision",
        type=precision,
        required=True,
        metavar="P",
        help="int8, int8-sim or int8-static-sim",
    )
    sensitivity.add_argument(
        "--rays", type=positive_int, default=SENSITIVITY_RAYS, metavar="N", help="(%(default)s)"
    )
    keep = sensitivity.add_mutually_exclusive_group()
    keep.add_argument(
        "--keep", type=positive_int, metavar="K", help="keep the K costliest layers in fp32"
    )
    keep.add_argument(
        "--target-db",
        type=finite_float,
        metavar="X",
        help="keep as few layers in fp32 as bring the colours within X dB of fp32",
    )
    sensitivity.add_argument(
        "--out", type=Path, metavar="MIX.json", help="write the mix for quantize --layers"
    )
    json_option(sensitivity)
    sensitivity.set_defaults(command=_sensitivity)


def _sensitivity(options: argparse.Namespace) -> int:
    wanted = options.keep is not None or options.target_db is not None
    if options.out is not None and not wanted:
        raise QuantizationError(
            f"The mix {options.out} cannot be made",
            "nothing says how many layers it keeps in fp32",
            "Add --keep or --target-db.",
        )
    light_field = open_light_field(options)
    with tqdm(unit="layer", file=sys.stderr, delay=0.5) as bar:  # not before bad input is refused

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        sensitivity = analyse(light_field, options.precision, options.rays, progress)
    assert sensitivity is not None, "nobody cancels"
    kept = None
    if wanted:
        kept = find_worst(light_field, sensitivity, options.keep, options.target_db)
    sizes = residual_stream_sizes(light_field, options.rays)
    _print_table(sensitivity, kept)
    _print_stream_sizes(sizes)
    if options.out is not None and kept is not None:
        layers = body_layers(light_field.network)
        save_mix(options.out, {n: "fp32" if n in kept.layers else "int8" for n in layers})
        print(f"{options.out}: {len(kept.layers)} of {len(layers)} layers in fp32")
    if options.json:
        write_json(options.json, _report(sensitivity, kept, sizes))
    return 0


def _report(
    sensitivity: Sensitivity, kept: Kept | None, sizes: list[StreamSize]
) -> dict[str, object]:
    return {
        "precision": sensitivity.precision,
        "rays": sensitivity.n_rays,
        "psnr_db_vs_fp32": sensitivity.all_db,
        "layers": [asdict(layer) for layer in sensitivity.layers],
        "worst_first": sensitivity.worst_first(),
        "residual_stream": [asdict(size) for size in sizes],
        "kept": None
        if kept is None
        else {"layers": list(kept.layers), "psnr_db_vs_fp32": kept.psnr_db},
    }


def _print_stream_sizes(sizes: list[StreamSize]) -> None:
    """Some blocks, evenly spread, and always the last; all of them are in the JSON report."""
    step = -(-len(sizes) // _SHOWN)
    shown = sorted({*range(0, len(sizes), step), len(sizes) - 1})
    print(
        f"{'residual after':<18}{'RMS':>9}{'x head':>9}{'max':>11}{'x head':>9}{'ray median':>12}"
    )
    for size in (sizes[i] for i in shown):
        rms, largest = (
            "-" if ratio is None else f"{ratio:.2f}"
            for ratio in (size.rms_ratio_to_head, size.max_abs_ratio_to_head)
        )
        print(
            f"{size.after:<18}{size.rms:>9.3g}{rms:>9}{size.max_abs:>11.4g}{largest:>9}"
            f"{size.ray_max_abs_median:>12.3g}"
        )


def _print_table(sensitivity: Sensitivity, kept: Kept | None) -> None:
    """The costliest layers; all of them are in the JSON report."""
    by_name = {layer.name: layer for layer in sensitivity.layers}
    print(
        f"{'layer':<18}{'SQNR dB':>9}{'accumulated':>13}{'alone in 8 bits':>17}"
        f"{'alone in fp32':>15}"
    )
    for name in sensitivity.worst_first()[:_SHOWN]:
        layer = by_name[name]
        print(
            f"{name:<18}{layer.sqnr_db:>9.1f}{layer.accumulated_sqnr_db:>13.1f}"
            f"{layer.only_db:>17.1f}{layer.kept_db:>15.2f}"
        )
    print(
        f"{sensitivity.precision}, {sensitivity.n_rays} rays: all {len(by_name)} layers in eight "
        f"bits, {sensitivity.all_db:.2f} dB to fp32"
    )
    if kept is not None:
        print(f"{len(kept.layers)} costliest layers in fp32: {kept.psnr_db:.2f} dB to fp32")
