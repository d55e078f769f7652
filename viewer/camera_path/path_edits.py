"""Edits of a camera path in absolute times, as a hand on a time axis makes them. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe

STEP_S = 2.0
"""From the last keyframe to one that is added after it."""
LEAST_STEP_S = 0.05
"""Keyframes do not come closer than this, or a marker would hide another."""


def inserted(path: CameraPath | None, keyframe: Keyframe, seconds: float) -> tuple[CameraPath, int]:
    """With one more keyframe at `seconds`, and its position.

    At or after the last keyframe it comes STEP_S later. On another one it comes halfway to the
    next.
    """
    if path is None:
        return CameraPath((keyframe,)), 0
    times = path.key_seconds
    if seconds >= times[-1] - LEAST_STEP_S:
        return path.added(replace(keyframe, transition_s=STEP_S)), len(times)
    index = max(1, sum(time <= seconds + LEAST_STEP_S for time in times))
    before, after = times[index - 1], times[index]
    at = seconds if before + LEAST_STEP_S < seconds < after - LEAST_STEP_S else (before + after) / 2
    keys = list(path.keyframes)
    keys[index] = replace(keys[index], transition_s=after - at)
    keys.insert(index, replace(keyframe, transition_s=at - before))
    return replace(path, keyframes=tuple(keys), even_speed=False), index


def retimed(path: CameraPath, index: int, seconds: float) -> tuple[CameraPath, int]:
    """With the keyframe at `index` reached at `seconds`, and its position from then on.

    The others keep their times; one that is passed changes places. The path begins with its first
    keyframe, whenever that is.
    """
    times = [*path.key_seconds]
    times[index] = seconds
    order = sorted(range(len(times)), key=lambda one: (times[one], one != index))
    keys = [path.keyframes[one] for one in order]
    moved = _timed(keys, [times[one] for one in order], path.keyframes[0].transition_s)
    return replace(path, keyframes=moved, even_speed=False), order.index(index)


def moved(path: CameraPath, index: int, to: int) -> CameraPath:
    """With the keyframe at `index` at the place `to`; the places keep their times."""
    transitions_s = [key.transition_s for key in path.keyframes]
    keys = zip(path.moved(index, to).keyframes, transitions_s, strict=True)
    return replace(path, keyframes=tuple(replace(key, transition_s=s) for key, s in keys))


def removed(path: CameraPath, index: int) -> CameraPath | None:
    """Without the keyframe at `index`, the others at their times; None where it was the last."""
    if len(path.keyframes) == 1:
        return None
    times = [time for at, time in enumerate(path.key_seconds) if at != index]
    keys = [key for at, key in enumerate(path.keyframes) if at != index]
    return replace(path, keyframes=_timed(keys, times, path.keyframes[0].transition_s))


def _timed(keys: Sequence[Keyframe], times: Sequence[float], back_s: float) -> tuple[Keyframe, ...]:
    """`keys` reached at `times`, which rise; `back_s`: from the last to the first in a loop."""
    steps_s = [back_s, *(max(b - a, LEAST_STEP_S) for a, b in pairwise(times))]
    return tuple(
        replace(key, transition_s=step_s) for key, step_s in zip(keys, steps_s, strict=True)
    )
