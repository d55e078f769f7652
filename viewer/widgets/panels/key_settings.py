"""What a keyframe of the camera path says beside its pose. Knows nothing of Qt."""

from __future__ import annotations

from dataclasses import dataclass

from r2l_core.types import Precision


@dataclass(frozen=True)
class KeySettings:
    """fov_y_deg: vertical field of view. precision_a, precision_b: of each pane from there on.
    wipe: share of the width that shows pane A, 0 to 1. gain: of the difference. None leaves it as
    it is."""

    fov_y_deg: float
    precision_a: Precision | None = None
    precision_b: Precision | None = None
    wipe: float | None = None
    gain: float | None = None
