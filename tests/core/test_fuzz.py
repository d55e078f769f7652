"""Three hundred damaged files of every format: opened, or refused in one clean paragraph."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.formats import FORMATS, try_one


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(name):
    @seed(1)
    @settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=True))
    def damage(random):
        try_one(name, random)

    damage()


@pytest.mark.parametrize("name", FORMATS)
def test_the_sound_file_opens(name, tmp_path):
    """Or the damaged ones would all be refused for the same reason."""
    form = FORMATS[name]
    form.write(tmp_path)
    form.opened(tmp_path / form.name)
