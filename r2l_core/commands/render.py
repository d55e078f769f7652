"""`render`: one picture of a light field."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from r2l_core.camera import Camera, Orbit, load_pose
from r2l_core.checkpoint import LightField
from r2l_core.commands.shared import (
    Subparsers,
    engine_options,
    json_option,
    light_field_options,
    open_to_render,
)
from r2l_core.commands.values import (
    finite_float,
    image_path,
    positive_float,
    precision,
    size,
    vector,
)
from r2l_core.engines import build_engine
from r2l_core.errors import R2LError
from r2l_core.output import save_image, write_json
from r2l_core.renderer import Renderer
from r2l_core.types import Precision


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    render = commands.add_parser("render", help="one picture of a light field")
    light_field_options(render)
    engine_options(render)
    render.add_argument("--azimuth", type=finite_float, metavar="DEG")
    render.add_argument("--elevation", type=finite_float, metavar="DEG")
    render.add_argument("--radius", type=positive_float, metavar="R")
    render.add_argument("--pivot", type=vector, metavar="X,Y,Z")
    render.add_argument(
        "--pose", type=Path, metavar="POSE.json", help="4x4 camera-to-world matrix instead"
    )
    render.add_argument("--size", type=size, required=True, metavar="N|WxH")
    render.add_argument(
        "--focal", type=positive_float, metavar="PX", help="default: the scene's field of view"
    )
    render.add_argument("--precision", type=precision, default=Precision.FP32, metavar="P")
    render.add_argument("--out", type=image_path, required=True, metavar="x.png|x.npy")
    json_option(render)
    render.set_defaults(command=_render)


def _render(options: argparse.Namespace) -> int:
    light_field, ray_mode = open_to_render(options)
    camera = _camera(options, light_field)
    engine = build_engine(light_field, options.precision, options.engine, options.device)
    renderer = Renderer(engine, light_field.scene, ray_mode)
    colors = renderer.render(camera)
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


def _camera(options: argparse.Namespace, light_field: LightField) -> Camera:
    width_px, height_px = options.size
    focal_px = options.focal or light_field.scene.focal_px(width_px)
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
    pivot = options.pivot or light_field.scene.center
    return Orbit(*orbit, pivot).camera(width_px, height_px, focal_px)
