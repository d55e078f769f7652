"""Opens what a recording needs: a new one, one made again, one to be completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.building import build_engine
from r2l_core.errors import QuantizationError, RecordingError, system_reason
from r2l_core.model.light_field import LightField
from r2l_core.quantization.mix import with_mix
from r2l_core.recording.ffmpeg import count_frames
from r2l_core.recording.files import VideoFiles, pictures_of, rest_of, video_files
from r2l_core.recording.formats import VideoFormat, format_of, require_fps
from r2l_core.recording.labels import legible, require_title
from r2l_core.recording.loading import LoadedSidecar, is_sidecar, load_sidecar
from r2l_core.recording.plan import RecordingPlan
from r2l_core.recording.recorder import Recorder
from r2l_core.recording.sidecar import Recipe, Sidecar
from r2l_core.recording.table import COLUMNS
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision, RayMode


def new_recording(
    light_field: LightField,
    checkpoint: str,
    plan: RecordingPlan,
    out: Path,
    ray_mode: RayMode,
    engine: str = "auto",
    device: str = "auto",
    own_engines: Sequence[str] = (),
    assumed: Mapping[str, Any] | None = None,
) -> Recorder:
    """A recording of an opened light field; `checkpoint` is what it was opened by.

    own_engines: for each pane the engine of the precision it begins with, instead of `engine`,
    which runs all others. assumed: as `load_light_field` took it. Everything that can be refused is
    refused here, before the first frame: RecordingError, EngineUnavailable, EngineError.
    """
    engines = _all_on(plan, engine, device)
    for pane, own, name in zip(engines, plan.precisions, own_engines, strict=False):
        pane[own] = (name, device)
    recipe = Recipe(
        plan,
        checkpoint,
        light_field.sha256,
        light_field.scene,
        ray_mode,
        engines,
        light_field.layers_in_fp32,
        assumed or {},
    )
    return _begun(recipe, light_field, out)


def recording_again(
    sidecar: Path, out: Path, checkpoint: str | None = None, engine: tuple[str, str] | None = None
) -> Recorder:
    """What a sidecar describes, from the beginning, into `out`. Nothing else is needed.

    checkpoint: where the light field is now; engine: name and device of another than those that
    ran. Raises as `new_recording` and `load_sidecar` do, and CheckpointError.
    """
    recipe = _adapted(load_sidecar(sidecar), checkpoint, engine)
    return _begun(recipe, _light_field(sidecar, recipe), out)


def resumed_recording(
    sidecar: Path, checkpoint: str | None = None, engine: tuple[str, str] | None = None
) -> Recorder:
    """An interrupted recording, to be completed where it is. Raises as `recording_again`."""
    loaded = load_sidecar(sidecar)
    if loaded.writer is not None:
        raise RecordingError(
            f"The recording {loaded.video} cannot be completed",
            f"process {loaded.writer} is making it right now",
            "Let it end, or end it, first.",
        )
    recipe = _adapted(loaded, checkpoint, engine)
    light_field = _light_field(sidecar, recipe)
    files = _files(recipe.plan, loaded.video, loaded.video_format)
    total = recipe.plan.n_frames
    files.check()
    finished = loaded.state == "finished" and not loaded.video_format.is_sequence
    first_frame = count_frames(loaded.video) if finished else 0
    if first_frame != total:
        first_frame = files.settle(loaded.rest_starts_at)
    if first_frame < total:
        first_frame -= first_frame % loaded.video_format.group
    if first_frame > total:
        raise RecordingError(
            f"The recording {loaded.video} cannot be completed",
            f"it holds {first_frame} frames, and its sidecar speaks of {total}",
            "Record it again with --from.",
        )
    return _recorder(recipe, light_field, loaded.video, loaded.video_format, files, first_frame)


def _begun(recipe: Recipe, light_field: LightField, out: Path) -> Recorder:
    plan = recipe.plan
    video_format = format_of(out)
    require_fps(video_format, out, plan.fps)
    require_title(plan.title)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(
            f"The recording {out} cannot be written",
            system_reason(error),
            "Choose a folder you can write to.",
        ) from error
    _require_free(out, video_format)
    files = _files(plan, out, video_format)
    files.check()
    return _recorder(recipe, light_field, out, video_format, files, 0)


def _recorder(
    recipe: Recipe,
    light_field: LightField,
    out: Path,
    video_format: VideoFormat,
    files: VideoFiles,
    first_frame: int,
) -> Recorder:
    plan = recipe.plan
    sources = _sources(recipe, light_field)
    infos = [[source.info for source in pane.values()] for pane in sources]
    sidecar = Sidecar(out, video_format, recipe, infos)
    shown = " and ".join(", ".join(pane) for pane in plan.used_precisions())
    facts = legible(
        f"{light_field.name} · {light_field.network.short_name} · {shown} · "
        f"{plan.width_px}x{plan.height_px}"
    )
    return Recorder(recipe, sources, out, files, sidecar, facts, first_frame)


def _sources(recipe: Recipe, light_field: LightField) -> list[dict[Precision, NetworkSource]]:
    """For each pane, what renders each of its precisions; panes share what is alike."""
    built: dict[tuple[Precision, str, str], NetworkSource] = {}
    panes: list[dict[Precision, NetworkSource]] = []
    for precisions, engines in zip(recipe.plan.used_precisions(), recipe.engines, strict=True):
        panes.append({})
        for precision in precisions:
            wanted = (precision, *engines.get(precision, ("auto", "auto")))
            if wanted not in built:
                engine = build_engine(light_field, *wanted)
                built[wanted] = NetworkSource(engine, recipe.scene, recipe.ray_mode)
            panes[-1][precision] = built[wanted]
    return panes


def _all_on(
    plan: RecordingPlan, engine: str, device: str
) -> tuple[dict[Precision, tuple[str, str]], ...]:
    return tuple(dict.fromkeys(pane, (engine, device)) for pane in plan.used_precisions())


def _files(plan: RecordingPlan, out: Path, video_format: VideoFormat) -> VideoFiles:
    size = video_format.encoded_size(*plan.picture_size)
    return video_files(out, video_format, size, plan.exact_fps)


def _adapted(
    loaded: LoadedSidecar, checkpoint: str | None, engine: tuple[str, str] | None
) -> Recipe:
    recipe = loaded.recipe
    if checkpoint is not None:
        recipe = replace(recipe, checkpoint=checkpoint)
    if engine is not None:
        recipe = replace(recipe, engines=_all_on(recipe.plan, *engine))
    return recipe


def _light_field(sidecar: Path, recipe: Recipe) -> LightField:
    """The light field of a sidecar, if it is still the same file."""
    light_field = load_light_field(recipe.checkpoint, recipe.scene, recipe.assumed)
    if light_field.sha256 != recipe.sha256:
        raise RecordingError(
            f"The light field {recipe.checkpoint} is not the one recorded in {sidecar}",
            f"its SHA-256 begins with {light_field.sha256[:12]}, "
            f"the recorded one's with {recipe.sha256[:12]}",
            "Give the recorded file with --checkpoint.",
        )
    try:
        return with_mix(light_field, recipe.layers_in_fp32)
    except QuantizationError as error:
        raise RecordingError(
            f"The sidecar {sidecar} cannot be used",
            f"the field layers is of another network: {error.why}",
            "Correct the file.",
        ) from error


def _require_free(out: Path, video_format: VideoFormat) -> None:
    """Refuse to write over what is not a recording of ours of that name, or not a finished one."""
    sidecar, table = out.with_suffix(".json"), out.with_suffix(".csv")
    owned_frames = 0
    if is_sidecar(sidecar):
        loaded = load_sidecar(sidecar)
        if loaded.writer is not None:
            raise RecordingError(
                f"The recording {out} is not written over",
                f"process {loaded.writer} is making it right now",
                "Let it end, or end it, first.",
            )
        if loaded.state != "finished" and loaded.frames_done:
            raise RecordingError(
                f"The recording {out} is not written over",
                f"an unfinished one lies there, {loaded.frames_done} of "
                f"{loaded.recipe.plan.n_frames} frames",
                f"Complete it with --resume {sidecar}, or remove {sidecar} first.",
            )
        if loaded.video.name != out.name:
            raise _not_its_own(out, sidecar, f"which belongs to {loaded.video.name}")
        owned_frames = loaded.recipe.plan.n_frames
        others = []
    else:
        others = [(sidecar, sidecar.exists()), (table, _is_foreign_table(table))]
        if not video_format.is_sequence:
            films = {out, video_format.kept_at(out), rest_of(out, video_format)}
            others += [(film, film.exists()) for film in films]
    if video_format.is_sequence:  # pictures that follow are removed
        others += [
            (picture, number >= owned_frames) for number, picture in pictures_of(out).items()
        ]
    for path, foreign in others:
        if foreign:
            raise _not_its_own(out, path, "which is not a recording's")


def _not_its_own(out: Path, path: Path, whose: str) -> RecordingError:
    return RecordingError(
        f"The recording {out} cannot be written",
        f"it would write over {path}, {whose}",
        "Choose another name with --out.",
    )


def _is_foreign_table(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not file.readline(4096).startswith(",".join(COLUMNS[:3]).encode())
    except FileNotFoundError:
        return False
    except OSError:
        return True
