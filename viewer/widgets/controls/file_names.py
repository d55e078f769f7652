"""Short names of light fields that tell them apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from r2l_core.errors import plain

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


def _without_ending(path: PurePath) -> PurePath:
    return path.with_suffix("") if path.suffix in _ENDINGS else path


def _or_longer(short: PurePath, path: PurePath, all_short: dict[str, PurePath]) -> PurePath:
    return path if list(all_short.values()).count(short) > 1 else short
