"""How the window writes: numbers with fixed decimals and a unit, a dash where nothing was measured;
short names that tell light fields apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import PurePath

from r2l_core.errors import plain
from r2l_core.render.frames import Frame
from r2l_core.types import EngineInfo
from viewer.state.panes import NOTHING, TRUTHS

DASH = "–"
THIN_SPACE = "\u202f"


def number(value: float, decimals: int = 1) -> str:
    """`value` with fixed decimals and grouped thousands; a dash where it is not above 0."""
    if not math.isfinite(value) or value <= 0:
        return DASH
    return f"{value:,.{decimals}f}".replace(",", THIN_SPACE)


def gain(value: float) -> str:
    """How much a scale is stretched, in at most three figures below a thousand."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}".replace(",", THIN_SPACE)


def sentence(clause: str) -> str:
    """A clause such as an Availability's reason, as a sentence of its own."""
    return capital(clause).rstrip(".") + "." if clause else ""


def capital(clause: str) -> str:
    """A clause as a sentence begins."""
    return clause[:1].upper() + clause[1:]


_LONG_WORD = re.compile(r"[^\s/-]{25,}")
_PART = re.compile(r"([^._]{0,23}[._]|.{24})(?=.)")
_MAY_WRAP = "\u200b"


def breakable(text: str) -> str:
    """`text` with places to wrap, which cannot be seen, in words that have none and are long: a
    label is no narrower than its longest word, and neither is the window around it."""
    return _LONG_WORD.sub(lambda word: _PART.sub(rf"\1{_MAY_WRAP}", word[0]), text)


def memory(size_mb: float) -> tuple[str, str]:
    """Number and unit: MB below 1000 MB, GB above (decimal units, 1 GB = 1000 MB)."""
    if size_mb < 999.5:
        return number(size_mb, 0), "MB"
    return number(size_mb / 1000, 2), "GB"


def megabytes(size_bytes: int) -> str:
    """A weight size in MB (1 MB = 1,000,000 bytes)."""
    return f"{size_bytes / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Rounded for reading: "45 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(width_px: int, height_px: int) -> str:
    """Pixels across and down."""
    return f"{width_px}×{height_px}"


def source(engine: EngineInfo, light_field: str = "") -> str:
    """What a picture shows: a truth, or a precision, of which light field where that is said."""
    if engine.engine in TRUTHS:
        return engine.engine
    return f"{engine.precision} of {light_field}" if light_field else str(engine.precision)


def named(engine: EngineInfo, light_field: str = "") -> str:
    """As `source`, with the mix of layers where there is one."""
    return " – ".join(filter(None, (source(engine, light_field), engine.mix)))


def how(engine: EngineInfo) -> str:
    """Whether the arithmetic of a network's precision is native; empty where no network runs."""
    if engine.engine in (*TRUTHS, NOTHING):
        return ""
    return "native" if engine.emulated is None else "emulated"


def fidelity(engine: EngineInfo) -> str:
    """How near its picture is to that of fp32; empty where that was not measured."""
    return "" if engine.fidelity_db is None else f"{engine.fidelity_db:.1f} dB to fp32"


def is_preview(frame: Frame) -> bool:
    """Whether pixels are missing that come later."""
    return frame.stride > 1 and not frame.whole


def briefly(frame: Frame) -> str:
    """Whether every pixel was rendered, in a word; empty where there is no picture."""
    if frame.why_blank:
        return ""
    if is_preview(frame):
        return "preview"
    return "interpolated" if frame.interpolated_pixels else "exact"


def rendered(frame: Frame) -> str:
    """What was rendered: every pixel, all but some in flat areas, one in `stride` each way, or some
    beside those of the last picture; of a frame without a picture, why there is none."""
    if frame.why_blank:
        return frame.why_blank
    height_px, width_px, _ = frame.image.shape
    whole = size(width_px, height_px)
    if is_preview(frame):
        if frame.carried:
            share = max(1, round(100 * frame.known_share))
            return f"{share} % of {whole} computed · preview, carried along"
        columns, rows = -(-width_px // frame.stride), -(-height_px // frame.stride)
        # What was left of the time went to more pixels, where the contrast is highest.
        more = "+" if frame.network_rays > columns * rows else ""
        coarse = size(columns, rows) + more
        return f"{coarse} of {whole} · preview, interpolated"
    if frame.interpolated_pixels:
        share = 100 * frame.interpolated_pixels / (width_px * height_px)
        return f"{whole} · {share:.0f} % interpolated in flat areas"
    return f"{whole} · exact"


_ENDINGS = (".safetensors", ".tar")


def distinct_names(checkpoints: Iterable[str]) -> dict[str, str]:
    """A name for each of these names and paths: that of its file, without its ending, after as many
    of its folders as it takes until no two are equal."""
    paths = {one: PurePath(one) for one in checkpoints}
    bare = {one: _without_ending(path) for one, path in paths.items()}
    whole = {one: _or_longer(path, paths[one], bare) for one, path in bare.items()}
    names = {one: plain(path.name) for one, path in whole.items()}
    for depth in range(2, max((len(path.parts) for path in whole.values()), default=0) + 1):
        given = list(names.values())
        for one, path in whole.items():
            if given.count(names[one]) > 1:
                names[one] = plain(str(PurePath(*path.parts[-depth:])))
    return names


def short_name(checkpoint: str) -> str:
    """A name for one: that of its file, without its ending."""
    return plain(_without_ending(PurePath(checkpoint)).name)


def _without_ending(path: PurePath) -> PurePath:
    return path.with_suffix("") if path.suffix in _ENDINGS else path


def _or_longer(short: PurePath, path: PurePath, all_short: dict[str, PurePath]) -> PurePath:
    return path if list(all_short.values()).count(short) > 1 else short
