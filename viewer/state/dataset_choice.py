"""Which dataset is open, and how its files are taken. Knows nothing of Qt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetChoice:
    """The arguments of `open_dataset`. No `split`: the first there is of test, val and train."""

    path: str
    split: str = ""
    half_res: bool = False
    spherify: bool = False
    keep_background: bool = False


VARIANTS = {
    "blender": ("keep_background", "On white", "Background kept"),
    "llff": ("spherify", "Forward-facing (NDC)", "All around (spherified)"),
}
"""By the kind of a dataset: a flag of DatasetChoice, and what it is called off and on."""
