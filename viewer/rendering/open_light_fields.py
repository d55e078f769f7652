"""The light fields that are open, and what renders them; lives on the render thread.

Beside the one that is open in the window, panes may show others, each in its own scene.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from r2l_core.errors import R2LError, plain
from r2l_core.types import Precision, RayMode
from viewer.rendering.opening import SceneFrom, opened_light_field, scene_from, scene_notes
from viewer.rendering.pane_sources import (
    OpenedAs,
    PaneKey,
    blank_pane,
    expected_engine_of,
    pane_source,
)
from viewer.state.panes import AUTO, TRUTH, PaneChoice
from viewer.state.resolve import Wish
from viewer.widgets.controls.wording import distinct_names

if TYPE_CHECKING:
    from r2l_core.engines.base import Engine
    from r2l_core.engines.faithful import Opening
    from r2l_core.render.panes import Pane
    from viewer.rendering.opening import Opened


@dataclass(frozen=True)
class Built:
    """What fulfils a wish.

    light_field: the one that is open in the window, or a teacher. scene_from: whence its scene.
    panes: with their sources. failures: of panes whose own light field cannot be shown; blank
    sources stand in their place. notes: what was assumed about the light fields, in sentences.
    sha256: of every one that is open, by its name or path in the wish.
    """

    light_field: Opened
    scene_from: SceneFrom
    ray_mode: RayMode
    panes: tuple[Pane, ...]
    failures: tuple[R2LError, ...]
    notes: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)


class OpenLightFields:
    """Opens each once, and keeps what is built of them, so that going back to it is immediate.

    A light field of a pane is kept until other panes are compared: a look at one picture alone does
    not make it be read again.
    """

    def __init__(self, busy: Callable[[str], None], superseded: Callable[[Wish], bool]) -> None:
        """`busy`: is told what takes time. `superseded`: whether a wish is of no use any more."""
        self._busy = busy
        self._superseded = superseded
        self._light_fields: dict[OpenedAs, Opened] = {}
        self._panes: dict[PaneKey, Pane] = {}
        self._of_panes: frozenset[OpenedAs] = frozenset()

    def build(self, wish: Wish) -> Built:
        """Open and build what is wished. On failure everything stays as it was.

        Raises R2LError, but not for panes of other light fields: they say it themselves; and
        BuildAbandoned where the wish is superseded.
        """
        # What is renewed is quiet: it happens every few seconds.
        busy = (lambda _text: None) if wish.renewed else self._busy
        superseded = partial(self._superseded, wish)
        work = _Work(busy, superseded, dict(self._light_fields), dict(self._panes), wish)
        built = work.build()
        if len(wish.panes) > 1 or work.of_panes:
            self._of_panes = frozenset(work.of_panes)
        kept = {work.main, *self._of_panes}
        self._light_fields = {one: it for one, it in work.light_fields.items() if one in kept}
        # Of the many mixes somebody tries, only the present ones and none at all stay built; of the
        # datasets, only the one that is open.
        mixes = {frozenset[str](), *(pane.layers_in_fp32 for pane in wish.panes)}
        self._panes = {
            key: one
            for key, one in work.panes.items()
            if key.opened in kept
            and key.layers_in_fp32 in mixes
            and key.dataset in (None, wish.dataset)
        }
        sha256 = {opened.checkpoint: one.sha256 for opened, one in self._light_fields.items()}
        return replace(built, sha256=sha256)


class _Work:
    """Fulfils one wish on copies of what there is."""

    def __init__(
        self,
        busy: Callable[[str], None],
        superseded: Callable[[], bool],
        light_fields: dict[OpenedAs, Opened],
        panes: dict[PaneKey, Pane],
        wish: Wish,
    ) -> None:
        self._busy = busy
        self._superseded = superseded
        self._wish = wish
        self.light_fields = light_fields
        self.panes = panes
        self.main = self._open(wish)
        self.of_panes: dict[OpenedAs, Wish] = {}
        self._ready: Engine | None = None
        """Of the precision that was chosen for the open light field, where one is built."""

    def build(self) -> Built:
        wish = self._wish
        light_field = self.light_fields[self.main]
        opened = wish.light_field
        ray_mode = light_field.ray_mode(opened.rays)
        choices = wish.panes
        if not choices:
            opening = _opening(light_field, wish, self._busy)
            choices = (PaneChoice(opening.precision, opened.engine),)
            self._ready = opening.engine
        checkpoints = [choice.checkpoint or opened.checkpoint for choice in choices]
        names = distinct_names(checkpoints)
        panes: list[Pane] = []
        failures = []
        for choice, checkpoint in zip(choices, checkpoints, strict=True):
            if choice.checkpoint is None or not isinstance(choice.source, Precision):
                pane = self._pane(self._key(choice, self.main, ray_mode))
            else:
                try:
                    pane = self._of_another(choice, choice.checkpoint)
                except R2LError as error:
                    failures.append(error)
                    pane = blank_pane(choice.source, names[checkpoint], error)
            several = len(names) > 1 and isinstance(choice.source, Precision)
            pane.light_field = names[checkpoint] if several else ""
            panes.append(pane)
        notes = list(scene_notes(light_field, wish))
        for one, other in self.of_panes.items():
            told = scene_notes(self.light_fields[one], other)
            notes += [f"{names[one.checkpoint]}: {note}" for note in told]
        return Built(
            light_field=light_field,
            scene_from=scene_from(light_field, wish),
            ray_mode=ray_mode,
            panes=tuple(panes),
            failures=tuple(failures),
            notes=tuple(notes),
        )

    def _of_another(self, choice: PaneChoice, checkpoint: str) -> Pane:
        """A pane of a light field that is not the open one, whose rays are its own affair."""
        light_field = replace(self._wish.light_field, checkpoint=checkpoint, scene=None, assumed=())
        wish = replace(self._wish, light_field=light_field)
        opened = self._open(wish)
        pane = self._pane(self._key(choice, opened, self.light_fields[opened].ray_mode()))
        if opened != self.main:
            self.of_panes[opened] = wish
        return pane

    def _open(self, wish: Wish) -> OpenedAs:
        """Open what is not open yet; under what it is kept."""
        choice = wish.light_field
        lent = None if choice.scene is not None or wish.dataset is None else wish.dataset.scene
        changed_ns = _changed_ns(choice.checkpoint)
        own = OpenedAs(choice.checkpoint, choice.scene, None, choice.assumed, changed_ns)
        as_lent = replace(own, lent=lent)
        # A file that knows its scene has no use for a dataset's.
        if own in self.light_fields and (lent is None or self.light_fields[own].says_scene):
            return own
        if as_lent not in self.light_fields:
            self._busy(f"Opening {plain(choice.checkpoint)}…")
            light_field = opened_light_field(wish)
            if light_field.says_scene:
                as_lent = own
            self.light_fields[as_lent] = light_field
        return as_lent

    def _key(self, pane: PaneChoice, opened: OpenedAs, ray_mode: RayMode) -> PaneKey:
        wish = self._wish
        if not isinstance(pane.source, Precision):
            dataset = wish.dataset if pane.source == TRUTH else None
            return PaneKey(self.main, pane.source, AUTO, "cpu", "plain", frozenset(), dataset)
        device = wish.light_field.device
        if self.light_fields[opened].is_teacher:
            return PaneKey(opened, Precision.FP32, AUTO, device, "plain", frozenset())
        name = expected_engine_of(self.light_fields[opened], pane, device)
        layers = pane.layers_in_fp32
        return PaneKey(
            opened, pane.source, pane.engine, device, ray_mode, layers, expected_engine=name
        )

    def _pane(self, key: PaneKey) -> Pane:
        from r2l_core.render.panes import Pane

        if key not in self.panes:
            self._busy(f"Building {key.source}…")
            before = self._engine_before(key)
            ready = self._ready if key.opened == self.main and not key.layers_in_fp32 else None
            source = pane_source(
                self.light_fields[key.opened], key, before, ready, self._superseded
            )
            source.warm_up()
            self.panes[key] = Pane(source)
        return self.panes[key]

    def _engine_before(self, key: PaneKey) -> Engine | None:
        """What renders an earlier state of the same network; None where there is nothing."""
        from r2l_core.model.light_field import LightField
        from r2l_core.render.sources import NetworkSource

        light_field = self.light_fields[key.opened]
        if not self._wish.renewed or not isinstance(light_field, LightField):
            return None
        for known, pane in self.panes.items():
            before = self.light_fields[known.opened]
            if (
                replace(known, opened=key.opened, expected_engine=key.expected_engine) == key
                and isinstance(pane.source, NetworkSource)
                and isinstance(before, LightField)
                and before.network == light_field.network
            ):
                return pane.source.engine
        return None


def _opening(light_field: Opened, wish: Wish, busy: Callable[[str], None]) -> Opening:
    from r2l_core.engines.faithful import Opening, opening_precision
    from r2l_core.model.light_field import LightField

    if not isinstance(light_field, LightField):
        return Opening(Precision.FP32)
    choice = wish.light_field
    return opening_precision(light_field, choice.engine, choice.device, busy)


def _changed_ns(checkpoint: str) -> int:
    """When the file was last written, so that one made anew is read again; 0 where unknown."""
    try:
        return Path(checkpoint).stat().st_mtime_ns
    except OSError:
        return 0
