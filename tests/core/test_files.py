"""Files are the old ones or the new ones, never half of each."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from r2l_core.errors import ExportError
from r2l_core.files import replacing, write_json

ROOT = Path(__file__).parents[2]
WHAT = "It could not be written"


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["x.json", "x", "x.tar.gz", "ä" * 120 + ".json", ".hidden"])
def test_a_new_file_takes_the_place_of_the_old_one(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    with replacing(path, ExportError, WHAT) as new:
        assert path.suffix in ("", new.suffix)
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_on_the_way_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "x.json"
    path.write_text("old")

    def write() -> None:
        with replacing(path, ExportError, WHAT) as new:
            new.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.json"]


def test_two_may_write_to_one_file_at_the_same_time(tmp_path):
    path = tmp_path / "x"
    with replacing(path, ExportError, WHAT) as first, replacing(path, ExportError, WHAT) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"


def test_what_the_system_refuses_is_one_error(tmp_path):
    def write(path, **options) -> None:
        with replacing(path, ExportError, WHAT, **options) as new:
            new.write_text("new")

    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for path in (tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(ExportError) as caught:
            write(path)
        assert caught.value.what == WHAT
        assert caught.value.why == caught.value.why.lower() != ""
        assert "folder" in caught.value.remedy
    with pytest.raises(ExportError, match="no such file"):
        write(tmp_path / "gone" / "x", make_folder=False)
    write(tmp_path / "gone" / "x")
    assert (tmp_path / "gone" / "x").read_text() == "new"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link", ExportError, WHAT) as new:
        new.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("linked", [False, True])
def test_pipes_and_devices_are_written_to_and_not_replaced(tmp_path, linked):
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    (tmp_path / "link.json").symlink_to(pipe)
    reader = os.open(pipe, os.O_RDWR)
    try:
        write_json(tmp_path / ("link.json" if linked else "pipe.json"), {"a": 1})
        assert os.read(reader, 100) == b'{\n  "a": 1\n}\n'
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def names_of_stdout(folder: Path) -> list[str]:
    """Ways to name the standard output of the program that opens it."""
    (folder / "link.json").symlink_to("/dev/stdout")
    (folder / "second.json").symlink_to("link.json")
    return [
        "/dev/stdout",
        "/dev/fd/1",
        "/proc/self/fd/1",
        "/proc/thread-self/fd/1",
        "/dev/../dev/./stdout",
        str(folder / "link.json"),
        str(folder / "second.json"),
    ]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such system")
@pytest.mark.parametrize("into", ["file", "appended", "pipe"])
def test_the_file_behind_a_descriptor_is_not_replaced(tmp_path, into):
    """One program writes JSON to its own standard output by each name, between printed lines."""
    script = (
        "import sys; from pathlib import Path; from r2l_core.files import write_json\n"
        "for name in sys.argv[1:]: print('first'); write_json(Path(name), {'a': 1}); print('last')"
    )
    given = names_of_stdout(tmp_path)
    target = tmp_path / "output.txt"
    target.write_text("before\n" if into == "appended" else "")
    inode = target.stat().st_ino
    with target.open("a" if into == "appended" else "w") as output:
        done = subprocess.run(
            [sys.executable, "-c", script, *given],
            stdout=subprocess.PIPE if into == "pipe" else output,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout if into == "pipe" else target.read_text()
    before = "before\n" if into == "appended" else ""
    assert said == before + len(given) * 'first\n{\n  "a": 1\n}\nlast\n'
    assert target.stat().st_ino == inode
    assert names(tmp_path) == ["link.json", "output.txt", "second.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such system")
def test_what_a_stream_does_not_take_is_one_error(tmp_path):
    with (
        pytest.raises(ExportError, match="no space left"),
        replacing(Path("/dev/full"), ExportError, WHAT) as new,
    ):
        new.write_text("new")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_numbers_that_json_does_not_have_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": [float("inf"), (float("nan"), 1.5)]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, [None, 1.5]]}
