"""Image quality: how far a float32 (H, W, 3) sRGB image in [0, 1] is from its reference.

`compare` measures everything at once. An image with numbers that are not finite scores NaN, and so
does one of which no pixel counts.

Where only some pixels count, the others are left out of every mean; for SSIM, FLIP and LPIPS, which
look at the surroundings of a pixel, both images are black there, so that what they show does not
matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.images.difference import Image, as_float, flip_map
from r2l_core.images.perceptual import lpips

STEP_8_BIT = 1 / 255
"""The least difference that an eight-bit screen can show."""

_SSIM_WINDOW_PX = 11

_STEP_TOLERANCE = 1e-6
"""Eight-bit values divided by 255 are off by this at most, in float32."""


@dataclass(frozen=True)
class PixelErrors:
    """What plain arithmetic says, over all channels of the pixels that count; peak 1 is white
    against black.

    psnr_db: infinite where the images are equal. off_by_1_255_percent: pixels of which a channel
    is off by 1/255 or more.
    """

    mse: float
    psnr_db: float
    max_abs: float
    mean_abs: float
    off_by_1_255_percent: float


@dataclass(frozen=True)
class ImageComparison(PixelErrors):
    """All there is to say about an image and its reference.

    ssim: NaN where the image is smaller than its window. flip: mean, 0 is identical. lpips: None
    where it was not measured, and `lpips_why_not` says why.
    """

    ssim: float
    flip: float
    lpips: float | None
    lpips_why_not: str = ""


def compare(
    image: NDArray[Any], reference: NDArray[Any], counted: NDArray[np.bool_] | None = None
) -> ImageComparison:
    """Measure everything. Both (H, W, 3), float32 in [0, 1] or uint8. `counted`: which pixels
    count, (H, W); None: all of them.

    Takes about a quarter of a second at 400 x 400, nearly all of it for FLIP. Raises ValueError
    for images that are not alike.
    """
    image, reference = as_float(image), as_float(reference)
    errors = pixel_errors(image, reference, counted)
    finite = math.isfinite(errors.mse)
    if counted is not None:
        image, reference = (np.where(counted[..., None], one, np.float32(0))
                            for one in (image, reference))  # fmt: skip
    why_not = "the image is not finite" if counted is None or counted.any() else "no pixel counts"
    distance, why_not = lpips(image, reference) if finite else (None, why_not)
    return ImageComparison(
        **{field.name: getattr(errors, field.name) for field in fields(errors)},
        ssim=ssim(image, reference, counted) if finite else math.nan,
        flip=flip(image, reference, counted) if finite else math.nan,
        lpips=distance,
        lpips_why_not=why_not,
    )


def pixel_errors(
    image: NDArray[Any], reference: NDArray[Any], counted: NDArray[np.bool_] | None = None
) -> PixelErrors:
    """The measurements that take no time. Inputs and errors as for `compare`."""
    image, reference = as_float(image), as_float(reference)
    if image.shape != reference.shape or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"{image.shape} and {reference.shape} are not two (H, W, 3) images")
    if counted is not None:
        if counted.shape != image.shape[:2]:
            raise ValueError(f"{counted.shape} does not say which pixels of {image.shape} count")
        image, reference = image[counted][None], reference[counted][None]
    if not image.size or not (np.isfinite(image).all() and np.isfinite(reference).all()):
        return PixelErrors(math.nan, math.nan, math.nan, math.nan, math.nan)
    error = mse(image, reference)
    difference = np.abs(image.astype(np.float64) - reference.astype(np.float64))
    largest = difference.max(axis=2)
    off = largest >= STEP_8_BIT - _STEP_TOLERANCE
    return PixelErrors(
        mse=error,
        psnr_db=psnr_db(error),
        max_abs=float(largest.max()),
        mean_abs=float(difference.mean()),
        off_by_1_255_percent=100.0 * float(off.mean()),
    )


def mse(image: Image, reference: Image) -> float:
    """Mean squared error over all pixels and channels."""
    difference = image.astype(np.float64) - reference.astype(np.float64)
    return float(np.mean(difference * difference))


def psnr_db(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1; infinite where the error is zero."""
    return math.inf if mean_squared_error == 0 else -10.0 * math.log10(mean_squared_error)


def ssim(image: Image, reference: Image, counted: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), colour as channels.

    NaN where no window of 11 pixels lies in the image about a pixel that counts.
    """
    from skimage.metrics import structural_similarity  # costs a second: only where needed

    if min(image.shape[:2]) < _SSIM_WINDOW_PX:
        return math.nan
    mean, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        reference,
        image,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    if counted is None:
        return float(mean)
    inner = slice(_SSIM_WINDOW_PX // 2, -(_SSIM_WINDOW_PX // 2))
    of_counted = similarity[inner, inner][counted[inner, inner]]
    return float(of_counted.mean(dtype=np.float64)) if of_counted.size else math.nan


def flip(image: Image, reference: Image, counted: NDArray[np.bool_] | None = None) -> float:
    """Mean of `flip_map`."""
    errors = flip_map(image, reference)
    return float((errors if counted is None else errors[counted]).mean(dtype=np.float64))
