"""Downloads from a server in this process: interrupted, resumed, changed, and hostile archives."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import socket
import stat
import struct
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from r2l_core.checkpoints import download, unpacking
from r2l_core.checkpoints.download import CATALOGUE, Asset, fetch
from r2l_core.checkpoints.unpacking import unpack
from r2l_core.commands.cli import main
from r2l_core.errors import DownloadError

BODY = bytes(range(256)) * 4000


@dataclass
class Site:
    """What the server serves, how it misbehaves, and what it was asked."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    cut_after: int | None = None
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)

    def asset(self, name: str = "models.zip", **options) -> Asset:
        return Asset(f"http://127.0.0.1:{self.port}/{name}", "for a test", **options)


def _handler(site: Site) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            site.asked.append(wanted)
            body = site.files.get(self.path.lstrip("/"))
            if body is None:
                self.send_error(404)
                return
            start = 0
            if wanted and site.ranges and self.headers.get("If-Range") == site.etag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if site.etag:
                self.send_header("ETag", site.etag)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start : site.cut_after])

        def log_message(self, *arguments):
            pass

    return Handler


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    site = Site()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def quiet(have: int, total: int | None) -> None:
    """A progress callback that says nothing."""


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def zipped(files: dict[str, bytes], kind=stat.S_IFREG) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, body)
    return stream.getvalue()


