"""`convert`: a released checkpoint to one native file that opens by itself."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.commands.shared import (
    Subparsers,
    assume_option,
    json_option,
    open_light_field,
    require_native_name,
)
from r2l_core.files import write_json


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    convert = commands.add_parser(
        "convert",
        help="a released checkpoint to a native file",
        description="Reads a file that the public R2L code has written, without running any code "
        "in it, and writes the same network with its scene as .safetensors.",
        examples=[("The published lego", "lego.tar lego.safetensors --scene blender:lego")],
    )
    convert.add_argument("checkpoint", metavar="IN.tar", help="a released file")
    convert.add_argument("out", type=Path, metavar="OUT.safetensors", help="the native file")
    convert.add_argument("--scene", metavar="S", help="a preset such as blender:lego, or a JSON")
    assume_option(convert)
    json_option(convert)
    convert.set_defaults(command=_convert)


def _convert(options: argparse.Namespace) -> int:
    require_native_name(options.out)
    light_field = open_light_field(options)
    source = {
        "converted_from": Path(options.checkpoint).name,
        "converted_from_sha256": light_field.sha256,
        "assumed": list(light_field.notes),
    }
    provenance = {**light_field.provenance, **source}
    save_light_field(replace(light_field, provenance=provenance), options.out)
    network, scene = light_field.network, light_field.scene
    size_mb = options.out.stat().st_size / 1e6
    print(
        f"{options.out}: {network.short_name}, {network.n_frequencies} octaves, scene "
        f"{scene.name}, near {scene.near:g}, far {scene.far:g}, {size_mb:.1f} MB"
    )
    if options.json:
        write_json(
            options.json,
            {
                "network": network.to_dict(),
                "scene": asdict(scene),
                "provenance": provenance,
                "size_mb": size_mb,
            },
        )
    return 0
