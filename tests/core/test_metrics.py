"""Metrics against scikit-image and FLIP, called here once more, and against plain formulas."""

from __future__ import annotations

import math

import flip_evaluator
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from r2l_core.metrics import flip, mse, psnr_db, ssim


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A smooth colourful image and a noisy copy."""
    rng = np.random.default_rng(4)
    reference = gaussian_filter(rng.random((40, 56, 3)), (2, 2, 0))
    reference = (reference - reference.min()) / np.ptp(reference)
    image = np.clip(reference + rng.normal(0, 0.05, reference.shape), 0, 1)
    return image.astype(np.float32), reference.astype(np.float32)


def test_psnr_against_scikit_image(pair):
    image, reference = pair
    expected = peak_signal_noise_ratio(reference, image, data_range=1.0)
    assert psnr_db(mse(image, reference)) == pytest.approx(expected, abs=1e-4)
    assert expected == pytest.approx(26.5, abs=1.0), "noise of 0.05"


def test_psnr_of_known_errors():
    black = np.zeros((4, 4, 3), np.float32)
    assert psnr_db(mse(black + np.float32(1), black)) == pytest.approx(0.0)
    assert psnr_db(mse(black + np.float32(0.1), black)) == pytest.approx(20.0, abs=1e-5)
    assert psnr_db(1e-6) == pytest.approx(60.0)


def test_identical_images(pair):
    image, _ = pair
    assert mse(image, image) == 0
    assert psnr_db(mse(image, image)) == math.inf
    assert ssim(image, image) == pytest.approx(1.0)
    assert flip(image, image) == 0


def test_small_errors_survive_float32():
    reference = np.full((8, 8, 3), 0.9, np.float32)
    image = np.nextafter(reference, np.float32(1))
    assert mse(image, reference) == pytest.approx(2.0**-48)


def test_ssim_against_scikit_image_channel_by_channel(pair):
    image, reference = pair
    expected = np.mean(
        [
            structural_similarity(
                reference[..., channel].astype(np.float64),
                image[..., channel].astype(np.float64),
                data_range=1.0,
                win_size=11,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for channel in range(3)
        ]
    )
    assert ssim(image, reference) == pytest.approx(expected, abs=1e-4)
    assert 0.3 < expected < 0.95


def test_ssim_against_its_formula(pair):
    image, reference = (x.astype(np.float64) for x in pair)

    def blurred(x: np.ndarray) -> np.ndarray:
        return gaussian_filter(x, (1.5, 1.5, 0), truncate=3.5)

    mean_x, mean_y = blurred(image), blurred(reference)
    var_x = blurred(image**2) - mean_x**2
    var_y = blurred(reference**2) - mean_y**2
    covariance = blurred(image * reference) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    expected = similarity[5:-5, 5:-5].mean()
    assert ssim(*pair) == pytest.approx(expected, abs=1e-4)


def test_ssim_needs_eleven_pixels(pair):
    image, reference = pair
    assert math.isnan(ssim(image[:10], reference[:10]))
    assert math.isnan(ssim(image[:, :10], reference[:, :10]))
    assert ssim(image[:11, :11], reference[:11, :11]) < 1


def test_flip_against_its_own_package(pair):
    image, reference = pair
    _, expected, _ = flip_evaluator.evaluate(reference, image, "LDR")
    assert flip(image, reference) == pytest.approx(expected, abs=1e-6)
    assert 0.01 < expected < 0.5


def test_flip_clips_what_no_screen_can_show(pair):
    image, reference = pair
    bright = image + np.float32(0.3)
    assert flip(bright, reference) == flip(np.clip(bright, 0, 1), reference)


def test_flip_takes_any_memory_layout(pair):
    image, reference = pair
    turned = flip(image.transpose(1, 0, 2), reference.transpose(1, 0, 2))
    assert turned == flip(
        np.ascontiguousarray(image.transpose(1, 0, 2)),
        np.ascontiguousarray(reference.transpose(1, 0, 2)),
    )


def test_worse_images_score_worse(pair):
    image, reference = pair
    worse = np.clip(reference + 3 * (image - reference), 0, 1)
    assert mse(worse, reference) > mse(image, reference)
    assert ssim(worse, reference) < ssim(image, reference)
    assert flip(worse, reference) > flip(image, reference)
