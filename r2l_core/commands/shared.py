"""Options that several commands have, and what they open."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from r2l_core.checkpoint import LightField, load_light_field
from r2l_core.engines import ENGINES
from r2l_core.errors import CheckpointError
from r2l_core.scene import load_scene
from r2l_core.types import RayMode

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subparsers = object


def light_field_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", required=True, metavar="C", help="a file, or demo")
    parser.add_argument("--scene", metavar="S", help="a preset or scene JSON instead of the file's")


def engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=["auto", *ENGINES], default="auto")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rays", choices=["auto", "plain", "canonical"], default="auto")


def json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a report as JSON")


def open_light_field(options: argparse.Namespace) -> LightField:
    scene = None if options.scene is None else load_scene(options.scene)
    return load_light_field(options.checkpoint, scene)


def open_to_render(options: argparse.Namespace) -> tuple[LightField, RayMode]:
    light_field = open_light_field(options)
    return light_field, light_field.scene.ray_mode(options.rays)


def require_native_name(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise CheckpointError(
            f"The light field {path} cannot be written",
            "its name does not end in .safetensors",
            "Correct --out.",
        )


def require_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"The light field {path} cannot be written",
            (error.strerror or str(error)).lower(),
            "Choose a folder you can write to.",
        ) from error
