"""Live films: pictures come when they come, and the film is as long as the clock says."""

from __future__ import annotations

import csv
import json

import imageio.v3 as iio
import numpy as np
import pytest

from r2l_core.errors import RecordingError
from r2l_core.recording.live import LiveRecording, Seen

pytestmark = pytest.mark.slow


def test_a_film_is_as_long_as_the_clock_says(tmp_path):
    film = LiveRecording(tmp_path / "f.png", (2, 2), 10.0)
    for shown_s, grey in ((0.0, 10), (0.25, 20), (0.26, 30), (0.5, 40)):
        film.show(Seen(shown_s, np.full((2, 2, 3), grey, np.uint8), facts={"stride": 1}))
    film.finish(0.8)
    files = sorted(tmp_path.glob("f_*.png"))
    assert [int(iio.imread(file)[0, 0, 0]) for file in files] == [10] * 3 + [30] * 2 + [40] * 3
    with (tmp_path / "f.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["shown_s"] for row in rows[:4]] == ["0.0", "0.0", "0.0", "0.26"]
    assert json.loads((tmp_path / "f.json").read_text())["state"] == "finished"


def test_pictures_of_another_size_are_made_to_fit(tmp_path):
    film = LiveRecording(tmp_path / "f.png", (8, 4), 10.0)
    film.show(Seen(0.0, np.full((8, 8, 3), 200, np.uint8)))
    film.finish(0.1)
    seen = iio.imread(tmp_path / "f_00000.png")
    assert (seen[:, 2:6] == 200).all()
    assert not seen[:, :2].any()


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "f.csv").write_text("mine")
    with pytest.raises(RecordingError, match="is there already"):
        LiveRecording(tmp_path / "f.png", (8, 4), 10.0)
    assert (tmp_path / "f.csv").read_text() == "mine"
