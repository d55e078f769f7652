"""Numbers as the window writes them: fixed decimals, a unit, a dash where nothing was measured."""

from __future__ import annotations

import math

DASH = "–"
THIN_SPACE = "\u202f"


def number(value: float, decimals: int = 1) -> str:
    """`value` with fixed decimals and grouped thousands; a dash where it is not above 0."""
    if not math.isfinite(value) or value <= 0:
        return DASH
    return f"{value:,.{decimals}f}".replace(",", THIN_SPACE)


def memory(size_mb: float) -> tuple[str, str]:
    """Number and unit: MB below 1000 MB, GB above (decimal units, 1 GB = 1000 MB)."""
    if size_mb < 999.5:
        return number(size_mb, 0), "MB"
    return number(size_mb / 1000, 2), "GB"


def megabytes(size_bytes: int) -> str:
    """A weight size in MB (1 MB = 1,000,000 bytes)."""
    return f"{size_bytes / 1e6:.1f} MB"


def size(width_px: int, height_px: int) -> str:
    """Pixels across and down."""
    return f"{width_px}×{height_px}"


def rendered(width_px: int, height_px: int, stride: int) -> str:
    """What was rendered: every pixel, or one in `stride` each way and the rest filled in."""
    if stride <= 1:
        return f"{size(width_px, height_px)} · exact"
    coarse = size(-(-width_px // stride), -(-height_px // stride))
    return f"{coarse} of {size(width_px, height_px)} · preview, interpolated"
