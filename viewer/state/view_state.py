"""Everything a person can choose, as one frozen value. Knows nothing of Qt.

A gesture or a menu makes a new state. What is rendered follows from it (`resolve`), and so do
sessions, recordings and reports; widgets show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from r2l_core.camera_paths.camera_path import CameraPath
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.render.frames import STRIDES
from r2l_core.types import Availability, Precision
from viewer.state.display_options import DifferenceOptions, DisplayOptions
from viewer.state.panes import AUTO, LETTERS, TRUTH, CompareMode, PaneChoice
from viewer.state.region import Region
from viewer.state.viewpoint import Viewpoint, home_of

DRAG_FPS = 28.0
"""Pictures a second while the camera moves, unless chosen otherwise. Each loses some 12 ms to all
that is not its network."""


@dataclass(frozen=True)
class LightFieldChoice:
    """Which light field is open, and how it is taken; engine, device and rays as on the command
    line.

    checkpoint: name or path. scene: a preset, a file or itself instead of the one in the
    checkpoint, or None. engine: of panes that name none. assumed: what a released file does not say
    of its network, NAME=VALUE.
    """

    checkpoint: str
    scene: str | SceneSpec | None = None
    engine: str = AUTO
    device: str = "auto"
    rays: str = "auto"
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetChoice:
    """The arguments of `open_dataset`. No `split`: the first there is of test, val and train."""

    path: str
    split: str = ""
    half_res: bool = False
    spherify: bool = False
    keep_background: bool = False


VARIANTS = {
    "blender": ("keep_background", "On white", "Background kept"),
    "llff": ("spherify", "Forward-facing (NDC)", "All around (spherified)"),
}
"""By the kind of a dataset: a flag of DatasetChoice, and what it is called off and on."""


def _demo_view() -> Viewpoint:
    return home_of(PRESETS["demo"])


@dataclass(frozen=True)
class ViewState:
    """What is open and how it is looked at.

    panes: one to four; none until the light field is open and its best precision is known.
    active: position of the pane that keys are about, which is shown where one is shown alone.
    pair: positions of the two that are wiped, flipped and subtracted, once there are two.
    reference: position of the pane that all others are measured against; None: every two of them.
    region: the part of the pictures that is measured; None: all of them.
    target_fps: pictures a second while the camera moves. max_stride: no picture is coarser than
    that; one of STRIDES. match_window: whether the picture is as large as the window has room for.
    fill_flat: whether pixels in flat surroundings are taken from these.
    """

    light_field: LightFieldChoice
    panes: tuple[PaneChoice, ...] = ()
    active: int = 0
    pair: tuple[int, int] = (0, 1)
    reference: int | None = None
    region: Region | None = None
    mode: CompareMode = CompareMode.SINGLE
    viewpoint: Viewpoint = field(default_factory=_demo_view)
    render_size_px: tuple[int, int] = (PRESETS["demo"].width_px, PRESETS["demo"].height_px)
    match_window: bool = False
    difference: DifferenceOptions = field(default_factory=DifferenceOptions)
    display: DisplayOptions = field(default_factory=DisplayOptions)
    target_fps: float = DRAG_FPS
    max_stride: int = STRIDES[0]
    fill_flat: bool = False
    dataset: DatasetChoice | None = None
    path: CameraPath | None = None

    @property
    def comparing(self) -> bool:
        """Whether all panes are rendered, not the active one alone."""
        return self.mode is not CompareMode.SINGLE

    @property
    def active_pane(self) -> PaneChoice | None:
        """None before the light field is open."""
        return self.panes[self.active] if self.panes else None

    @property
    def shown_panes(self) -> tuple[PaneChoice, ...]:
        """Those that are rendered: all that are compared, or the active one."""
        return self.panes if self.comparing else self.panes[self.active :][:1]

    def camera(self) -> Camera:
        """What is looked through."""
        return self.viewpoint.camera(*self.render_size_px)

    def with_panes(self, panes: tuple[PaneChoice, ...]) -> ViewState:
        """Other panes, one to four; the active one and the pair stay as far as they are there."""
        last = max(len(panes) - 1, 0)
        pair = self.pair if max(self.pair) <= last else (0, 1)
        against = self.reference
        return replace(
            self,
            panes=panes,
            active=min(self.active, last),
            pair=pair,
            reference=against if against is not None and against <= last else None,
        )

    def without_pane(self, position: int) -> ViewState:
        """One pane less; the others keep what they are."""
        panes = (*self.panes[:position], *self.panes[position + 1 :])

        def moved(at: int) -> int:
            return at - (at > position)

        a, b = (moved(at) for at in self.pair)
        gone = self.reference is None or self.reference == position
        state = replace(
            self,
            active=moved(self.active),
            pair=self.pair if a == b else (a, b),
            reference=None if gone else moved(self.reference or 0),
        )
        return state.with_panes(panes)

    def measured_against(self, position: int | None) -> ViewState:
        """Another reference: the differences are of that pane, too. None: every two are measured
        against each other."""
        if position is None or position >= len(self.panes):
            return replace(self, reference=None)
        others = [at for at in (self.active, *self.pair, 0, 1) if at != position]
        return replace(self, reference=position, pair=(others[0], position))

    def with_pane(self, position: int, pane: PaneChoice) -> ViewState:
        """Something else in one of the panes."""
        panes = (*self.panes[:position], pane, *self.panes[position + 1 :])
        return replace(self, panes=panes)

    def showing(self, precision: Precision) -> ViewState:
        """Another precision in the active pane."""
        active = self.active_pane
        if active is None:
            return replace(self, panes=(PaneChoice(precision),))
        return self.with_pane(self.active, active.showing(precision))

    def opening(self, checkpoint: str) -> ViewState:
        """Another light field, with the same engine choices.

        Re-basing rays is no such choice: the other may not name the sphere it needs. Nor are mixes:
        its layers are others.
        """
        before = self.light_field
        rays = AUTO if before.rays == "canonical" else before.rays
        light_field = replace(before, checkpoint=checkpoint, scene=None, rays=rays, assumed=())
        panes = tuple(replace(pane, layers_in_fp32=frozenset()) for pane in self.panes)
        return replace(self, light_field=light_field, panes=panes)

    def in_scene(self, scene: str | SceneSpec | None) -> ViewState:
        """The same light field in a preset, the scene of a file or a given one; None: its own."""
        rays = AUTO if self.light_field.rays == "canonical" else self.light_field.rays
        return replace(self, light_field=replace(self.light_field, scene=scene, rays=rays))

    def with_engines_of(self, other: ViewState) -> ViewState:
        """What is rendered with in `other`, seen as in this one."""
        return replace(
            self,
            light_field=other.light_field,
            panes=other.panes,
            active=other.active,
            pair=other.pair,
            reference=other.reference,
            mode=other.mode,
        )


_TELLING = (Precision.INT8, Precision.INT8_SIM)
"""What eight bits do is asked first."""


def next_source(
    panes: tuple[PaneChoice, ...],
    precisions: Mapping[Precision, Availability],
    truth: Availability,
) -> Precision | str | None:
    """What one more pane shows: the first that none shows yet of the ground truth, int8 (or what
    simulates it) and the other precisions, or the first precision; None where there is no room, or
    no precision."""
    used = {pane.source for pane in panes if pane.checkpoint is None}
    able = [one for one, how in precisions.items() if how.available]
    if len(panes) >= len(LETTERS) or not able:
        return None
    telling: list[Precision | str] = [TRUTH] if truth.available else []
    telling += [one for one in _TELLING if one in able][:1]
    return next((one for one in (*telling, *able) if one not in used), able[0])


Listener = Callable[[ViewState, ViewState], object]
"""Is told the state before and the one after a change."""


class StateStore:
    """The present state, and who wants to know of another one. For the window's thread alone."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._listeners: list[Listener] = []
        self._untold: list[tuple[ViewState, ViewState]] = []

    @property
    def state(self) -> ViewState:
        """What is chosen now."""
        return self._state

    def listen(self, listener: Listener) -> None:
        """Call `listener` after every change, in the order in which listeners came."""
        self._listeners.append(listener)

    def change(self, **fields: Any) -> None:
        """Choose other values of some fields of ViewState."""
        self.set(replace(self._state, **fields))

    def set(self, state: ViewState) -> None:
        """Choose everything anew. A change that a listener makes is told after the present one."""
        telling = bool(self._untold)
        self._untold.append((self._state, state))
        self._state = state
        if telling:
            return
        try:
            while self._untold:
                for listener in self._listeners:
                    listener(*self._untold[0])
                del self._untold[0]
        finally:
            self._untold.clear()
