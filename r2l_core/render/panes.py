"""A pane of a comparison: a source, and the last picture that was made of it."""

from __future__ import annotations

from r2l_core.geometry.camera import Camera
from r2l_core.render.progressive_image import ProgressiveImage
from r2l_core.render.sources import PixelSource

_LEAST_SHARE = 0.1
"""After a view past the scene, of which a source is asked nothing, a whole picture would seem to
cost nothing."""


class Pane:
    """One source, the last picture that was made of it, and what its frames are labelled with."""

    def __init__(self, source: PixelSource) -> None:
        self.source = source
        self.light_field = ""
        """See Frame."""
        self.asked_share = 1.0
        """Share of a preview's pixels that the source is probably asked about."""
        self._image: ProgressiveImage | None = None

    def image(self, camera: Camera, flat_tolerance: float) -> ProgressiveImage:
        """The picture of that camera as far as it is known; a new one where it is not."""
        image = self._image
        if image is None or not image.shows(camera, flat_tolerance):
            image = self._image = ProgressiveImage(self.source, camera, flat_tolerance)
        return image

    def was_asked(self, n_rays: int, n_pixels: int) -> None:
        """Note of how many of a preview's pixels that were not known the source was asked."""
        if n_pixels:
            self.asked_share = max(n_rays / n_pixels, _LEAST_SHARE)
