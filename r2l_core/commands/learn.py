"""`learn`: photographs to a light field, all stages."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.checkpoints.radiance import save_radiance
from r2l_core.commands.distill import distilled, network_of, network_options, new_distillation
from r2l_core.commands.photographs import comparison_split, photographs_options
from r2l_core.commands.shared import Subparsers, require_native_name, require_writable
from r2l_core.commands.teach import new_teach_trainer
from r2l_core.commands.training import TrainingBar, nobody, training_options
from r2l_core.commands.watched import Watched
from r2l_core.errors import CheckpointError, system_reason
from r2l_core.files import remove_unfinished, write_json
from r2l_core.json_fields import stored_object
from r2l_core.training.watching import (
    PROGRESS_FILE,
    LearningProgress,
    Stage,
    in_use,
    newest_file,
)

DEFAULT_MINUTES = 120.0
TEACHING_SHARE = 0.3
"""Of the time, for the teacher; the light field gets the rest."""
_STATES = ("teacher.pt", "teacher.safetensors", "light-field.pt")
_WATCHING = (
    f"--watched writes a JSON object a line to {PROGRESS_FILE} in the folder of --state, twice a "
    "second: stage (starting, teacher, light field, comparing; done, stopped and failed are ends), "
    "share (of the training, 0 to 1), elapsed_s, remaining_s, psnr_db (on the rays it learns from; "
    "once done, on the test views), held_out_psnr_db, rays_per_s, doing (what it does before or "
    "between steps), and what, why and remedy of an error; null is not measured. "
    "newest/NAME.safetensors, of the name of --out, is what has been learned by now, every few "
    "seconds: the teacher, then the light field. It waits while control.json there says "
    '{"paused": true}, and ends with all saved at {"stop": true}, or once its standard input is '
    'closed, unless {"stays": true}.'
)


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
        sections=[("watching", _WATCHING)],
    )
    photographs_options(learn)
    training_options(
        learn, "C.safetensors", "the light field", DEFAULT_MINUTES, f"{DEFAULT_MINUTES:g}"
    )
    learn.add_argument(
        "--state", type=Path, metavar="DIR", help="where to keep the teacher and training states"
    )
    learn.add_argument(
        "--watched",
        action="store_true",
        help="for a program that shows how it learns: see below",
    )
    network_options(learn)
    learn.set_defaults(command=_learn)


def _learn(options: argparse.Namespace) -> int:
    # Imported here: a large library for one path.
    import platformdirs

    require_native_name(options.out)
    cache = platformdirs.user_cache_path("r2l-viewer") / "learn"
    folder = options.state or cache / options.out.stem
    network_of(options)  # wrong ones are better found now than after the teacher
    with in_use(folder):
        for place in (folder, newest_file(folder, options.out.stem).parent):
            remove_unfinished(place)
        if not options.resume:
            _make_room(folder)
        elif not any((folder / name).exists() for name in _STATES):
            print(f"note: {folder} holds nothing to go on from; it begins anew", file=sys.stderr)
        require_writable(options.out)
        if not options.watched:
            return _learn_in(options, folder, None)
        with Watched(folder, options.out.stem, options.minutes) as watched:
            return _learn_in(options, folder, watched)


def _learn_in(options: argparse.Namespace, folder: Path, watched: Watched | None) -> int:
    with closing(TrainingBar(hidden=watched is not None)) as bar:
        split = None
        try:
            tell = bar.preparing() if watched is None else watched.preparing(Stage.STARTING)
            split = comparison_split(options.dataset, options.half_res, tell)
            finished = _teach(options, folder, bar, watched)
            finished = finished and _distill(options, folder, bar, watched)
        except KeyboardInterrupt:  # between steps, where all is saved
            finished = False
    if not finished:
        print(f"Stopped; the states are in {folder}. Go on with --resume.")
        if watched is not None:
            watched.tell(LearningProgress(Stage.STOPPED))
        return 130
    if watched is None:
        return _compare(options, split)
    watched.tell(LearningProgress(Stage.COMPARING, 1.0))
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    code = _compare(argparse.Namespace(**{**vars(options), "json": report}), split)
    found = stored_object(report.read_bytes()) if report.exists() else {}
    if options.json and found:
        write_json(options.json, found)
    quality = found["precisions"]["fp32"]["psnr_db_mean"] if found else None
    watched.tell(LearningProgress(Stage.DONE, 1.0, psnr_db=quality))
    return code


def _make_room(folder: Path) -> None:
    """Put what an earlier run left aside: hours of work, perhaps."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder / name for name in (*_STATES, PROGRESS_FILE)):
            if path.exists():
                path.replace(path.with_stem(f"{path.stem}.previous"))
    except OSError as error:
        raise CheckpointError(
            f"The training states in {folder} could not be written",
            system_reason(error),
            "Name a folder you can write to with --state.",
        ) from error


def _teach(
    options: argparse.Namespace, folder: Path, bar: TrainingBar, watched: Watched | None
) -> bool:
    """Make the teacher, unless it is there; False where Ctrl+C stopped it."""
    # Imported here: training needs modules that rendering does not.
    from r2l_core.training.radiance.fitting import taught, taught_by_now

    teacher, state = folder / "teacher.safetensors", folder / "teacher.pt"
    if teacher.exists():
        return True
    before = bar.preparing("teacher ") if watched is None else watched.preparing(Stage.TEACHER)
    trainer = new_teach_trainer(options, state, TEACHING_SHARE * options.minutes, before)
    if state.exists():
        trainer.resume()
    else:
        trainer.save()  # a place that cannot be written is better found now than in an hour

    def save_newest(path: Path) -> None:
        save_radiance(taught_by_now(trainer, options.out.stem), path)

    after_step = nobody if watched is None else watched.follow(Stage.TEACHER, save_newest)
    if not bar.follow(trainer, "teacher ", 0.0, TEACHING_SHARE, after_step):
        return False
    save_radiance(taught(trainer, options.out.stem), teacher)
    return True


def _distill(
    options: argparse.Namespace, folder: Path, bar: TrainingBar, watched: Watched | None
) -> bool:
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
    before = (
        bar.preparing("light field ", TEACHING_SHARE)
        if watched is None
        else watched.preparing(Stage.LIGHT_FIELD)
    )
    trainer = new_distillation(distill, state, before)
    if state.exists():
        trainer.resume()
    else:
        trainer.save()

    def save(path: Path) -> None:
        save_light_field(distilled(trainer, distill), path)

    after_step = nobody if watched is None else watched.follow(Stage.LIGHT_FIELD, save)
    if not bar.follow(trainer, "light field ", TEACHING_SHARE, 1.0, after_step):
        return False
    save(options.out)
    return True


def _compare(options: argparse.Namespace, split: str | None) -> int:
    """The table of `eval`, on views that no stage has learned from."""
    # Imported here: that module imports this one.
    from r2l_core.commands.cli import parser

    if split is None:
        print(f"{options.out} is made; the dataset holds no views out to compare it with.")
        return 0
    arguments = ["eval", "--checkpoint", str(options.out), "--dataset", str(options.dataset)]
    arguments += ["--split", split, "--precision", "fp32", "--device", options.device]
    arguments += ["--half-res"] if options.half_res else []
    arguments += [] if options.json is None else ["--json", str(options.json)]
    evaluate = parser("r2l").parse_args(arguments)
    result: int = evaluate.command(evaluate)
    return result
