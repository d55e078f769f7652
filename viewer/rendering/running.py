"""What the render thread tells: what runs, how fast it is, and exact pictures to judge by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import Availability, EngineInfo, Precision, RayMode
from viewer.rendering.opening import SceneFrom
from viewer.state.resolve import Wish

if TYPE_CHECKING:
    from viewer.rendering.opening import Opened


@dataclass(frozen=True)
class Running:
    """What the thread renders with from now on. `wish` is the one it fulfils."""

    epoch: int
    wish: Wish
    name: str
    summary: str
    scene: SceneSpec
    ray_mode: RayMode
    engines: tuple[EngineInfo, ...]
    """One for each pane."""
    precisions: Mapping[Precision, Availability]
    choices: Mapping[Precision, tuple[str, ...]]
    """Names of the engines that have each precision here."""
    truths: Mapping[str, Availability]
    """TRUTH, and SCENE_TRUTH where a dataset is open and the former its own."""
    notes: tuple[str, ...]
    """Sentences on what was assumed about the light fields."""
    sha256: Mapping[str, str]
    """Of every light field that is open, by its name or path in the wish."""
    scene_from: SceneFrom
    light_field: Opened = field(repr=False, compare=False)
    """What is open, or a teacher; not to be written to."""

    @property
    def engine(self) -> EngineInfo:
        """What runs in the first pane, or alone."""
        return self.engines[0]

    @property
    def own_panes(self) -> tuple[bool, ...]:
        """Which panes show the open light field, or its ground truth."""
        return tuple(pane.checkpoint is None for pane in self.wish.panes) or (True,)


@dataclass(frozen=True)
class Measured:
    """One full frame, every ray through the network."""

    rays: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Exact:
    """The first pane's complete picture of a camera: uint8 (height_px, width_px, 3)."""

    camera: Camera
    image: NDArray[np.uint8]
