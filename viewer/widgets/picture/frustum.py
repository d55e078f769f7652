"""What a camera takes in, as lines in the picture of another."""

from __future__ import annotations

import numpy as np

from r2l_core.geometry.camera import Camera
from viewer.widgets.picture.drawn_overlays import Point

Lines = tuple[tuple[Point, ...], ...]


def frustum_lines(seen_by: Camera, of: Camera, depth: float) -> Lines:
    """The pyramid from the eye of `of` to its picture `depth` world units ahead, in image pixels of
    `seen_by`; nothing where a part of it is behind that."""
    across = np.array([0.0, of.width_px, of.width_px, 0.0]) - of.center_px[0]
    down = np.array([0.0, 0.0, of.height_px, of.height_px]) - of.center_px[1]
    corners = np.stack([across / of.focal_px, -down / of.fy_px, -np.ones(4)], axis=1) * depth
    world = corners @ of.T_world_camera[:3, :3].T + of.position
    pixels, depths = seen_by.projected(np.concatenate([[of.position], world]))
    if (depths <= 0).any():
        return ()
    apex, *base = [(float(x), float(y)) for x, y in pixels]
    return ((*base, base[0]), *((apex, corner) for corner in base))
