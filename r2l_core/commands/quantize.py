"""`quantize`: save a light field in eight or sixteen bits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.commands.arguments import positive_int, share
from r2l_core.commands.shared import (
    Subparsers,
    json_option,
    light_field_options,
    open_light_field,
    require_native_name,
)
from r2l_core.errors import QuantizationError
from r2l_core.files import write_json
from r2l_core.model.quantized import Recipe
from r2l_core.quantization.calibration import (
    CALIBRATION_RAYS,
    CALIBRATORS,
    CalibrationConfig,
)
from r2l_core.quantization.recipes import load_mix, load_ranges, quantized


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    quantize = commands.add_parser(
        "quantize",
        help="save a light field in eight or sixteen bits",
        description="Applies a recipe to the weights and writes a native file that the viewer "
        "and every command open. int8-static also measures the range of each layer on rays.",
        examples=[
            ("Integer int8", "--checkpoint demo --recipe int8 --out demo-int8.safetensors"),
            (
                "One calibrated scale per layer, by the 99.99th percentile",
                "--checkpoint demo --recipe int8-static --calibrator percentile "
                "--out demo-static.safetensors",
            ),
        ],
    )
    light_field_options(quantize)
    quantize.add_argument(
        "--recipe", choices=get_args(Recipe), required=True, help="how weights are stored"
    )
    quantize.add_argument(
        "--calibrator", choices=CALIBRATORS, help="how int8-static finds its ranges (max)"
    )
    quantize.add_argument(
        "--smooth-alpha", type=share, metavar="A", help="SmoothQuant exponent for int8-static"
    )
    quantize.add_argument(
        "--calibration-rays",
        type=positive_int,
        metavar="N",
        help=f"rays for that ({CALIBRATION_RAYS})",
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
    quantize.add_argument(
        "--out", type=Path, required=True, metavar="Q.safetensors", help="the file"
    )
    json_option(quantize)
    quantize.set_defaults(command=_quantize)


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
    require_native_name(options.out)
    light_field = open_light_field(options)
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
