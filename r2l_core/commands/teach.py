"""`teach`: learn a radiance field, a teacher, from photographs."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from r2l_core.commands.photographs import open_photographs, photographs_options
from r2l_core.commands.shared import Subparsers, require_native_name
from r2l_core.commands.training import state_file, state_option, train, training_options
from r2l_core.files import write_json

if TYPE_CHECKING:
    from r2l_core.training.radiance.trainer import TeachTrainer
    from r2l_core.training.runs import TellDone

DEFAULT_MINUTES = 30.0


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    teach = commands.add_parser(
        "teach",
        help="learn a radiance field from photographs",
        description="Learns where things are and what colour they have, on a grid that gets finer. "
        "The bar says how close it comes to views that are held out. The result is a teacher: "
        "`render` shows it, `distill --teacher` makes a light field of it.",
        examples=[
            ("Half an hour", "--dataset lego/ --half-res --out teacher.safetensors"),
            (
                "Go on to an hour in all",
                "--dataset lego/ --half-res --out teacher.safetensors --minutes 60 --resume",
            ),
        ],
    )
    photographs_options(teach)
    training_options(teach, "T.safetensors", "the teacher", DEFAULT_MINUTES, f"{DEFAULT_MINUTES:g}")
    state_option(teach)
    teach.set_defaults(command=_teach)


def _teach(options: argparse.Namespace) -> int:
    # Imported here: training needs modules that rendering does not.
    from r2l_core.checkpoints.radiance import save_radiance
    from r2l_core.training.radiance.fitting import taught

    require_native_name(options.out)
    state = state_file(options, "teach")
    trainer = train(partial(new_teach_trainer, options, state, options.minutes), options, state)
    if trainer is None:
        return 130
    teacher = taught(trainer, options.out.stem)
    save_radiance(teacher, options.out)
    quality = trainer.held_out_psnr_db
    said = "" if quality is None else f", {quality:.2f} dB on held-out views"
    print(f"{options.out}: {teacher.short_name}{said}")
    if options.json:
        write_json(options.json, dict(teacher.provenance))
    return 0


def new_teach_trainer(
    options: argparse.Namespace, state: Path, minutes: float, tell: TellDone
) -> TeachTrainer:
    """A trainer for --dataset, --half-res and --device. Raises R2LError."""
    from r2l_core.training.arithmetic import training_arithmetic
    from r2l_core.training.radiance.config import TeachConfig
    from r2l_core.training.radiance.trainer import TeachTrainer
    from r2l_core.training.steps import training_device

    device = training_device(options.device)
    place = "cpu" if device is None else device.torch_device
    training, held_out = open_photographs(options.dataset, options.half_res, tell)
    config, arithmetic = TeachConfig(minutes=minutes), training_arithmetic(place)
    return TeachTrainer(training, held_out, config, state, place, tell, arithmetic)
