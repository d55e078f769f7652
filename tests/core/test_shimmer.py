"""What changes from frame to frame, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from r2l_core.evaluation.shimmer import Shimmer, turntable_cameras
from r2l_core.geometry.scene import PRESETS

DEMO = PRESETS["demo"]


def film(*values: float):
    """A function of cameras that shows one grey after the other, 2 x 3 pixels each."""
    frames = iter(values)
    return lambda camera: np.full((2, 3, 3), next(frames), np.float32)


def measured(truth, **light_fields) -> dict:
    shimmer = Shimmer(truth, light_fields, turntable_cameras(DEMO, 3))
    assert len(list(shimmer.run())) == 3
    return shimmer.report()


def test_changes_by_hand():
    """The truth brightens by 1/8 twice. A light field that flickers up by 3/8 and down by 1/8 is
    off by 1/4 and by -1/4: a mean square of 1/16, and a mean change of 1/4."""
    report = measured(film(0.0, 0.125, 0.25), flickers=film(0.25, 0.625, 0.5))
    assert report["truth_change_mean_abs"] == 0.125
    row = report["precisions"]["flickers"]
    assert row["change_psnr_db"] == pytest.approx(10 * math.log10(16))
    assert row["change_mean_abs"] == 0.25
    assert row["change_ratio_to_truth"] == 2.0


def test_an_error_that_stays_is_no_shimmer():
    report = measured(film(0.0, 0.125, 0.25), dark=film(0.5, 0.625, 0.75), still=film(0, 0, 0))
    assert report["precisions"]["dark"]["change_psnr_db"] == math.inf
    assert report["precisions"]["dark"]["change_ratio_to_truth"] == 1.0
    assert report["precisions"]["still"]["change_mean_abs"] == 0.0
    assert report["precisions"]["still"]["change_psnr_db"] == pytest.approx(10 * math.log10(64))


def test_channels_and_pixels_count_alike():
    """One channel of one of six pixels changes by 1: 1/18 of the squares."""
    spot = np.zeros((2, 3, 3), np.float32)
    spot[1, 2, 0] = 1.0
    frames = iter([spot, np.zeros_like(spot), np.zeros_like(spot)])
    row = measured(film(0, 0, 0), spot=lambda camera: next(frames))["precisions"]["spot"]
    assert row["change_psnr_db"] == pytest.approx(10 * math.log10(36))
    assert row["change_mean_abs"] == pytest.approx(1 / 36)
    assert row["change_ratio_to_truth"] is None, "the truth does not change at all"


def test_the_turntable():
    cameras = turntable_cameras(DEMO, 5, radius=3.0, pivot=(0.1, 0.0, 0.2))
    home = DEMO.home()
    for k, camera in enumerate(cameras):
        assert (camera.width_px, camera.height_px) == (400, 400)
        x, y, z = camera.position - (0.1, 0.0, 0.2)
        assert math.hypot(x, y, z) == pytest.approx(3.0)
        assert math.degrees(math.asin(z / 3)) == pytest.approx(home.elevation_deg)
        turned = math.degrees(math.atan2(y, x)) - home.azimuth_deg - k
        assert math.remainder(turned, 360) == pytest.approx(0, abs=1e-6)


def test_one_frame_has_no_change():
    with pytest.raises(ValueError, match="two"):
        Shimmer(film(0), {}, turntable_cameras(DEMO, 1))
