"""How a window starts: a first look at once, and everything else made ready behind it.

torch takes seconds to load, and the best engine seconds to find. Both happen on a thread of their
own, while the render thread shows the light field on what needs neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from r2l_core.engines.fused.workers import usable_processors
from r2l_core.errors import R2LError
from r2l_core.geometry.scene import SceneSpec, load_scene
from r2l_core.types import EngineInfo, Precision, RayMode
from viewer.rendering.compiling import large_sources_elsewhere
from viewer.runtime import lower_thread_priority
from viewer.state.panes import AUTO
from viewer.state.resolve import Wish

if TYPE_CHECKING:
    from r2l_core.render.first_look import FirstLook
    from viewer.rendering.open_light_fields import Built, OpenLightFields


@dataclass(frozen=True)
class Looking:
    """What a first look shows, and on what. Its frames have epoch 0."""

    name: str
    scene: SceneSpec
    ray_mode: RayMode
    engine: EngineInfo


def first_look(wish: Wish) -> FirstLook | None:
    """A first look at what is wished for; None where it has to wait for the renderer."""
    choice = wish.light_field
    # Of several panes the first one: it is shown until the others are there.
    if (
        any(not isinstance(pane.source, Precision) or pane.checkpoint for pane in wish.panes[:1])
        or choice.engine not in (AUTO, "fused")
        or choice.assumed
    ):
        return None
    from r2l_core.render.first_look import open_first_look

    try:
        scene = load_scene(choice.scene) if isinstance(choice.scene, str) else choice.scene
        return open_first_look(choice.checkpoint, scene, choice.rays, usable_processors())
    except R2LError:
        return None  # whatever is wrong, the renderer finds it too, and says it


class Preparation(threading.Thread):
    """Fulfils a first wish while something else is shown."""

    def __init__(self, opened: OpenLightFields, wish: Wish, done: Callable[[], None]) -> None:
        """`opened`: is nobody else's until this is over. `done`: is called then, on this thread."""
        super().__init__(name="r2l-preparation", daemon=True)
        self._open, self._wish, self._done = opened, wish, done
        self.over = False
        self._built: Built | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Load torch, and build."""
        try:
            _load_torch()
            lower_thread_priority()
            self._built = self._open.build(self._wish)
        except Exception as error:
            self._error = error
        self.over = True
        self._done()

    def result(self) -> Built:
        """What was built. Raises what building raised."""
        if self._error is not None:
            raise self._error
        assert self._built is not None
        return self._built


def _load_torch() -> None:
    """Import torch, without keeping the window waiting for long."""
    # The loader brings a quarter of a gigabyte into memory, and would do so with Python's lock.
    if sys.platform == "linux" and "torch" not in sys.modules:
        with contextlib.suppress(OSError, AttributeError, ImportError):
            spec = importlib.util.find_spec("torch")
            assert spec is not None
            assert spec.origin is not None
            load = ctypes.CDLL(None).dlopen
            load.restype, load.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
            for name in ("libtorch_cpu.so", "libtorch_python.so"):
                load(os.fsencode(Path(spec.origin).parent / "lib" / name), os.RTLD_LAZY)
    with large_sources_elsewhere():
        import torch

    torch.set_num_threads(usable_processors())
