"""Numbers as people type and paste them: one reading everywhere, whatever the system's locale."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WRITTEN_OUT = {"°": ("deg", "degree", "degrees"), "s": ("sec", "second", "seconds")}
"""Other ways to write a unit."""
_MINUS_SIGNS = str.maketrans("\u2212\u2013", "--")
"""What typography and other programs use for a minus."""


def parse_number(text: str, unit: str = "") -> float | None:
    """The number in `text`, or None where there is none.

    A point and a comma are both decimal marks, and neither groups digits: two marks are no number.
    Spaces of any kind are passed over, and so is `unit` behind the number.
    """
    compact = "".join(text.translate(_MINUS_SIGNS).split())
    compact = _without_unit(compact, unit.strip())
    if _NUMBER.fullmatch(compact) is None:
        return None
    value = float(compact.replace(",", "."))
    return value if abs(value) != float("inf") else None


def _without_unit(text: str, unit: str) -> str:
    # Twice where one was typed in front of the one that the field shows.
    names = sorted({unit, *_WRITTEN_OUT.get(unit, ())} - {""}, key=len, reverse=True)
    while (name := next((one for one in names if text.lower().endswith(one.lower())), "")) != "":
        text = text[: -len(name)]
    return text


def may_become_number(text: str, unit: str = "") -> bool:
    """Whether `text` has nothing that no number with this unit could hold."""
    unit = unit.strip()
    letters = set("".join((unit, *_WRITTEN_OUT.get(unit, ()))).lower())
    return all(
        one.isdigit() or one.isspace() or one in "+-.,e" or one in letters
        for one in text.translate(_MINUS_SIGNS).lower()
    )
