"""`render`: one picture of a light field."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from r2l_core.checkpoints.opening import load_checkpoint
from r2l_core.commands.arguments import (
    finite_float,
    image_path,
    positive_float,
    precision,
    size,
    vector,
)
from r2l_core.commands.shared import (
    Subparsers,
    engine_options,
    json_option,
    light_field_options,
    print_notes,
)
from r2l_core.engines.backends import devices
from r2l_core.engines.base import Engine, Shaded
from r2l_core.engines.building import build_engine
from r2l_core.engines.teacher_engines import TeacherEngine, TeacherFile, teacher_engine
from r2l_core.errors import EngineUnavailable, R2LError
from r2l_core.files import save_image, write_json
from r2l_core.geometry.camera import Camera, load_pose
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import require_in_reach
from r2l_core.geometry.scene import SceneSpec, load_scene
from r2l_core.model.light_field import LightField
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision, RayMode


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    render = commands.add_parser(
        "render",
        help="one picture of a light field",
        description="Renders every pixel of one view and writes it as PNG (8 bits, sRGB) or as "
        "NumPy array (float32, height x width x 3, before any rounding). The camera stands on a "
        "sphere around the scene, or where a pose says.",
        examples=[
            (
                "The demo from the front and above",
                "--checkpoint demo --azimuth 30 --elevation 25 --radius 4 --size 400 --out x.png",
            ),
            (
                "A released R2L file with its published scene, in bfloat16",
                "--checkpoint lego.tar --scene blender:lego --pose pose.json --size 800 "
                "--precision bf16 --out lego.npy",
            ),
        ],
    )
    light_field_options(render)
    engine_options(render)
    render.add_argument(
        "--azimuth",
        type=finite_float,
        metavar="DEG",
        help="degrees counter-clockwise about +Z, from +X",
    )
    render.add_argument(
        "--elevation", type=finite_float, metavar="DEG", help="degrees above the horizon"
    )
    render.add_argument(
        "--radius", type=positive_float, metavar="R", help="distance from the pivot, scene units"
    )
    render.add_argument(
        "--pivot", type=vector, metavar="X,Y,Z", help="what the camera looks at (the scene centre)"
    )
    render.add_argument(
        "--pose", type=Path, metavar="POSE.json", help="4x4 camera-to-world matrix instead"
    )
    render.add_argument(
        "--size", type=size, required=True, metavar="N|WxH", help="pixels across and down"
    )
    render.add_argument(
        "--focal", type=positive_float, metavar="PX", help="focal length in pixels (the scene's)"
    )
    render.add_argument(
        "--precision", type=precision, default=Precision.FP32, metavar="P", help="(%(default)s)"
    )
    render.add_argument(
        "--out", type=image_path, required=True, metavar="x.png|x.npy", help="the picture"
    )
    json_option(render)
    render.set_defaults(command=_render)


def _render(options: argparse.Namespace) -> int:
    scene = None if options.scene is None else load_scene(options.scene)
    opened = load_checkpoint(options.checkpoint, scene, dict(options.assume))
    print_notes(opened.notes)
    camera = _camera(options, opened.scene)
    require_in_reach(camera, opened.scene)
    if isinstance(opened, LightField):
        ray_mode: RayMode = opened.ray_mode(options.rays)
        engine: Engine = build_engine(opened, options.precision, options.engine, options.device)
        colors = render_image(NetworkSource(engine, opened.scene, ray_mode), camera)
    else:
        ray_mode = "plain"
        engine = _teacher_engine(opened, options)
        with tqdm(total=camera.width_px * camera.height_px, unit="ray", file=sys.stderr) as bar:
            source = NetworkSource(_Watched(engine, bar.update), opened.scene)
            colors = render_image(source, camera)
    assert colors is not None  # nothing cancels it
    save_image(options.out, colors.numpy())
    info = engine.info
    print(f"{options.out}: {info.precision}, {info.arithmetic}, {info.kernel}, {info.device}")
    if options.json:
        write_json(
            options.json,
            {
                "size": [camera.width_px, camera.height_px],
                "focal_px": camera.focal_px,
                "T_world_camera": camera.T_world_camera.tolist(),
                "rays": ray_mode,
                "engine": asdict(info),
            },
        )
    return 0


def _teacher_engine(teacher: TeacherFile, options: argparse.Namespace) -> TeacherEngine:
    for flag, value, possible in (
        ("--precision", options.precision, (Precision.FP32,)),
        ("--engine", options.engine, ("auto",)),
        ("--rays", options.rays, ("auto", "plain")),
    ):
        if value not in possible:
            raise EngineUnavailable(
                f"{flag} {value} does not go with {teacher.name}",
                "it is a teacher, which runs in fp32, on its own engine and on plain rays",
                f"Leave {flag} out.",
            )
    return teacher_engine(teacher, devices(options.device)[0])


class _Watched:
    """An engine that says how many rays of each tile are done."""

    def __init__(self, engine: Engine, done: Callable[[int], object]) -> None:
        self._engine = engine
        self._done = done
        self.info = engine.info
        self.tile_rays = engine.tile_rays
        self.small_tiles = engine.small_tiles
        self.any_rays = engine.any_rays
        self.quiet_torch = engine.quiet_torch

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        shaded = self._engine.shade(origins, directions)
        self._done(len(origins))
        return shaded


def _camera(options: argparse.Namespace, scene: SceneSpec) -> Camera:
    width_px, height_px = options.size
    focal_px = options.focal or scene.focal_px(width_px)
    orbit = (options.azimuth, options.elevation, options.radius)
    if options.pose is not None:
        if any(value is not None for value in (*orbit, options.pivot)):
            raise R2LError(
                "--pose cannot be combined with --azimuth, --elevation, --radius or --pivot",
                "a pose already says where the camera is",
                "Give one or the other.",
            )
        return Camera(load_pose(options.pose), width_px, height_px, focal_px)
    if any(value is None for value in orbit):
        raise R2LError(
            "The camera is not complete",
            "--azimuth, --elevation and --radius are needed together",
            "Give all three, or --pose POSE.json.",
        )
    pivot = options.pivot or scene.center
    return Orbit(*orbit, pivot).camera(width_px, height_px, focal_px)
