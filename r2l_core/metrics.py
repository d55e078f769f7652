"""Image quality: PSNR, SSIM and FLIP of float32 (H, W, 3) sRGB images in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def mse(image: Image, reference: Image) -> float:
    """Mean squared error over all pixels and channels."""
    difference = image.astype(np.float64) - reference.astype(np.float64)
    return float(np.mean(difference * difference))


def psnr_db(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1; infinite where the error is zero."""
    return math.inf if mean_squared_error == 0 else -10.0 * math.log10(mean_squared_error)


def ssim(image: Image, reference: Image) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), colour as channels.

    NaN where the image is smaller than the 11-pixel window.
    """
    from skimage.metrics import structural_similarity  # costs a second: only where needed

    if min(image.shape[:2]) < 11:
        return math.nan
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            reference,
            image,
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def flip(image: Image, reference: Image) -> float:
    """Mean FLIP error (Andersson et al. 2020, LDR, NVIDIA's own implementation, 67 pixels per
    degree): 0 is identical."""
    import flip_evaluator

    _, mean, _ = flip_evaluator.evaluate(
        np.ascontiguousarray(reference, dtype=np.float32),
        np.ascontiguousarray(np.clip(image, 0.0, 1.0), dtype=np.float32),
        "LDR",
        applyMagma=False,
    )
    return float(mean)
