"""`eval --html`: one file with every number, picture and difference, that needs nothing else.

Differences are coloured on a logarithmic scale that all maps share: what eight bits change is a
hundred times smaller than what separates a light field from the truth, and both have to be seen.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image as PillowImage

from r2l_core.evaluation.evaluation import EvaluatedView
from r2l_core.files import write_text
from r2l_core.images.colors import color_map
from r2l_core.images.difference import WORST_CHANNEL, DifferenceKind, Image, difference_map
from r2l_core.images.metrics import STEP_8_BIT, pixel_errors
from r2l_core.model.light_field import LightField
from r2l_core.types import Precision, to_uint8

MAX_VIEWS = 12
"""Views shown with pictures, evenly spread: a few megabytes each would not open in any browser."""

LOWEST = 0.1 * STEP_8_BIT
"""Differences up to this have the darkest colour; those of full scale have the brightest."""

_COLORS = 255
_NOT_FINITE = 255
"""Index of the colour for pixels that have no difference: neutral, which the scale never is."""


@dataclass(frozen=True)
class _Row:
    """Pictures of one precision in one view, as data URIs, and what to say below them."""

    name: str
    picture: str
    to_fp32: str | None
    to_fp32_text: str
    to_truth: str
    to_truth_text: str


class HtmlReport:
    """Collects an evaluation's views as they are rendered, and writes them down at the end."""

    def __init__(self, light_field: LightField, n_views: int) -> None:
        self._light_field = light_field
        n_shown = min(n_views, MAX_VIEWS)
        self.shown = frozenset(np.linspace(0, n_views - 1, n_shown).round().astype(int).tolist())
        """Indices of the views that have to be given."""
        self._truths: dict[int, str] = {}
        self._rows: dict[int, list[_Row]] = {}

    def add(self, view: EvaluatedView) -> None:
        """Take one view in one precision; those of a view come one after the other."""
        if view.index not in self.shown:
            return
        if view.index not in self._rows:
            self._truths[view.index] = picture_uri(view.truth)
            errors = pixel_errors(view.fp32, view.truth)
            # fp32 is what the others are compared with, so it is there whether evaluated or not.
            self._rows[view.index] = [
                _Row(
                    name=Precision.FP32,
                    picture=picture_uri(view.fp32),
                    to_fp32=None,
                    to_fp32_text="",
                    to_truth=map_uri(view.fp32, view.truth),
                    to_truth_text=f"{_number(errors.psnr_db)} dB",
                )
            ]
        if view.precision is Precision.FP32:
            return
        self._rows[view.index].append(
            _Row(
                name=view.precision,
                picture=picture_uri(view.image),
                to_fp32=map_uri(view.image, view.fp32),
                to_fp32_text=f"{_number(view.scores.to_fp32.psnr_db)} dB, "
                f"at most {_number(view.scores.to_fp32.max_abs, 3)}",
                to_truth=map_uri(view.image, view.truth),
                to_truth_text=f"{_number(view.scores.to_truth.psnr_db)} dB",
            )
        )

    def write(self, path: Path, report: dict[str, Any]) -> None:
        """Write the file. report: `Evaluation.report()`, facts about the dataset or None as
        `dataset`, and `Shimmer.report()` or None as `turntable`. Raises RecordingError."""
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["number"] = _number
        template = environment.get_template("evaluation.html.j2")
        text = template.render(
            light_field=self._light_field,
            report=report,
            difference=WORST_CHANNEL,
            views=[(index, self._truths[index], self._rows[index]) for index in sorted(self._rows)],
            scale=_png(np.arange(_COLORS, dtype=np.uint8)[None], _palette()),
        )
        write_text(path, text)


def picture_uri(colors: Image) -> str:
    """float32 (H, W, 3) as a PNG data URI, rounded to 8 bits; see `to_uint8`."""
    return _png(to_uint8(colors))


def map_uri(image: Image, reference: Image) -> str:
    """The absolute difference of two pictures as a PNG data URI, in colour."""
    values = difference_map(DifferenceKind.ABSOLUTE, image, reference)
    share = np.log(np.clip(values, LOWEST, 1.0) / LOWEST) / math.log(1.0 / LOWEST)
    indices = np.rint(np.nan_to_num(share) * (_COLORS - 1)).astype(np.uint8)
    return _png(np.where(np.isnan(values), np.uint8(_NOT_FINITE), indices), _palette())


def _palette() -> bytes:
    return color_map("inferno", _COLORS).tobytes() + bytes((128, 128, 128))


def _png(pixels: NDArray[np.uint8], palette: bytes | None = None) -> str:
    picture = PillowImage.fromarray(pixels)
    if palette is not None:
        picture.putpalette(palette)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _number(value: float | None, digits: int = 2) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"
