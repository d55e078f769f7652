"""A dataset's photographs: found inside its folder, measured before they are decoded.

They are found however their names were written.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from r2l_core import limits
from r2l_core.errors import DatasetError, first_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
Background = tuple[float, float, float] | None
"""What shows through transparent pixels, sRGB in [0, 1]; None drops the transparency instead."""

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
    brightness = _decoded(path)[..., :3].max(axis=2)
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
        raise _unreadable(path, f"it is no picture ({first_line(error)})") from error
    width, height = image.size
    if width * height > limits.PICTURE_PX:
        image.close()
        raise _unreadable(
            path,
            f"{width}x{height} is more than the {limits.PICTURE_PX} pixels that are opened",
            f"Make the pictures smaller, up to {math.isqrt(limits.PICTURE_PX)} by as many pixels.",
        )
    return image


def _unreadable(
    path: Path, why: str, remedy: str = "Give PNG, JPEG or WebP pictures of 8 bits a channel."
) -> DatasetError:
    return DatasetError(f"The picture {path} cannot be read", why, remedy)


_MAX_LISTED = 200_000
"""Names of a folder that are looked through for one that differs in its letters' case."""


class PictureFinder:
    """Finds pictures in the folder of one dataset. Folders are listed once.

    Names may have the separators of Windows, other letters' case than the file, no ending or one
    too many: all of that comes from programs in use. The name as it stands comes first.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path | None:
        """The picture of that name; None where there is none. Raises ValueError where the name
        leads out of the dataset's folder, whether or not there is something."""
        spellings = dict.fromkeys((name, name.replace("\\", "/")))
        for spelling in spellings:
            if not is_inside(self._root, self._root / spelling):
                raise ValueError("leads out of the dataset's folder")
        for spelling in spellings:
            if (found := self._find(spelling)) is not None:
                if not is_inside(self._root, found):  # a link
                    raise ValueError("leads out of the dataset's folder")
                return found
        return None

    def _find(self, name: str) -> Path | None:
        wanted = self._root / name
        candidates = [wanted] if wanted.suffix.lower() in SUFFIXES else []
        if candidates and wanted.with_suffix("").suffix.lower() in SUFFIXES:
            candidates.append(wanted.with_suffix(""))  # x.png.png
        if not candidates:
            candidates = [Path(f"{wanted}{suffix}") for suffix in SUFFIXES]
        try:
            exact = next((path for path in candidates if path.is_file()), None)
            return exact or next(filter(None, map(self._in_any_case, candidates)), None)
        except (OSError, ValueError):  # a name no file system takes
            return None

    def _in_any_case(self, wanted: Path) -> Path | None:
        """The file whose path differs from the wanted one in the case of its letters at most."""
        try:
            parts = wanted.relative_to(self._root).parts
        except ValueError:
            return None
        folder = self._root
        for part in parts:
            exact = folder / part
            if part == ".." or exact.exists():
                folder = exact
                continue
            actual = self._names(folder).get(part.lower())
            if actual is None:
                return None
            folder /= actual
        return folder if folder.is_file() else None

    def _names(self, folder: Path) -> dict[str, str]:
        """What a folder holds, by its names in small letters."""
        if folder not in self._listed:
            names: dict[str, str] = {}
            if folder.is_dir():
                for at, path in enumerate(folder.iterdir()):
                    if at >= _MAX_LISTED:
                        break
                    names.setdefault(path.name.lower(), path.name)
            self._listed[folder] = names
        return self._listed[folder]
