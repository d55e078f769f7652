"""What the window wants from the render thread: a light field, and what each pane shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import Precision
from viewer.state.panes import PaneChoice

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset


@dataclass(frozen=True)
class Wish:
    """The light field and engine the window wants to see; whole, so that only the last counts.

    checkpoint: name or path. scene: a preset, a file or itself instead of the one in the
    checkpoint, or None. assumed: what a released file does not say of its network, NAME=VALUE.
    precision: None means the best this machine has. engine, device, rays: as on the command line.
    panes: what to compare, two to four, instead of `precision` on `engine`; empty for one picture.
    layers_in_fp32: body layers that eight-bit precisions leave alone.
    dataset: the ground truth at its poses, and the scene of a file that does not know its own.
    """

    checkpoint: str
    scene: str | SceneSpec | None = None
    precision: Precision | None = None
    engine: str = "auto"
    device: str = "auto"
    rays: str = "auto"
    panes: tuple[PaneChoice, ...] = ()
    layers_in_fp32: frozenset[str] = frozenset()
    dataset: Dataset | None = None
    assumed: tuple[str, ...] = ()
