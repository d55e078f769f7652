"""`distill`: train a light field from a teacher."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.commands.shared import (
    Subparsers,
    json_option,
    open_teacher,
    require_native_name,
    require_writable,
)
from r2l_core.commands.values import positive_float
from r2l_core.errors import R2LError
from r2l_core.files import write_json
from r2l_core.geometry.scene import load_scene

if TYPE_CHECKING:
    from r2l_core.training.distillation import TrainingConfig

_BAR = "{percentage:3.1f}%|{bar}| {elapsed}<{remaining}{postfix}"


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
        "--scene", default="demo", metavar="S", help="a preset or scene JSON (demo)"
    )
    distill.add_argument(
        "--teacher",
        default="procedural",
        metavar="procedural|NERF.tar",
        help="the scene's own ray tracer, or a NeRF",
    )
    distill.add_argument(
        "--out", type=Path, required=True, metavar="C.safetensors", help="the light field"
    )
    distill.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    distill.add_argument(
        "--minutes",
        type=positive_float,
        metavar="M",
        help="training time in all (45, or as long as the rays of --schedule take)",
    )
    distill.add_argument(
        "--schedule",
        type=Path,
        metavar="FILE.json",
        help="stages of the run; checkpoints/demo-schedule.json made the demo",
    )
    distill.add_argument("--width", type=int, default=256, help="units per layer (256)")
    distill.add_argument("--depth", type=int, default=88, help="layers (88)")
    distill.add_argument("--frequencies", type=int, default=6, help="encoding octaves (6)")
    distill.add_argument(
        "--state", type=Path, metavar="FILE", help="where to keep the training state"
    )
    distill.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where it trains; auto takes a GPU if there is one (auto)",
    )
    json_option(distill)
    distill.set_defaults(command=_distill)


def _config(options: argparse.Namespace) -> TrainingConfig:
    from r2l_core.training.distillation import TrainingConfig
    from r2l_core.training.schedule import load_schedule

    if options.schedule is None:
        return TrainingConfig(minutes=options.minutes or 45.0)
    return TrainingConfig(minutes=options.minutes, schedule=load_schedule(options.schedule))


def _distill(options: argparse.Namespace) -> int:
    # Imported here: training needs modules that rendering does not.
    import platformdirs

    from r2l_core.engines.nerf_engine import NerfEngine
    from r2l_core.model.network import NetworkConfig
    from r2l_core.training.distillation import DEFAULT_NETWORK, Trainer
    from r2l_core.training.steps import training_device
    from r2l_core.training.teachers import teacher_of

    device = training_device(options.device)
    scene = load_scene(options.scene)
    try:
        if options.depth < 4:
            raise ValueError(f"depth {options.depth} has no body to train")
        network = NetworkConfig(
            depth=options.depth,
            width=options.width,
            n_sample=DEFAULT_NETWORK.n_sample,
            n_frequencies=options.frequencies,
        )
    except ValueError as error:
        raise R2LError(
            "--depth, --width or --frequencies cannot be used", str(error), "Correct it."
        ) from error
    require_native_name(options.out)
    cache = platformdirs.user_cache_path("r2l-viewer") / "distill"
    state = options.state or cache / f"{options.out.stem}.pt"
    if options.teacher == "procedural":
        teacher = teacher_of(scene)
    else:
        teacher = NerfEngine(
            open_teacher(options.teacher, scene),
            "cpu" if device is None else str(device.torch_device),
        ).colors
        scene = replace(scene, teacher=None)
    config = _config(options)
    trainer = Trainer(scene, teacher, network, config, state, device)
    if options.resume:
        trainer.resume()
    else:
        if state.exists():  # hours of work, perhaps
            state.replace(state.with_suffix(".previous.pt"))
        trainer.save()  # a place that cannot be written is better found now than in an hour
    require_writable(options.out)
    stopped = False
    with tqdm(total=100.0, initial=100 * trainer.progress, bar_format=_BAR) as bar:
        try:
            for progress in trainer.run():
                bar.set_postfix_str(
                    f"D{progress.depth} {progress.train_psnr_db:.2f} dB "
                    f"{progress.krays_per_s:.1f} kray/s {progress.rays / 1e6:.1f} Mray",
                    refresh=False,
                )
                bar.update(100 * progress.share - bar.n)
        except KeyboardInterrupt:
            trainer.save()
            stopped = True
    if stopped:
        print(f"Stopped; the state is in {state}. Go on with --resume.")
        return 130
    light_field = trainer.light_field(options.out.stem)
    if options.teacher != "procedural":
        light_field = replace(
            light_field,
            provenance={
                **light_field.provenance,
                "method": "distilled from a NeRF, pixel-footprint targets",
                "teacher": Path(options.teacher).name,
            },
        )
    save_light_field(light_field, options.out)
    print(f"{options.out}: {light_field.network.short_name}, {trainer.rays / 1e6:.1f} million rays")
    if options.json:
        write_json(options.json, dict(light_field.provenance))
    return 0
