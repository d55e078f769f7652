"""`learn`: photographs to a light field, all stages."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.checkpoints.radiance import save_radiance
from r2l_core.commands.distill import distilled, network_options, new_distillation
from r2l_core.commands.photographs import photographs_options
from r2l_core.commands.shared import (
    Subparsers,
    device_option,
    json_option,
    require_native_name,
    require_writable,
)
from r2l_core.commands.teach import new_teach_trainer, taught
from r2l_core.commands.training_bar import TrainingBar
from r2l_core.commands.values import positive_float
from r2l_core.errors import CheckpointError

DEFAULT_MINUTES = 120.0
TEACHING_SHARE = 0.3
"""Of the time, for the teacher; the light field gets the rest."""


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    learn = commands.add_parser(
        "learn",
        help="photographs to a light field, all stages",
        description="Learns a teacher from photographs, distils it into a light field that also "
        "learns from the photographs themselves, and compares the result with test pictures that "
        "neither has seen.",
        examples=[
            ("Two hours on a processor", "--dataset lego/ --half-res --out lego.safetensors"),
            (
                "Go on after it was stopped",
                "--dataset lego/ --half-res --out lego.safetensors --resume",
            ),
        ],
    )
    photographs_options(learn)
    learn.add_argument(
        "--out", type=Path, required=True, metavar="C.safetensors", help="the light field"
    )
    learn.add_argument(
        "--minutes",
        type=positive_float,
        default=DEFAULT_MINUTES,
        metavar="M",
        help=f"training time in all ({DEFAULT_MINUTES:g})",
    )
    learn.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    learn.add_argument(
        "--state", type=Path, metavar="DIR", help="where to keep the teacher and training states"
    )
    network_options(learn)
    device_option(learn)
    json_option(learn)
    learn.set_defaults(command=_learn)


def _learn(options: argparse.Namespace) -> int:
    # Imported here: a large library for one path.
    import platformdirs

    require_native_name(options.out)
    cache = platformdirs.user_cache_path("r2l-viewer") / "learn"
    folder = options.state or cache / options.out.stem
    if not options.resume:
        _make_room(folder)
    require_writable(options.out)
    with TrainingBar() as bar:
        finished = _teach(options, folder, bar) and _distill(options, folder, bar)
    if not finished:
        print(f"Stopped; the states are in {folder}. Go on with --resume.")
        return 130
    return _compare(options)


def _make_room(folder: Path) -> None:
    """Put what an earlier run left aside: hours of work, perhaps."""
    names = ("teacher.pt", "teacher.safetensors", "light-field.pt")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder / name for name in names):
            if path.exists():
                path.replace(path.with_stem(f"{path.stem}.previous"))
    except OSError as error:
        raise CheckpointError(
            f"The training states in {folder} could not be written",
            (error.strerror or str(error)).lower(),
            "Name a folder you can write to with --state.",
        ) from error


def _teach(options: argparse.Namespace, folder: Path, bar: TrainingBar) -> bool:
    """Make the teacher, unless it is there; False where Ctrl+C stopped it."""
    teacher, state = folder / "teacher.safetensors", folder / "teacher.pt"
    if teacher.exists():
        return True
    trainer = new_teach_trainer(options, state, TEACHING_SHARE * options.minutes)
    if state.exists():
        trainer.resume()
    else:
        trainer.save()  # a place that cannot be written is better found now than in an hour
    if not bar.follow(trainer, "teacher ", 0.0, TEACHING_SHARE):
        return False
    save_radiance(taught(trainer, options.out.stem), teacher)
    return True


def _distill(options: argparse.Namespace, folder: Path, bar: TrainingBar) -> bool:
    """Make the light field; False where Ctrl+C stopped it."""
    state = folder / "light-field.pt"
    distill = argparse.Namespace(
        **{
            **vars(options),
            "minutes": (1.0 - TEACHING_SHARE) * options.minutes,
            "teacher": str(folder / "teacher.safetensors"),
            "finetune": options.dataset,
            "scene": None,
            "schedule": None,
        }
    )
    trainer = new_distillation(distill, state)
    if state.exists():
        trainer.resume()
    if not bar.follow(trainer, "light field ", TEACHING_SHARE, 1.0):
        return False
    light_field = distilled(trainer, distill)
    # Sixteen bits hold what training in bfloat16 has found out, in half the size.
    halves = {name: tensor.half() for name, tensor in light_field.tensors.items()}
    save_light_field(replace(light_field, tensors=halves), options.out)
    return True


def _compare(options: argparse.Namespace) -> int:
    """The table of `eval`, on views that no stage has learned from."""
    # Imported here: that module imports this one.
    from r2l_core.commands.cli import parser
    from r2l_core.datasets import open_dataset

    splits = open_dataset(options.dataset, "train", half_res=options.half_res).splits
    split = "test" if "test" in splits else "val"
    if split not in splits:
        print(f"{options.out} is made; the dataset holds no views out to compare it with.")
        return 0
    arguments = ["eval", "--checkpoint", str(options.out), "--dataset", str(options.dataset)]
    arguments += ["--split", split, "--precision", "fp32", "--device", options.device]
    arguments += ["--half-res"] if options.half_res else []
    arguments += [] if options.json is None else ["--json", str(options.json)]
    evaluate = parser("r2l").parse_args(arguments)
    result: int = evaluate.command(evaluate)
    return result
