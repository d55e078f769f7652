"""How much a light field shimmers along a turntable."""

from __future__ import annotations

import math

import numpy as np
import pytest

from r2l_core.scene import PRESETS
from r2l_core.temporal import TURNTABLE_STEP_DEG, temporal_scores, turntable_cameras


def grey(*levels: float) -> list[np.ndarray]:
    return [np.full((2, 3, 3), level, np.float32) for level in levels]


def test_only_changes_count():
    scores = temporal_scores(grey(0.5, 0.6, 0.8), grey(0.1, 0.2, 0.4))
    assert scores.psnr_db_of_change > 120, "equal changes, however far from the truth"
    assert scores.mean_abs_change == pytest.approx(0.15, abs=1e-6)
    assert scores.mean_abs_change_truth == pytest.approx(0.15, abs=1e-6)


def test_a_flickering_picture_changes_more_than_the_truth():
    scores = temporal_scores(grey(0.5, 0.6, 0.5), grey(0.5, 0.5, 0.5))
    assert scores.psnr_db_of_change == pytest.approx(20.0, abs=1e-4)
    assert scores.mean_abs_change == pytest.approx(0.1, abs=1e-6)
    assert scores.mean_abs_change_truth == 0.0


def test_a_frozen_picture_misses_the_truths_changes():
    scores = temporal_scores(grey(0.5, 0.5, 0.5), grey(0.5, 0.6, 0.4))
    expected = (10 * math.log10(1 / 0.1**2) + 10 * math.log10(1 / 0.2**2)) / 2
    assert scores.psnr_db_of_change == pytest.approx(expected, abs=1e-3)


def test_the_turntable_turns_by_degrees():
    scene = PRESETS["demo"]
    cameras = turntable_cameras(scene, 3)
    eyes = np.array([camera.T_world_camera[:3, 3] for camera in cameras])
    assert np.ptp(eyes[:, 2]) == pytest.approx(0.0, abs=1e-9)
    azimuths = np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0]))
    assert np.diff(azimuths) == pytest.approx([TURNTABLE_STEP_DEG] * 2)
    assert {camera.width_px for camera in cameras} == {scene.width_px}
