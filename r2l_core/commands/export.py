"""`export`: a light field as an ONNX file for other runtimes, run once to see that it agrees."""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from r2l_core.commands.arguments import precision
from r2l_core.commands.shared import (
    Subparsers,
    json_option,
    light_field_options,
    open_light_field,
)
from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.errors import ExportError, first_line
from r2l_core.files import write_json
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.mix import quantized_layers
from r2l_core.types import Precision

_VERIFIED_RAYS = 1021
_SEED = 1
"""Other rays than those of the calibration."""

_STATIC = Precision.INT8_STATIC_SIM


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    export = commands.add_parser(
        "export",
        help="save a light field as ONNX for other runtimes",
        description="Writes the whole way from rays to colours as one ONNX graph, so that any "
        "runtime can render: origins and directions of rays in, colours in [0, 1] out.",
        examples=[
            ("In fp32", "--checkpoint demo --precision fp32 --out demo.onnx"),
            (
                "With QuantizeLinear and DequantizeLinear around every layer",
                "--checkpoint demo --precision int8-static-sim --out demo-int8.onnx",
            ),
        ],
    )
    light_field_options(export)
    export.add_argument(
        "--precision", type=precision, required=True, metavar="P", help="fp32 or int8-static-sim"
    )
    export.add_argument("--out", type=Path, required=True, metavar="X.onnx", help="the file")
    json_option(export)
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    # Imported here, because no other command needs it.
    from r2l_core.export.onnx import OPSET, onnx_model, save_model
    from r2l_core.export.saturation import without_saturation

    if options.out.suffix != ".onnx":
        raise ExportError(
            f"The ONNX file {options.out} cannot be written",
            "its name does not end in .onnx",
            "Correct --out.",
        )
    light_field = original = open_light_field(options)
    if options.precision is _STATIC:
        light_field = without_saturation(original)
    model = onnx_model(light_field, options.precision)
    save_model(model, options.out)
    size_mb = options.out.stat().st_size / 1e6
    layers_int8 = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    rays = light_field.ray_mode()
    print(
        f"{options.out}: {light_field.network.short_name} in {options.precision}, ONNX opset "
        f"{OPSET}, {layers_int8} layers in eight bits, takes {rays} rays, {size_mb:.1f} MB"
    )
    saturation = None
    if options.precision is _STATIC:
        saturation = _saturation(options.out, original, light_field)
        print(saturation.sentence())
    agreement = None
    if importlib.util.find_spec("onnxruntime") is None:
        print("not verified: ONNX Runtime is not installed (pip install onnxruntime)")
    else:
        agreement = _agreement(options.out, light_field, options.precision)
        print(
            f"verified in {agreement.runtime} on {_VERIFIED_RAYS} rays of the scene: colours "
            f"differ from ours by up to {agreement.difference_max:.2g} of full scale, "
            f"{agreement.agreement_db:.1f} dB"
        )
    if options.json:
        write_json(
            options.json,
            {
                "precision": options.precision,
                "network": light_field.network.to_dict(),
                "scene": asdict(light_field.scene),
                "rays": rays,
                "checkpoint_sha256": light_field.sha256,
                "opset": OPSET,
                "layers_int8": layers_int8,
                "size_mb": size_mb,
                "saturation": None if saturation is None else asdict(saturation),
                "verified": None
                if agreement is None
                else {
                    "runtime": agreement.runtime,
                    "rays": _VERIFIED_RAYS,
                    "color_difference_max": agreement.difference_max,
                    "psnr_db_vs_ours": agreement.agreement_db,
                },
            },
        )
    return 0


@dataclass(frozen=True)
class _Agreement:
    """Of a runtime's colours with our engine's: the largest difference in any, of full scale, and
    the PSNR of all."""

    runtime: str
    difference_max: float
    agreement_db: float


@dataclass(frozen=True)
class _Saturation:
    """pair_sum_max: of the magnitudes of neighbouring weights in the file. rows_reduced: of all
    `rows`, those with a coarser step than in the light field. psnr_db_vs_8_bits: what that changes
    in our engine's colours."""

    pair_sum_max: int
    pair_sum_limit: int
    rows: int
    rows_reduced: int
    psnr_db_vs_8_bits: float

    def sentence(self) -> str:
        """For people."""
        proof = (
            "right on processors without 8-bit dot products (VNNI) too: neighbouring weights add "
            f"up to {self.pair_sum_max}, and {self.pair_sum_limit} fit in their 16-bit sums"
        )
        if not self.rows_reduced:
            return proof
        return (
            f"{proof}; for that, {self.rows_reduced:,} of {self.rows:,} rows of weights have a "
            f"coarser step (7 bits at worst), which is {self.psnr_db_vs_8_bits:.1f} dB from all 8"
        )


def _saturation(path: Path, original: LightField, exported: LightField) -> _Saturation:
    """Read the file back, and prove from its weights that no sum of products can saturate.

    Raises ExportError where one can.
    """
    import onnx

    from r2l_core.export.saturation import PAIR_LIMIT, largest_pair_sum

    pair_sum_max = largest_pair_sum(onnx.load(path))
    if pair_sum_max > PAIR_LIMIT:
        raise ExportError(
            f"{path} was written, but it is wrong on processors without 8-bit dot products",
            f"neighbouring weights add up to {pair_sum_max}, and {PAIR_LIMIT} fit in 16-bit sums",
            "Report this as a fault of the export.",
        )
    before, after = (
        [layer.weight.scale for layer in quantized_layers(field, _STATIC).values()]
        for field in (original, exported)
    )
    rays = _verified_rays(exported)
    all_8_bits, reduced = (
        shade_all(build_engine(field, _STATIC, "simulated", "cpu"), *rays)
        for field in (original, exported)
    )
    return _Saturation(
        pair_sum_max,
        PAIR_LIMIT,
        sum(map(len, before)),
        sum(int((a != b).sum()) for a, b in zip(before, after, strict=True)),
        psnr_db(float((all_8_bits - reduced).square().mean())),
    )


def _verified_rays(light_field: LightField) -> tuple[Tensor, Tensor]:
    return calibration_rays(light_field.scene, _VERIFIED_RAYS, _SEED, light_field.ray_mode())


def _agreement(path: Path, light_field: LightField, in_precision: Precision) -> _Agreement:
    """Run the file on rays of the scene. Raises ExportError where the runtime cannot."""
    import onnxruntime

    origins, directions = _verified_rays(light_field)
    name = "reference" if in_precision is Precision.FP32 else "simulated"
    ours = shade_all(build_engine(light_field, in_precision, name, "cpu"), origins, directions)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, quiet, providers=["CPUExecutionProvider"])
        inputs = {"origins": origins.numpy(), "directions": directions.numpy()}
        colors = torch.from_numpy(session.run(["colors"], inputs)[0])
    except Exception as error:
        # ONNX Runtime has an exception class for every status, and no common one.
        raise ExportError(
            f"{path} was written, but ONNX Runtime cannot run it",
            first_line(error).rstrip("."),
            "Try another version of onnxruntime.",
        ) from error
    return _Agreement(
        f"ONNX Runtime {onnxruntime.__version__}",
        float((colors - ours).abs().max()),
        psnr_db(float((colors - ours).square().mean())),
    )
