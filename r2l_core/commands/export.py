"""`export`: a light field as an ONNX file for other runtimes, run once to see that it agrees."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import torch

from r2l_core.checkpoint import LightField
from r2l_core.commands.shared import (
    Subparsers,
    json_option,
    light_field_options,
    open_light_field,
)
from r2l_core.commands.values import precision
from r2l_core.engines import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.errors import ExportError
from r2l_core.output import write_json
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.types import Precision

_VERIFIED_RAYS = 1021
_SEED = 1
"""Other rays than those of the calibration."""


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    export = commands.add_parser("export", help="save a light field as ONNX for other runtimes")
    light_field_options(export)
    export.add_argument(
        "--precision", type=precision, required=True, metavar="P", help="fp32 or int8-static-sim"
    )
    export.add_argument("--out", type=Path, required=True, metavar="X.onnx")
    json_option(export)
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    # Imported here, because no other command needs it.
    from r2l_core.onnx_export import OPSET, onnx_model, save_model

    if options.out.suffix != ".onnx":
        raise ExportError(
            f"The ONNX file {options.out} cannot be written",
            "its name does not end in .onnx",
            "Correct --out.",
        )
    light_field = open_light_field(options)
    model = onnx_model(light_field, options.precision)
    save_model(model, options.out)
    size_mb = options.out.stat().st_size / 1e6
    layers_int8 = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    rays = light_field.ray_mode()
    print(
        f"{options.out}: {light_field.network.short_name} in {options.precision}, ONNX opset "
        f"{OPSET}, {layers_int8} layers in eight bits, takes {rays} rays, {size_mb:.1f} MB"
    )
    runtime, difference = None, None
    if importlib.util.find_spec("onnxruntime") is None:
        print("not verified: ONNX Runtime is not installed (pip install onnxruntime)")
    else:
        runtime, difference = _difference(options.out, light_field, options.precision)
        print(
            f"verified in {runtime} on {_VERIFIED_RAYS} rays of the scene: colours differ from "
            f"ours by up to {difference:.2g} of full scale"
        )
    if options.json:
        write_json(
            options.json,
            {
                "metadata": {entry.key: entry.value for entry in model.metadata_props},
                "opset": OPSET,
                "layers_int8": layers_int8,
                "size_mb": size_mb,
                "verified_in": runtime,
                "verified_rays": None if runtime is None else _VERIFIED_RAYS,
                "color_difference_max": difference,
            },
        )
    return 0


def _difference(path: Path, light_field: LightField, in_precision: Precision) -> tuple[str, float]:
    """The runtime that ran the file, and the largest difference of a colour to our engine's."""
    import onnxruntime

    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, quiet, providers=["CPUExecutionProvider"])
        origins, directions = calibration_rays(
            light_field.scene, _VERIFIED_RAYS, _SEED, light_field.ray_mode()
        )
        inputs = {"origins": origins.numpy(), "directions": directions.numpy()}
        colors = torch.from_numpy(session.run(["colors"], inputs)[0])
    except Exception as error:
        # ONNX Runtime has an exception class of its own for every status, without a common one.
        raise ExportError(
            f"{path} was written, but ONNX Runtime cannot run it",
            str(error).splitlines()[0].rstrip("."),
            "Report it, with the light field.",
        ) from error
    name = "reference" if in_precision is Precision.FP32 else "simulated"
    ours = shade_all(build_engine(light_field, in_precision, name, "cpu"), origins, directions)
    return f"ONNX Runtime {onnxruntime.__version__}", float((colors - ours).abs().max())
