"""One reading of the measurements, as the panels show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageCost:
    """Where the time of one image went, in ms, and how fine it is: `stride` 1 is exact.

    paint_ms: 0 where it was replaced before it was painted.
    """

    rays_ms: float = 0.0
    encode_ms: float = 0.0
    network_ms: float = 0.0
    copy_ms: float = 0.0
    paint_ms: float = 0.0
    stride: int = 1

    @property
    def parts_ms(self) -> tuple[float, ...]:
        """In the order of `PARTS`."""
        return self.rays_ms, self.encode_ms, self.network_ms, self.copy_ms, self.paint_ms


PARTS = ("rays", "encode", "network", "copy", "paint")


@dataclass(frozen=True)
class PerformanceReadout:
    """One smoothed reading. Zero or NaN means not measured yet.

    images_per_s: new network images a second (repaints do not count). frame_ms: time of the last
    image. krays_per_s: thousands of rays through the network a second. latency_p50_ms and
    latency_p95_ms: from a gesture to the pixels on the screen, over the last two seconds. stride,
    width_px, height_px: what was rendered. memory_mb: resident memory in units of 1,000,000 bytes.
    moving: pictures of more than one camera came in the last second.
    mean: parts of the images of the last second. history: the latest images, oldest first.
    """

    images_per_s: float = 0.0
    frame_ms: float = 0.0
    krays_per_s: float = 0.0
    latency_p50_ms: float = 0.0
    latency_p95_ms: float = 0.0
    stride: int = 1
    moving: bool = False
    width_px: int = 0
    height_px: int = 0
    memory_mb: float = 0.0
    mean: ImageCost = ImageCost()
    history: tuple[ImageCost, ...] = ()
