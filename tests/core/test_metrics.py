"""Metrics against scikit-image and FLIP, called here once more, and against plain formulas."""

from __future__ import annotations

import math

import flip_evaluator
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.building import build_engine
from r2l_core.images.difference import flip_map
from r2l_core.images.metrics import compare, flip, mse, pixel_errors, psnr_db, ssim
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.training.teachers import supersampled_image, teacher_of
from r2l_core.types import Precision

pytestmark = pytest.mark.slow


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


# --- all at once -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames():
    """The demo at 40 x 40 in two precisions, and its truth: float32 (40, 40, 3) each, by name."""
    light_field = load_light_field("demo")
    camera = light_field.scene.home().camera(40, 40, light_field.scene.focal_px(40))
    made = {"truth": supersampled_image(teacher_of(light_field.scene), camera).numpy()}
    for precision in (Precision.FP32, Precision.WEIGHTS_INT8_FAKE):
        engine = build_engine(light_field, precision, "torch", "cpu")
        made[precision.value] = render_image(
            NetworkSource(engine, light_field.scene), camera
        ).numpy()
    return made


@pytest.mark.parametrize(
    ("name", "reference"),
    [("fp32", "truth"), ("weights-int8-fake", "fp32"), ("weights-int8-fake", "truth")],
)
def test_real_frames_against_the_libraries(frames, name, reference):
    """Each library asked in its own words: 64-bit PSNR, grey SSIM per channel, FLIP by itself."""
    image, truth = frames[name], frames[reference]
    scores = compare(image, truth)
    expected_db = peak_signal_noise_ratio(
        truth.astype(np.float64), image.astype(np.float64), data_range=1.0
    )
    assert scores.psnr_db == pytest.approx(expected_db, abs=1e-3)
    assert 15 < expected_db < 60
    channels = [
        structural_similarity(
            truth[..., c],
            image[..., c],
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for c in range(3)
    ]
    assert scores.ssim == pytest.approx(np.mean(channels), abs=1e-3)
    _, expected_flip, _ = flip_evaluator.evaluate(truth, image, "LDR")
    assert scores.flip == pytest.approx(expected_flip, abs=1e-3)
    assert scores.flip > 1e-3


def test_eight_bit_frames_are_taken_as_they_are_shown(frames):
    image, truth = (to_uint8_array(frames[name]) for name in ("fp32", "truth"))
    expected = compare(image.astype(np.float32) / 255, truth.astype(np.float32) / 255)
    assert compare(image, truth) == expected


def to_uint8_array(colors: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8)


def test_pixel_errors_of_known_pixels():
    reference = np.full((2, 5, 3), 100, np.uint8)
    image = reference.copy()
    image[0, 0, 1] += 1  # one channel is enough, and a single step counts
    image[1, 4] -= 51
    errors = pixel_errors(image, reference)
    assert errors.off_by_1_255_percent == pytest.approx(20.0)
    assert errors.max_abs == pytest.approx(0.2, abs=1e-6)
    assert errors.mean_abs == pytest.approx((1 + 3 * 51) / 255 / 30, abs=1e-6)
    assert errors.mse == pytest.approx((1 + 3 * 51**2) / 255**2 / 30, abs=1e-6)
    assert errors.psnr_db == pytest.approx(psnr_db(errors.mse))


def test_every_single_eight_bit_step_counts():
    steps = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    errors = pixel_errors(steps[1:], steps[:-1])
    assert errors.off_by_1_255_percent == 100
    just_below = steps[:-1].astype(np.float32) / 255 + np.float32(0.99 / 255)
    assert pixel_errors(just_below, steps[:-1]).off_by_1_255_percent == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 1, (0, 1)])
def test_what_is_not_finite_has_no_score(pair, value, which):
    images = [x.copy() for x in pair]
    for index in np.atleast_1d(which):
        images[index][3, 4, 1] = value
    scores = compare(*images)
    for name in ("mse", "psnr_db", "max_abs", "mean_abs", "off_by_1_255_percent", "ssim", "flip"):
        assert math.isnan(getattr(scores, name)), name
    assert scores.lpips is None


@pytest.mark.parametrize("shape", [(40, 55, 3), (40, 56), (40, 56, 4), (1, 56, 3)])
def test_images_that_are_not_alike(pair, shape):
    with pytest.raises(ValueError, match="not two"):
        compare(pair[0], np.zeros(shape, np.float32))


def test_images_of_another_type(pair):
    with pytest.raises(ValueError, match="int64"):
        compare(pair[0], np.zeros(pair[0].shape, np.int64))
    with pytest.raises(ValueError, match="not two"):
        compare(np.zeros((0, 4, 3), np.float32), np.zeros((0, 4, 3), np.float32))


def test_the_flip_map_is_the_package_s_own(pair):
    image, reference = pair
    expected, _, _ = flip_evaluator.evaluate(reference, image, "LDR", applyMagma=False)
    np.testing.assert_array_equal(flip_map(image, reference), np.asarray(expected)[..., 0])


# --- pixels that do not count ------------------------------------------------------------------


@pytest.fixture
def counted(pair) -> np.ndarray:
    """The right-hand two thirds."""
    counted = np.ones(pair[0].shape[:2], np.bool_)
    counted[:, :18] = False
    return counted


def test_what_does_not_count_changes_no_number(pair, counted):
    image, reference = pair
    spoiled, other = image.copy(), reference.copy()
    spoiled[~counted], other[~counted] = 1.0, 0.3
    assert compare(spoiled, other, counted) == compare(image, reference, counted)


def test_what_counts_is_measured_as_alone(pair, counted):
    image, reference = pair
    found = compare(image, reference, counted)
    part = compare(image[:, 18:], reference[:, 18:])
    for name in ("mse", "psnr_db", "max_abs", "mean_abs", "off_by_1_255_percent"):
        assert getattr(found, name) == pytest.approx(getattr(part, name), rel=1e-6)
    assert found.ssim == pytest.approx(part.ssim, abs=0.02)
    assert found.flip == pytest.approx(part.flip, abs=0.02)


def test_all_pixels_counted_is_the_same_as_no_mask(pair):
    image, reference = pair
    everything = np.ones(image.shape[:2], np.bool_)
    found, plain = compare(image, reference, everything), compare(image, reference)
    assert (found.mse, found.flip) == pytest.approx((plain.mse, plain.flip))
    assert found.ssim == pytest.approx(plain.ssim, abs=1e-6)


def test_of_no_pixels_there_are_no_numbers(pair):
    image, reference = pair
    found = compare(image, reference, np.zeros(image.shape[:2], np.bool_))
    assert all(map(math.isnan, (found.mse, found.psnr_db, found.max_abs, found.ssim, found.flip)))
    assert (found.lpips, found.lpips_why_not) == (None, "no pixel counts")


def test_masks_of_another_shape_are_mistakes(pair):
    with pytest.raises(ValueError, match="count"):
        compare(*pair, np.ones((3, 3), np.bool_))