def tarred(*members: tuple[str, bytes, bytes]) -> bytes:
    """Members are (name, type, body or link target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, kind, body in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = body.decode()
            else:
                info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return stream.getvalue()


# --- fetching ----------------------------------------------------------------------------------


def test_a_file_is_fetched_whole(site, tmp_path):
    site.files["models.zip"] = BODY
    told = []
    file, sha256 = fetch(site.asset(), tmp_path / "new", lambda *numbers: told.append(numbers))
    assert file == tmp_path / "new" / "models.zip"
    assert file.read_bytes() == BODY
    assert sha256 == digest(BODY)
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert sorted(path.name for path in file.parent.iterdir()) == ["models.zip", "models.zip.json"]
    notes = json.loads((tmp_path / "new" / "models.zip.json").read_text())
    assert notes == {"url": site.asset().url, "bytes": len(BODY), "sha256": digest(BODY)}


def test_a_file_that_is_there_is_only_checked(site, tmp_path):
    site.files["models.zip"] = BODY
    fetch(site.asset(), tmp_path, quiet)
    site.asked.clear()
    assert fetch(site.asset(), tmp_path, quiet)[1] == digest(BODY)
    assert site.asked == []


def test_an_interrupted_download_goes_on(site, tmp_path):
    site.files["models.zip"] = BODY
    site.cut_after = 300_000
    with pytest.raises(DownloadError, match=r"ended after 300000 of 1024000 bytes.*goes on where"):
        fetch(site.asset(), tmp_path, quiet)
    assert (tmp_path / "models.zip.part").stat().st_size == 300_000
    assert not (tmp_path / "models.zip").exists()
    site.cut_after = 700_000
    with pytest.raises(DownloadError, match="ended after 700000"):
        fetch(site.asset(), tmp_path, quiet)
    site.cut_after = None
    told = []
    file, sha256 = fetch(site.asset(), tmp_path, lambda *numbers: told.append(numbers))
    assert site.asked == [None, "bytes=300000-", "bytes=700000-"]
    assert told[0] == (700_000, len(BODY))
    assert file.read_bytes() == BODY
    assert sha256 == digest(BODY)
    assert not (tmp_path / "models.zip.part").exists()


def test_a_file_that_changed_meanwhile_starts_afresh(site, tmp_path):
    site.files["models.zip"] = BODY
    site.cut_after = 300_000
    with pytest.raises(DownloadError):
        fetch(site.asset(), tmp_path, quiet)
    site.files["models.zip"], site.etag, site.cut_after = BODY[::-1], '"two"', None
    file, _ = fetch(site.asset(), tmp_path, quiet)
    assert file.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("reason", ["no ranges", "no validator"])
def test_servers_that_cannot_go_on_start_afresh(site, tmp_path, reason):
    site.files["models.zip"] = BODY
    site.ranges = reason != "no ranges"
    site.etag = None if reason == "no validator" else site.etag
    site.cut_after = 300_000
    with pytest.raises(DownloadError):
        fetch(site.asset(), tmp_path, quiet)
    site.cut_after = None
    file, _ = fetch(site.asset(), tmp_path, quiet)
    assert file.read_bytes() == BODY


def test_a_complete_part_needs_no_more(site, tmp_path):
    """Stopped between the last byte and the new name."""
    site.files["models.zip"] = BODY
    fetch(site.asset(), tmp_path, quiet)
    (tmp_path / "models.zip").rename(tmp_path / "models.zip.part")
    notes = {"url": site.asset().url, "validator": site.etag}
    (tmp_path / "models.zip.json").write_text(json.dumps(notes))
    file, _ = fetch(site.asset(), tmp_path, quiet)
    assert file.read_bytes() == BODY


def test_a_part_that_is_too_long_is_thrown_away(site, tmp_path):
    site.files["models.zip"] = BODY
    (tmp_path / "models.zip.part").write_bytes(BODY + b"more")
    notes = {"url": site.asset().url, "validator": site.etag}
    (tmp_path / "models.zip.json").write_text(json.dumps(notes))
    with pytest.raises(DownloadError, match="416"):
        fetch(site.asset(), tmp_path, quiet)
    assert fetch(site.asset(), tmp_path, quiet)[1] == digest(BODY)


def test_another_file_under_the_same_name_is_refused(site, tmp_path):
    site.files["models.zip"] = BODY
    file, _ = fetch(site.asset(), tmp_path, quiet)
    file.unlink()
    site.files["models.zip"] = BODY + b"!"
    with pytest.raises(DownloadError) as caught:
        fetch(site.asset(), tmp_path, quiet)
    for text in (str(file), digest(BODY), digest(BODY + b"!"), "models.zip.json"):
        assert text in str(caught.value)
    assert not file.exists()


def test_a_file_that_was_damaged_on_disk_is_refused(site, tmp_path):
    site.files["models.zip"] = BODY
    file, _ = fetch(site.asset(), tmp_path, quiet)
    file.write_bytes(BODY[:-1] + b"!")
    with pytest.raises(DownloadError, match="is not what it was"):
        fetch(site.asset(), tmp_path, quiet)


def test_a_stated_checksum_is_checked(site, tmp_path):
    site.files["models.zip"] = BODY
    fetch(site.asset(sha256=digest(BODY)), tmp_path / "right", quiet)
    with pytest.raises(DownloadError, match="0" * 64):
        fetch(site.asset(sha256="0" * 64), tmp_path / "wrong", quiet)
    assert not (tmp_path / "wrong" / "models.zip").exists()


@pytest.mark.parametrize("notes", ["", "[]", "{", '{"sha256": null, "validator": 3}'])
def test_damaged_notes_are_written_anew(site, tmp_path, notes):
    site.files["models.zip"] = BODY
    (tmp_path / "models.zip.json").write_text(notes)
    (tmp_path / "models.zip.part").write_bytes(b"?" * 10)
    assert fetch(site.asset(), tmp_path, quiet)[1] == digest(BODY)


def test_files_that_are_not_there_are_named(site, tmp_path):
    with pytest.raises(DownloadError, match=r"nosuch\.zip could not be downloaded.*404"):
        fetch(site.asset("nosuch.zip"), tmp_path, quiet)


def test_servers_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DownloadError, match=r"could not be downloaded.*refused"):
        fetch(Asset(f"http://127.0.0.1:{port}/x.zip", ""), tmp_path, quiet)


def test_endless_files_are_given_up(site, tmp_path, monkeypatch):
    site.files["models.zip"] = BODY
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="more than any published file"):
        fetch(site.asset(), tmp_path, quiet)


def test_folders_that_cannot_be_written_are_named(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="could not be written"):
        fetch(site.asset(), tmp_path / "file" / "folder", quiet)


# --- unpacking ---------------------------------------------------------------------------------

FILES = {"Models/lego.tar": b"weights", "Models/sub/ship.tar": b"more weights", "note": b""}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_are_unpacked(tmp_path, kind):
    archive = tmp_path / f"models.{kind}"
    members = [("Models", tarfile.DIRTYPE, b"")]
    members += [(name, tarfile.REGTYPE, body) for name, body in FILES.items()]
    archive.write_bytes(zipped(FILES) if kind == "zip" else tarred(*members))
    assert unpack(archive, tmp_path / "to") == 3
    for name, body in FILES.items():
        assert (tmp_path / "to" / name).read_bytes() == body


def test_unpacking_again_completes_what_was_cut_off(tmp_path):
    """Until it is whole, the folder has another name, and what is there already stays."""
    archive = tmp_path / "models.zip"
    archive.write_bytes(zipped(FILES))
    unpack(archive, tmp_path / "to")
    (tmp_path / "to").rename(tmp_path / "to.unpacking")
    whole = tmp_path / "to.unpacking/Models/lego.tar"
    written_ns = whole.stat().st_mtime_ns
    (tmp_path / "to.unpacking/Models/sub/ship.tar").write_bytes(b"mor")
    assert unpack(archive, tmp_path / "to") == 3
    assert (tmp_path / "to/Models/sub/ship.tar").read_bytes() == FILES["Models/sub/ship.tar"]
    assert (tmp_path / "to/Models/lego.tar").stat().st_mtime_ns == written_ns
    assert unpack(archive, tmp_path / "to") == 3, "again"


def test_an_entry_without_a_name_is_refused(tmp_path):
    archive = tmp_path / "models.zip"
    data = zipped({"a": b"weights"})
    at = data.index(b"PK\1\2")
    # The same archive with a name of no length in its table of contents.
    data = data[: at + 28] + b"\0\0" + data[at + 30 : at + 46] + data[at + 47 :]
    end = data.index(b"PK\5\6")
    data = data[: end + 12] + struct.pack("<L", 46) + data[end + 16 :]
    archive.write_bytes(data)
    with pytest.raises(DownloadError, match=r"leads out of the folder|is damaged"):
        unpack(archive, tmp_path / "to")


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    archive = tmp_path / "models.zip"
    archive.write_bytes(zipped({"thesis.txt": b"weights"}))
    (tmp_path / "to").mkdir()
    (tmp_path / "to/thesis.txt").write_bytes(b"ten years of work")
    with pytest.raises(DownloadError, match=r"'thesis\.txt' in it is missing or another"):
        unpack(archive, tmp_path / "to")
    assert (tmp_path / "to/thesis.txt").read_bytes() == b"ten years of work"


def test_the_directory_that_is_checked_is_the_one_that_is_read(tmp_path):
    """The last bytes are a record of their own, and hold the signature of another one."""
    archive = tmp_path / "models.zip"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, int.from_bytes(b"PK\5\6", "little"), 0)
    large = end[:12] + struct.pack("<L", 2**31) + end[16:]
    archive.write_bytes(zipped(FILES) + large)
    with pytest.raises(DownloadError, match="table of contents is too long"):
        unpack(archive, tmp_path / "to")


HOSTILE_NAMES = ["../evil", "a/../../evil", "/evil", "..", "C:/evil", "a\\..\\..\\evil", "..\\evil"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_paths_that_lead_out_are_refused(tmp_path, name, kind):
    archive = tmp_path / f"models.{kind}"
    good = ("good", tarfile.REGTYPE, b"fine")
    archive.write_bytes(
        zipped({"good": b"fine", name: b"evil"})
        if kind == "zip"
        else tarred(good, (name, tarfile.REGTYPE, b"evil"))
    )
    with pytest.raises(DownloadError, match="leads out of the folder"):
        unpack(archive, tmp_path / "deep" / "to")
    assert [path.name for path in tmp_path.iterdir()] == [archive.name], "nothing was written"


@pytest.mark.parametrize(
    "member",
    [
        ("link", tarfile.SYMTYPE, b"/etc/passwd"),
        ("link", tarfile.SYMTYPE, b"good"),
        ("link", tarfile.LNKTYPE, b"good"),
        ("pipe", tarfile.FIFOTYPE, b""),
        ("disk", tarfile.BLKTYPE, b""),
    ],
    ids=str,
)
def test_links_and_devices_in_tar_archives_are_refused(tmp_path, member):
    archive = tmp_path / "models.tar.gz"
    archive.write_bytes(tarred(("good", tarfile.REGTYPE, b"fine"), member))
    with pytest.raises(DownloadError, match=f"'{member[0]}' in it is a link"):
        unpack(archive, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_links_in_zip_archives_are_refused(tmp_path):
    archive = tmp_path / "models.zip"
    archive.write_bytes(zipped({"link": b"/etc/passwd"}, stat.S_IFLNK))
    with pytest.raises(DownloadError, match="'link' in it is a link"):
        unpack(archive, tmp_path / "to")


def test_links_that_lie_there_already_are_not_followed(tmp_path):
    archive = tmp_path / "models.zip"
    archive.write_bytes(zipped({"Models/lego.tar": b"x"}))
    (tmp_path / "to").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to" / "Models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DownloadError, match="leads out of the folder"):
        unpack(archive, tmp_path / "to")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bombs_are_refused(tmp_path, kind):
    archive = tmp_path / f"models.{kind}"
    zeros = bytes(8 << 20)
    archive.write_bytes(
        zipped({"zeros": zeros}) if kind == "zip" else tarred(("zeros", tarfile.REGTYPE, zeros))
    )
    with pytest.raises(DownloadError, match="would unpack to 8388608 bytes"):
        unpack(archive, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_swarms_of_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_ENTRIES", 2)
    archive = tmp_path / "models.zip"
    archive.write_bytes(zipped(FILES))
    with pytest.raises(DownloadError, match="more than 2 files"):
        unpack(archive, tmp_path / "to")


def test_encrypted_archives_are_refused(tmp_path):
    archive = tmp_path / "models.zip"
    data = bytearray(zipped({"secret": b"x"}))
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    archive.write_bytes(bytes(data))
    with pytest.raises(DownloadError, match="encrypted"):
        unpack(archive, tmp_path / "to")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("damage", ["empty", "cut off", "nonsense", "changed"])
def test_damaged_archives_are_refused(tmp_path, kind, damage):
    archive = tmp_path / f"models.{kind}"
    body = bytes(range(256)) * 20
    data = zipped({"a": body}) if kind == "zip" else tarred(("a", tarfile.REGTYPE, body))
    middle = len(data) // 3
    archive.write_bytes(
        {
            "empty": b"",
            "cut off": data[: len(data) // 2],
            "nonsense": b"nonsense" * 100,
            "changed": data[:middle] + b"\xff\x00\xff\x00" + data[middle + 4 :],
        }[damage]
    )
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "to")


# --- the command -------------------------------------------------------------------------------


def test_the_command_fetches_and_unpacks(site, tmp_path, monkeypatch, capsys):
    data = zipped(FILES)
    site.files["models.zip"] = data
    monkeypatch.setitem(CATALOGUE, "test-models", site.asset(folder="data"))
    report = tmp_path / "report.json"
    words = ["download", "test-models", "--out", str(tmp_path / "out"), "--json", str(report)]
    assert main(words) == 2
    assert f"run again with --sha256 {digest(data)}" in capsys.readouterr().err
    assert main([*words, "--sha256", "0" * 64]) == 2
    assert "and --sha256 says 0000" in capsys.readouterr().err
    assert not (tmp_path / "out" / "data" / "models").exists()
    assert main([*words, "--sha256", digest(data).upper()]) == 0
    said = capsys.readouterr()
    assert digest(data) in said.out
    own = tmp_path / "out" / "data" / "models"
    assert (own / "Models" / "lego.tar").read_bytes() == b"weights"
    values = json.loads(report.read_text())
    assert values["sha256"] == digest(data)
    assert values["files"] == 3
    assert Path(values["unpacked_into"]) == own
    assert main(words) == 0, "again"
    assert main([*words, "--sha256", "0" * 64]) == 2, "who says what it has to be is heard"


@pytest.mark.parametrize(
    ("name", "named"),
    [("nosuch", "no published file"), ("r2l-llff", "names no download of its LLFF models")],
)
def test_what_is_not_published_is_said(tmp_path, capsys, name, named):
    assert main(["download", name, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error:")
    assert "\n" not in said
    for text in (name, named, *CATALOGUE):
        assert text in said
    assert list(tmp_path.iterdir()) == []


def test_the_catalogue_is_what_the_published_scripts_name():
    assert set(CATALOGUE) == {"r2l-blender", "nerf-blender", "example-data", "lego-pseudo-data"}
    for asset in CATALOGUE.values():
        assert asset.file_name.endswith(".zip")
        assert asset.url.startswith(("https://github.com/MingSun-Tse/", "http://cseweb.ucsd.edu/"))
