"""The libraries in the package: they are what the source gives, and small."""

from __future__ import annotations

import pytest

from r2l_core.engines.fused import build
from r2l_core.engines.fused.library import BUILT, library_name

pytestmark = pytest.mark.slow

REBUILT = [target for target in build.TARGETS if target[0] != "darwin"]


@pytest.mark.parametrize(("system", "architecture"), REBUILT, ids="-".join)
def test_they_are_built_from_this_source(system, architecture, tmp_path):
    """Byte for byte, from another folder. To mend it: `python -m r2l_core.engines.fused.build`."""
    built = build.build(system, architecture, tmp_path)
    assert built.read_bytes() == (BUILT / built.name).read_bytes()


def test_there_is_one_for_every_system():
    names = {library_name(*target) for target in build.TARGETS}
    assert {path.name for path in BUILT.iterdir()} == names
    assert sum(path.stat().st_size for path in BUILT.iterdir()) <= 1e6
