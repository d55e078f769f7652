"""Which panes a film shows, why one cannot be made, and what it takes to make it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from r2l_core.camera_paths.camera_path import CameraPath
from r2l_core.errors import RecordingError
from r2l_core.recording.loading import load_sidecar
from r2l_core.recording.plan import DEFAULT_GAIN, RecordingPlan
from r2l_core.types import Availability, Precision
from viewer.recording.recording_thread import RecordingJob
from viewer.rendering.running import Running
from viewer.state.panes import AUTO, LETTERS, TRUTHS, PaneChoice
from viewer.state.view_state import ViewState, next_source
from viewer.widgets.panels.record_settings import RecordSettings

_NOT_FILMED = Availability(False, "films are rendered by light fields")
NOT_MADE = "The film cannot be made"


def filmed_panes(state: ViewState, mode: str) -> list[int]:
    """Positions of the panes that a film of this mode shows."""
    if mode == "single" or len(state.panes) < 2:
        return [state.active] if state.active < len(state.panes) else []
    return list(state.pair)


def what_decides_films(state: ViewState) -> tuple[object, ...]:
    """Equal as long as the same films can be made, of the same panes."""
    return state.panes, state.active, state.pair, state.mode


def why_not(state: ViewState, running: Running | None, mode: str) -> str:
    """Why no film of this mode can be made, a sentence; empty where one can."""
    shown = [(LETTERS[at], state.panes[at]) for at in filmed_panes(state, mode)]
    if not shown:
        return "No light field is open."
    if running is not None and running.light_field.is_teacher:
        return "A teacher is open; films are rendered by light fields."
    for letter, pane in shown:
        if not isinstance(pane.source, Precision):
            return f"Pane {letter} shows the ground truth; films are rendered by light fields."
        if pane.checkpoint is not None:
            return f"Pane {letter} shows another light field; films are of the open one."
    if mode != "single" and len(shown) < 2:
        return "A film of two needs a second pane: Compare shows it."
    if len({pane.layers_in_fp32 for _, pane in shown if pane.has_mix}) > 1:
        return "These panes leave different layers in fp32; a film has one mix of layers."
    return ""


def instead_of_truth(state: ViewState, running: Running | None) -> tuple[int, Precision] | None:
    """The first of the shown panes that has the truth, and what can be filmed in its place: eight
    bits, or another precision that no pane shows yet."""
    if running is None or running.light_field.is_teacher:
        return None
    for at in filmed_panes(state, "side" if state.comparing else "single"):
        if at < len(state.panes) and state.panes[at].source in TRUTHS:
            others = (*state.panes[:at], *state.panes[at + 1 :])
            source = next_source(others, running.precisions, _NOT_FILMED)
            return (at, source) if isinstance(source, Precision) else None
    return None


def job_of(state: ViewState, running: Running | None, settings: RecordSettings) -> RecordingJob:
    """What is to be filmed. Raises RecordingError."""
    if running is None or state.path is None:
        why = "there is no camera path" if running is not None else "no light field is open"
        raise RecordingError(NOT_MADE, why, "Add keyframes with K, or choose a preset.")
    if not settings.file:
        raise RecordingError(NOT_MADE, "no file is named", "Give one that ends in .mp4.")
    if why := why_not(state, running, settings.mode):
        raise RecordingError(NOT_MADE, why[0].lower() + why[1:-1], "Show another.")
    shown = filmed_panes(state, settings.mode)
    panes = [state.panes[at] for at in shown]
    light_field, options = running.wish.light_field, state.difference
    path = state.path.lasting(settings.seconds)
    if settings.mode == "single" and LETTERS[shown[0]] == "B":
        path = _seen_as_a(path)
    plan = RecordingPlan(
        path=path,
        seconds=settings.seconds,
        fps=settings.fps,
        width_px=settings.width_px,
        height_px=settings.height_px,
        precisions=tuple(Precision(pane.source) for pane in panes),
        mode=settings.mode,  # type: ignore[arg-type]
        labels="off" if settings.mode == "single" else "live",
        gain=options.gain if options.locked else DEFAULT_GAIN,
        title=settings.title,
    )
    assert not running.light_field.is_teacher  # `why_not` has refused it
    return RecordingJob(
        running.light_field,
        _lasting_name(light_field.checkpoint),
        plan,
        Path(settings.file).expanduser(),
        running.ray_mode,
        light_field.engine,
        light_field.device,
        tuple(light_field.engine if pane.engine == AUTO else pane.engine for pane in panes),
        _mix_of(panes),
    )


def settings_of(sidecar: Path) -> RecordSettings:
    """What the film of a sidecar is like. Raises RecordingError and others."""
    loaded = load_sidecar(sidecar)
    plan = loaded.recipe.plan
    return RecordSettings(
        width_px=plan.width_px,
        height_px=plan.height_px,
        fps=plan.fps,
        seconds=plan.seconds,
        mode=plan.mode,
        file=str(loaded.video),
        title=plan.title,
    )


def _mix_of(panes: list[PaneChoice]) -> frozenset[str]:
    return next((pane.layers_in_fp32 for pane in panes if pane.has_mix), frozenset())


def _seen_as_a(path: CameraPath) -> CameraPath:
    """With what its keyframes say about pane B said about pane A."""
    keys = tuple(replace(key, precision_a=key.precision_b) for key in path.keyframes)
    return replace(path, keyframes=keys)


def _lasting_name(checkpoint: str) -> str:
    """What the light field is opened by later, from any folder."""
    file = Path(checkpoint)
    return str(file.absolute()) if file.is_file() else checkpoint
