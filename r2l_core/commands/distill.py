"""`distill`: train a light field from a teacher."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.commands.photographs import half_res_option, open_photographs
from r2l_core.commands.shared import Subparsers, open_teacher, require_native_name
from r2l_core.commands.training import state_file, state_option, train, training_options
from r2l_core.engines.teacher_engines import teacher_engine
from r2l_core.errors import R2LError
from r2l_core.files import write_json
from r2l_core.geometry.scene import load_scene

if TYPE_CHECKING:
    from r2l_core.model.light_field import LightField
    from r2l_core.model.network import NetworkConfig
    from r2l_core.training.distillation import Trainer, TrainingConfig
    from r2l_core.training.runs import TellDone


_FEWEST_BATCHES = 8
"""In all pixels of the photographs: of few, large batches would only see the same again."""


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    distill = commands.add_parser(
        "distill",
        help="train a light field from a teacher",
        description="Trains a network to answer every ray as the teacher does, with a bar that "
        "says how close it is. The state is kept, so that a run can be stopped and go on.",
        examples=[
            ("Ten minutes of the demo scene", "--minutes 10 --out mine.safetensors"),
            ("Go on for half an hour in all", "--minutes 30 --out mine.safetensors --resume"),
        ],
    )
    distill.add_argument(
        "--scene",
        metavar="S",
        help="a preset or scene JSON (demo, or what the teacher's file says)",
    )
    distill.add_argument(
        "--teacher",
        default="procedural",
        metavar="procedural|NERF.tar|T.safetensors",
        help="the scene's own ray tracer, a NeRF, or what `teach` made",
    )
    distill.add_argument(
        "--finetune",
        type=Path,
        metavar="DIR",
        help="learn from a dataset's training photographs as well, in the last third",
    )
    half_res_option(distill)
    minutes = "45, or as long as the rays of --schedule take"
    training_options(distill, "C.safetensors", "the light field", None, minutes)
    state_option(distill)
    distill.add_argument(
        "--schedule",
        type=Path,
        metavar="FILE.json",
        help="stages of the run; checkpoints/demo-schedule.json made the demo",
    )
    network_options(distill)
    distill.set_defaults(command=_distill)


def network_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the network is to be like."""
    parser.add_argument("--width", type=int, default=256, help="units per layer (256)")
    parser.add_argument("--depth", type=int, default=88, help="layers (88)")
    parser.add_argument("--frequencies", type=int, default=6, help="encoding octaves (6)")


def _config(options: argparse.Namespace) -> TrainingConfig:
    from r2l_core.training.distillation import TrainingConfig
    from r2l_core.training.schedule import FINE_TUNED, load_schedule

    if options.schedule is None:
        config = TrainingConfig(minutes=options.minutes or 45.0)
        return config if options.finetune is None else replace(config, schedule=FINE_TUNED)
    return TrainingConfig(minutes=options.minutes, schedule=load_schedule(options.schedule))


def network_of(options: argparse.Namespace) -> NetworkConfig:
    """What the network is to be like. Raises R2LError."""
    from r2l_core.model.network import NetworkConfig
    from r2l_core.training.distillation import DEFAULT_NETWORK

    try:
        if options.depth < 4:
            raise ValueError(f"depth {options.depth} has no body to train")
        return NetworkConfig(
            depth=options.depth,
            width=options.width,
            n_sample=DEFAULT_NETWORK.n_sample,
            n_frequencies=options.frequencies,
        )
    except ValueError as error:
        raise R2LError(
            "--depth, --width or --frequencies cannot be used", str(error), "Correct it."
        ) from error


def new_distillation(options: argparse.Namespace, state: Path, tell: TellDone) -> Trainer:
    """A trainer for the command's options. Raises R2LError."""
    from r2l_core.training.arithmetic import training_arithmetic
    from r2l_core.training.distillation import Trainer
    from r2l_core.training.photograph_rays import fine_tuning_rays
    from r2l_core.training.runs import views_digest
    from r2l_core.training.steps import training_device
    from r2l_core.training.teachers import teacher_of

    network, config = network_of(options), _config(options)
    device = training_device(options.device)
    photographs = None
    if options.finetune is not None:
        photographs, _ = open_photographs(options.finetune, options.half_res, tell)
    given = None if options.scene is None else load_scene(options.scene)
    if options.teacher == "procedural":
        scene = given or load_scene("demo")
        teacher = teacher_of(scene)
    else:
        opened = open_teacher(options.teacher, given)
        scene = replace(opened.scene, teacher=None)
        teacher = teacher_engine(
            opened, "cpu" if device is None else str(device.torch_device)
        ).colors
    place = "cpu" if device is None else device.torch_device
    new_rays, digest = None, ""
    if photographs is not None:
        digest = views_digest(photographs)
        new_rays = fine_tuning_rays(photographs, scene, teacher, place, tell)
        pixels = sum(camera.width_px * camera.height_px for camera in photographs.cameras)
        schedule = config.schedule.within(max(1, pixels // _FEWEST_BATCHES))
        config = replace(config, schedule=schedule)
    arithmetic = training_arithmetic(place)
    return Trainer(scene, teacher, network, config, state, device, new_rays, digest, arithmetic)


def distilled(trainer: Trainer, options: argparse.Namespace) -> LightField:
    """The light field as it is now, and where it came from.

    One of photographs is kept in sixteen bits, which hold what training in bfloat16 finds out.
    """
    light_field = trainer.light_field(options.out.stem)
    if options.teacher == "procedural":
        return light_field
    teacher = Path(options.teacher).name
    if options.finetune is None:
        more = {"method": "distilled from a teacher, pixel-footprint targets", "teacher": teacher}
        return replace(light_field, provenance={**light_field.provenance, **more})
    more = {
        "method": "distilled from a teacher; fine-tuned on photographs",
        "teacher": teacher,
        "photographs": Path(options.finetune).resolve().name,
    }
    return replace(
        light_field,
        tensors={name: tensor.half() for name, tensor in light_field.tensors.items()},
        provenance={**light_field.provenance, **more},
    )


def _distill(options: argparse.Namespace) -> int:
    require_native_name(options.out)
    state = state_file(options, "distill")
    trainer = train(partial(new_distillation, options, state), options, state)
    if trainer is None:
        return 130
    light_field = distilled(trainer, options)
    save_light_field(light_field, options.out)
    print(f"{options.out}: {light_field.network.short_name}, {trainer.rays / 1e6:.1f} million rays")
    if options.json:
        write_json(options.json, dict(light_field.provenance))
    return 0
