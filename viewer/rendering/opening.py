"""A wish to a light field in a scene: the file's, one that was chosen, or the best guess."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal

from r2l_core.errors import CheckpointError
from r2l_core.geometry.scene import PRESETS, SceneSpec, load_scene
from viewer.state.resolve import Wish
from viewer.state.scene_settings import guessed_preset

if TYPE_CHECKING:
    from r2l_core.model.light_field import LightField
    from r2l_core.model.radiance.field import RadianceTeacher

    Opened = LightField | RadianceTeacher

SceneFrom = Literal["file", "wish", "dataset", "name", "default"]


def opened_light_field(wish: Wish) -> Opened:
    """Open what is wished for: a light field, or the teacher of one. Raises R2LError."""
    from r2l_core.checkpoints.opening import load_light_field, load_radiance

    scene = wish.light_field.scene
    given = load_scene(scene) if isinstance(scene, str) else scene
    assumed = _assumptions(wish)
    teacher = load_radiance(wish.light_field.checkpoint, given)
    if teacher is not None:
        return teacher
    light_field = load_light_field(wish.light_field.checkpoint, given, assumed)
    lent = _lent(light_field, wish)
    return (
        load_light_field(wish.light_field.checkpoint, lent, assumed)
        if lent is not None
        else light_field
    )


def scene_from(light_field: Opened, wish: Wish) -> SceneFrom:
    """Where the scene of an opened light field comes from."""
    if wish.light_field.scene is not None:
        return "wish"
    if light_field.says_scene:
        return "file"
    if wish.dataset is not None:
        return "dataset"
    return "name" if guessed_preset(wish.light_field.checkpoint) else "default"


def scene_notes(light_field: Opened, wish: Wish) -> tuple[str, ...]:
    """What was assumed about a light field, and about its scene; sentences."""
    match scene_from(light_field, wish):
        case "dataset":
            assert wish.dataset is not None
            whose = f"the dataset {wish.dataset.name}"
        case "name":
            whose = f"{guessed_preset(wish.light_field.checkpoint)}, by the file's name,"
        case _:
            return light_field.notes
    said = f"The file names no scene: near, far, background and camera of {whose} are used."
    return (said, *light_field.notes)


def _lent(light_field: Opened, wish: Wish) -> SceneSpec | None:
    """A scene for a file that says nothing of its own and is given none."""
    match scene_from(light_field, wish):
        case "dataset":
            assert wish.dataset is not None
            return wish.dataset.scene
        case "name":
            preset = guessed_preset(wish.light_field.checkpoint)
            assert preset is not None
            return PRESETS[preset]
        case _:
            return None


def _assumptions(wish: Wish) -> dict[str, Any]:
    if not wish.light_field.assumed:
        return {}
    from r2l_core.commands.arguments import assumption

    found = {}
    for text in wish.light_field.assumed:
        try:
            name, value = assumption(text)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise CheckpointError(
                f"--assume {text[:80]} cannot be used", str(error), "Correct it or leave it out."
            ) from error
        found[name] = value
    return found
