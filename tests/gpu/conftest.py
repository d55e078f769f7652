"""What the tests on a GPU share. Nothing here needs more than torch, Triton, numpy and pytest."""

from __future__ import annotations

from tests.small_light_fields import light_field, make_light_field, scene, scene_rays
from tests.triton_interpreter import interpreted, run_blocks

__all__ = ["interpreted", "light_field", "make_light_field", "run_blocks", "scene", "scene_rays"]
