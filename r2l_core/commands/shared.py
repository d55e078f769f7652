"""Options that several commands have, and what they open."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from r2l_core.checkpoints.opening import load_checkpoint, load_light_field
from r2l_core.commands.arguments import assumption
from r2l_core.engines.backends import ENGINES
from r2l_core.engines.teacher_engines import TeacherFile
from r2l_core.errors import CheckpointError, system_reason
from r2l_core.geometry.scene import SceneSpec, load_scene
from r2l_core.model.light_field import LightField
from r2l_core.types import RayMode

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subparsers = object


def light_field_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument(
        "--checkpoint",
        required=required,
        metavar="C",
        help="a file, or the name of one that comes along, such as demo",
    )
    parser.add_argument("--scene", metavar="S", help="a preset or scene JSON instead of the file's")
    assume_option(parser)


def assume_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--assume",
        type=assumption,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what a released file does not say about its network, such as n_frequencies=10",
    )


def engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=["auto", *ENGINES],
        default="auto",
        help="what computes the network; auto is the fastest that can, reference the slow and "
        "readable one (auto)",
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="where it runs (auto)"
    )
    parser.add_argument(
        "--rays",
        choices=["auto", "plain", "canonical"],
        default="auto",
        help="as the camera makes them, or re-based on the sphere the light field was trained on "
        "(auto: re-based where the file names that sphere)",
    )


def device_option(parser: argparse.ArgumentParser) -> None:
    """Where a command trains."""
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where it trains; auto takes a GPU if there is one (auto)",
    )


def json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a report as JSON")


def open_light_field(options: argparse.Namespace, scene: SceneSpec | None = None) -> LightField:
    """`scene`: instead of the file's, where --scene names none."""
    if options.scene is not None:
        scene = load_scene(options.scene)
    light_field = load_light_field(options.checkpoint, scene, dict(options.assume))
    print_notes(light_field.notes)
    return light_field


def print_notes(notes: Iterable[str]) -> None:
    """Say what was assumed, where it does not mix with results."""
    for note in notes:
        # Not into the line of a bar.
        tqdm.write(f"note: {note}", file=sys.stderr)


def open_to_render(
    options: argparse.Namespace, scene: SceneSpec | None = None
) -> tuple[LightField, RayMode]:
    """`scene`: see `open_light_field`."""
    light_field = open_light_field(options, scene)
    return light_field, light_field.ray_mode(options.rays)


def open_teacher(name_or_path: str, scene: SceneSpec | None) -> TeacherFile:
    """`scene`: instead of the file's own, or what a NeRF, which has none, is taken for."""
    what = f"--teacher {name_or_path} cannot be used"
    try:
        teacher = load_checkpoint(name_or_path, scene)
    except CheckpointError as error:
        raise CheckpointError(what, error.why, error.remedy) from error
    if isinstance(teacher, LightField):
        raise CheckpointError(
            what,
            "it is a light field and no NeRF or radiance grid",
            "Give a NeRF or radiance grid.",
        )
    print_notes(teacher.notes)
    return teacher


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
            system_reason(error),
            "Choose a folder you can write to.",
        ) from error
