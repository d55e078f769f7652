"""A dataset's photographs: found inside its folder, measured before they are decoded."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from r2l_core import limits
from r2l_core.checkpoints.kinds import HEAD_BYTES, not_itself
from r2l_core.errors import DatasetError, first_line, system_reason

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
Background = tuple[float, float, float] | None
"""What shows through transparent pixels, sRGB in [0, 1]; None drops the transparency instead."""

_GIVE = "Give PNG, JPEG or WebP pictures of 8 bits a channel."
_OTHER_PICTURES = (
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"8BPS", "Photoshop"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftyp", "a film"),
)
"""Where a file has which bytes, and what it is then."""

_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
"""Of a JPEG: between them are numbers, where a 255 is followed by 0 or a mark to begin anew at."""

_SCAN, _END = 0xDA, 0xD9
_BARE = (0x01, 0xD8, _END)
"""Marks that nothing belongs to."""

WHOLE = 0.999
"""Of the area of a pixel: all of it, but for rounding."""

# Pillow warns of large pictures on stderr; here they are measured against a tighter limit.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def is_inside(root: Path, path: Path) -> bool:
    """Whether `path`, with all links followed, lies in the folder `root`."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # names no file system takes, loops of links
        return False


def image_size(path: Path) -> tuple[int, int]:
    """Width and height from a picture's header, without decoding it. Raises DatasetError."""
    with _opened(path) as image:
        return image.size


def require_sound(path: Path) -> None:
    """Decode a picture for nothing but to know that it can be. Raises DatasetError."""
    _decoded(path)


def read_image(path: Path, half: bool, background: Background) -> NDArray[np.float32]:
    """A picture as float32 (H, W, 3) in [0, 1]. Raises DatasetError.

    As published (load_blender.py and main.py of the released R2L code): first all channels, alpha
    included, are averaged over 2x2 pixels where `half`, then colours are laid over the background.
    """
    pixels = _decoded(path)
    height, width, channels = pixels.shape
    if half:
        height, width = max(height // 2, 1), max(width // 2, 1)

    def plane(channel: int) -> NDArray[np.float32]:
        values = pixels[..., channel].astype(np.float32)
        values /= 255
        return area_averaged(values, width, height) if half else values

    alpha = plane(3) if channels == 4 and background is not None else None
    colors = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        values = plane(channel)
        if alpha is not None and background is not None:
            # value*alpha + background*(1 - alpha), without further arrays of this size
            values -= background[channel]
            values *= alpha
            values += background[channel]
        colors[..., channel] = values
    return colors


def read_mask(path: Path, width: int, height: int) -> NDArray[np.bool_]:
    """Which pixels a mask keeps, (height, width): those that are bright, as programs that write
    masks have it. Made smaller, a pixel is kept whose whole area is. Raises DatasetError."""
    pixels = _decoded(path)
    brightness = pixels[..., :3].max(axis=2)
    if pixels.shape[2] == 4 and brightness.min() == brightness.max():
        brightness = pixels[..., 3]  # all of one colour: it masks by its transparency
    # Some write 1 for white.
    kept = brightness > brightness.max() / 2
    return kept if kept.shape == (height, width) else wholly_kept(kept, width, height)


def read_thumbnail(path: Path, size_px: int, background: Background) -> NDArray[np.uint8]:
    """A picture made to fit a square of `size_px` pixels: uint8 (h, w, 3). Raises DatasetError."""
    image = Image.fromarray(_decoded(path))
    image.thumbnail((size_px, size_px), Image.Resampling.BOX)
    if image.mode == "RGBA" and background is not None:
        red, green, blue = (round(255 * value) for value in background)
        image = Image.alpha_composite(Image.new("RGBA", image.size, (red, green, blue, 255)), image)
    return np.array(image.convert("RGB"))


def area_averaged(plane: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    resized = Image.fromarray(plane).resize((width, height), Image.Resampling.BOX)
    return np.array(resized, dtype=np.float32)


def wholly_kept(kept: NDArray[np.bool_], width: int, height: int) -> NDArray[np.bool_]:
    """A mask (H, W) for pixels of another size: those all of whose area it keeps."""
    whole: NDArray[np.bool_] = area_averaged(kept.astype(np.float32), width, height) > WHOLE
    return whole


def _decoded(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), or (H, W, 4) where the picture has transparency."""
    with _opened(path) as image:
        if image.mode in ("I", "F") or image.mode.startswith("I;"):
            raise _unreadable(path, f"its pixels are of the kind {image.mode}, not 8-bit colours")
        if image.format in ("JPEG", "MPO") and _passes(path) > limits.JPEG_PASSES:
            why = f"it is decoded in more than {limits.JPEG_PASSES} passes"
            raise _unreadable(path, why, "Save it again with another program.")
        transparent = image.mode in ("RGBA", "LA", "PA", "La") or "transparency" in image.info
        try:
            return np.asarray(image.convert("RGBA" if transparent else "RGB"))
        except Exception as error:  # what decoders raise over damaged data is not written down
            raise _unreadable(path, f"it is damaged ({first_line(error)})") from error


def _opened(path: Path) -> Image.Image:
    """An image whose header is read and whose size is bounded."""
    try:
        if not path.is_file():
            raise _unreadable(path, "there is no such file")
        image = Image.open(path, formats=("PNG", "JPEG", "WEBP"))
    except DatasetError:
        raise
    except Exception as error:  # as above; a size beyond Pillow's own limit comes here, too
        head = _head(path)
        what, remedy = not_itself(head) or (_kind(head), _GIVE)
        raise _unreadable(
            path, what or f"it is no picture ({first_line(error)})", remedy
        ) from error
    width, height = image.size
    if not limits.fits(width, height):
        image.close()
        raise _unreadable(
            path,
            f"{width}x{height} is more than the {limits.PICTURE_PX} pixels that are opened, or "
            f"than {limits.SIDE_PX} along a side",
            f"Make the pictures smaller, up to {math.isqrt(limits.PICTURE_PX)} by as many pixels.",
        )
    return image


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b"?"


def _kind(head: bytes) -> str:
    """What a picture is that is not of the kinds that are opened, a clause; empty where that is not
    known."""
    kinds = (kind for at, start, kind in _OTHER_PICTURES if head[at:].startswith(start))
    found = next(kinds, "")
    return found and f"it is of the kind {found}"


def _passes(path: Path) -> int:
    """How often the decoder goes over all pixels of a JPEG, up to one more than it may: a few bytes
    can ask for another time."""
    try:
        if path.stat().st_size > limits.JPEG_BYTES:
            why = f"it is larger than {limits.JPEG_BYTES >> 20} MB"
            raise _unreadable(path, why, "Save it again with another program.")
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, system_reason(error)) from error
    at, passes = 2, 0
    while passes <= limits.JPEG_PASSES and (mark := _MARK.search(data, at)) is not None:
        kind, at = mark[0][1], mark.end()
        if kind == _END:
            break
        passes += kind == _SCAN
        if kind not in _BARE:  # what follows is no picture, but may look like one
            at += int.from_bytes(data[at : at + 2], "big")
    return passes


def _unreadable(path: Path, why: str, remedy: str = _GIVE) -> DatasetError:
    return DatasetError(f"The picture {path} cannot be read", why, remedy)
