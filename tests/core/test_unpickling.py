"""Released files from strangers: nothing of them runs, and damage is named quickly."""

from __future__ import annotations

import copyreg
import io
import operator
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from r2l_core import limits
from r2l_core.checkpoints.opening import load_checkpoint, load_light_field
from r2l_core.checkpoints.released.stand_ins import Refused
from r2l_core.checkpoints.released.unpickling import read_pickle
from r2l_core.errors import CheckpointError, R2LError
from tests.core.released_files import (
    arguments,
    checkpoint,
    file_bytes,
    student,
    teacher,
    teacher_checkpoint,
)

pytestmark = pytest.mark.slow

LEGACY = [pytest.param(False, id="zip"), pytest.param(True, id="legacy")]


@pytest.fixture(scope="session")
def bad_file(tmp_path_factory) -> Path:
    """Where hypothesis may write one file after the other."""
    return tmp_path_factory.mktemp("released") / "the bad one.tar"


@pytest.fixture(scope="session")
def good() -> dict[bool, bytes]:
    """A small good file, by whether it is legacy."""
    saved = checkpoint(student(arguments(netwidth=4, n_sample_per_ray=2, multires=1, netdepth=4)))
    return {legacy: file_bytes(saved, legacy) for legacy in (False, True)}


def refusal(path: Path, data: bytes) -> str:
    """The text of the error that opening these bytes gives; it names the file."""
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(path))
    assert str(path) in str(caught.value)
    return str(caught.value)


def as_zip(pickled: bytes, **entries: bytes) -> bytes:
    """A torch archive around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        for name, data in entries.items():
            archive.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def as_legacy(pickled: bytes) -> bytes:
    """A legacy torch file around a pickle."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    first = (0x1950A86A20F9469CFC6C, 1001, system)
    heads = b"".join(pickle.dumps(value, protocol=2) for value in first)
    return heads + pickled + pickle.dumps([], protocol=2)


def test_the_good_files_are_good(good, bad_file):
    """Otherwise the tests below would pass whatever they break."""
    for data in good.values():
        bad_file.write_bytes(data)
        assert load_checkpoint(str(bad_file)).network.width == 4


# --- hostile pickles ---------------------------------------------------------------------------


class Calls:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function, *values) -> None:
        self._call = (function, values)

    def __reduce__(self):
        return self._call


def hostile(sentinel: Path) -> dict[str, tuple[object, str]]:
    """Objects whose unpickling makes the sentinel or worse, and the name that must be refused."""
    make = f"touch '{sentinel}'"
    text = f"open({str(sentinel)!r}, 'w').close()"
    nested = Calls(eval, text)
    return {
        "os.system": (Calls(os.system, make), "(os.system)"),
        "os.open": (Calls(os.open, str(sentinel), os.O_CREAT), "(os.open)"),
        "builtins.eval": (Calls(eval, text), "(builtins.eval)"),
        "builtins.exec": (Calls(exec, text), "(builtins.exec)"),
        "builtins.open": (Calls(open, str(sentinel), "w"), "open"),
        "getattr": (Calls(getattr, Calls(__import__, "os"), "system"), "getattr"),
        "getattr-chain": (Calls(getattr, Calls(getattr, Path, "cwd"), "__globals__"), "getattr"),
        "attrgetter": (Calls(operator.attrgetter, "system"), "operator.attrgetter"),
        "methodcaller": (Calls(operator.methodcaller, "unlink"), "operator.methodcaller"),
        "copyreg": (Calls(copyreg._reconstructor, Path, object, None), "(copyreg._reconstructor)"),
        "path": (Calls(Path.touch, sentinel), "getattr"),
        "torch.load": (Calls(torch.load, str(sentinel)), "torch.serialization.load"),
        "torch-hub": (Calls(torch.hub.load, "a/b", "c"), "torch.hub.load"),
        "numpy": (Calls(np.load, str(sentinel)), "numpy"),
        "subprocess": (Calls(subprocess.Popen, ["touch", str(sentinel)]), "(subprocess.Popen)"),
        "pickle": (Calls(pickle.loads, pickle.dumps(nested)), "pickle"),
    }


HOSTILE = sorted(hostile(Path("x")))


@pytest.mark.parametrize("legacy", LEGACY)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_checkpoints_are_refused_by_name(tmp_path, name, legacy):
    sentinel = tmp_path / "sentinel"
    payload, named = hostile(sentinel)[name]
    saved = {"network_fn_state_dict": payload}
    text = refusal(tmp_path / "evil.tar", file_bytes(saved, legacy))
    assert named in text
    assert "which no light field needs" in text
    assert not sentinel.exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [bytes, as_zip, as_legacy], ids=["bare", "zip", "legacy"])
def test_every_pickle_in_every_place(tmp_path, protocol, wrap):
    sentinel = tmp_path / "sentinel"
    pickled = pickle.dumps({"a": Calls(os.system, f"touch '{sentinel}'")}, protocol=protocol)
    pickle.loads(pickled)
    assert sentinel.exists(), "the payload works"
    sentinel.unlink()
    text = refusal(tmp_path / "evil.tar", wrap(pickled))
    # Without a container, the old protocols look like nothing known.
    assert "posix.system" in text or (wrap is bytes and protocol < 2)
    assert not sentinel.exists()


@pytest.mark.parametrize("place", range(3))
def test_hostile_pickles_around_the_checkpoint_of_a_legacy_file(tmp_path, good, place):
    """Magic number, version and system are pickles as well, and so are the keys at the end."""
    sentinel = tmp_path / "sentinel"
    evil = pickle.dumps(Calls(os.system, f"touch '{sentinel}'"), protocol=2)
    system = {"protocol_version": 1001, "little_endian": True}
    parts = [0x1950A86A20F9469CFC6C, 1001, system]
    pickles = [pickle.dumps(part, protocol=2) for part in parts[:place]]
    assert "posix.system" in refusal(tmp_path / "evil.tar", b"".join([*pickles, evil]))
    keys_evil = as_legacy(pickle.dumps({}, protocol=2)).removesuffix(pickle.dumps([], 2)) + evil
    assert "posix.system" in refusal(tmp_path / "evil.tar", keys_evil)
    assert not sentinel.exists()


RAW = {
    "inst": (b"(S'true'\nios\nsystem\n.", "os.system"),
    "inst-known": (b"(iargparse\nNamespace\n.", "INST"),
    "obj": (b"\x80\x02(cargparse\nNamespace\no.", "OBJ"),
    "global-unused": (b"\x80\x02cos\nsystem\n0N.", "os.system"),
    "stack-global": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
    "stack-global-number": (b"\x80\x04K\x01K\x02\x93.", "without a name"),
    "dotted-name": (b"\x80\x04\x8c\x05torch\x8c\x0bSize.__init\x93.", "torch.Size.__init"),
    "extension": (b"\x80\x02\x82\x01.", "EXT1"),
    "persistent-text": (b"\x80\x02Pabc\n.", "PERSID"),
    "persistent-number": (b"\x80\x02K\x01Q.", "no storage"),
    "newobj-of-a-function": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)\x81.",
        "makes an object",
    ),
    "newobj-with-arguments": (b"\x80\x02cargparse\nNamespace\nK\x01\x85\x81.", "makes an object"),
    "newobj-ex": (b"\x80\x04cargparse\nNamespace\n)}\x92.", "NEWOBJ_EX"),
    "call-of-a-class": (b"\x80\x02cargparse\nNamespace\n)R.", "calls argparse.Namespace"),
    "call-of-a-number": (b"\x80\x02K\x01)R.", "calls a int"),
    "call-of-an-object": (b"\x80\x02cargparse\nNamespace\n)\x81)R.", "calls a Record"),
    "call-with-a-list": (b"\x80\x02ctorch\nSize\n]R.", "torch.Size"),
    "build-on-a-class": (b"\x80\x02cargparse\nNamespace\n}b.", "state of argparse.Namespace"),
    "build-on-a-list": (b"\x80\x02]}b.", "state of a list"),
    "build-with-a-tuple": (b"\x80\x02cargparse\nNamespace\n)\x81N}\x86b.", "state of a Record"),
    "append-to-a-record": (b"\x80\x02cargparse\nNamespace\n)\x81Na.", "cannot be filled"),
    "tuple-as-key": (b"\x80\x02}N\x85Ns.", "tuple as the key"),
    "huge-key": (b"\x80\x02}\x8a\x09" + b"\x01" * 9 + b"Ns.", "int as the key"),
    "mark-as-value": (b"\x80\x02(\x85.", "a value is missing"),
    "no-value": (b"\x80\x02.", "no single value"),
    "two-values": (b"\x80\x02NN.", "no single value"),
    "unknown-memo": (b"\x80\x02h\x07.", "damaged"),
    "no-stop": (b"\x80\x02N", "damaged"),
    "nothing": (b"", "damaged"),
}


@pytest.mark.parametrize(("pickled", "named"), RAW.values(), ids=RAW.keys())
def test_opcodes_that_no_checkpoint_uses(tmp_path, pickled, named):
    assert named in refusal(tmp_path / "evil.tar", as_zip(pickled))


def storage(count: int = 4, name: bytes = b"FloatStorage") -> bytes:
    """Opcodes for a storage with the key 0."""
    return (
        b"(X\x07\x00\x00\x00storagectorch\n" + name + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        b"J" + struct.pack("<i", count) + b"tQ"
    )


def tensor(offset: bytes, shape: bytes, strides: bytes) -> bytes:
    """Opcodes for a state dict of one tensor over 4 numbers."""
    return (
        b"\x80\x02}X\x15\x00\x00\x00network_fn_state_dict}X\x0d\x00\x00\x00head.0.weight"
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + offset + shape + strides + b"\x89Nt"
        b"Rss."
    )


@pytest.mark.parametrize(
    "pickled",
    [
        tensor(b"K\x00", b"K\x02K\x03\x86", b"K\x02K\x01\x86"),
        tensor(b"K\x01", b"K\x02K\x02\x86", b"K\x02K\x01\x86"),
        tensor(b"K\x00", b"J\xff\xff\xff\x7f\x85", b"K\x00\x85"),
        tensor(b"J\xff\xff\xff\xff", b"K\x01\x85", b"K\x01\x85"),
        tensor(b"K\x00", b"K\x02\x85", b"J\xff\xff\xff\xff\x85"),
        tensor(b"K\x00", b"K\x02\x85", b"K\x01K\x01\x86"),
        tensor(b"K\x00", b"(" + b"K\x01" * 9 + b"t", b"(" + b"K\x01" * 9 + b"t"),
        tensor(b"G" + struct.pack(">d", 0.0), b"K\x01\x85", b"K\x01\x85"),
        tensor(b"K\x00", b"\x88\x85", b"K\x01\x85"),
        tensor(b"K\x00", b"K\x02", b"K\x01"),
    ],
)
def test_tensors_that_cannot_be(tmp_path, pickled):
    data = as_zip(pickled, **{"data/0": b"\0" * 16})
    assert "it describes a tensor" in refusal(tmp_path / "evil.tar", data)


def rezipped(data: bytes, compression: int = zipfile.ZIP_STORED, **changes) -> bytes:
    """A torch archive with entries replaced by others, or left out where that is None."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        entries = {name: old.read(name) for name in old.namelist()}
        entries |= {f"archive/{name}": content for name, content in changes.items()}
        for name, content in entries.items():
            if content is not None:
                new.writestr(name, content, compression)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"data/0": None}, "data/0 is missing"),
        ({"data/0": b"\0" * 15}, "data/0 has 15 bytes"),
        ({"byteorder": b"big"}, "big-endian"),
        ({"constants.pkl": b""}, "TorchScript"),
        ({"data.pkl": None}, "no data.pkl"),
        ({"more/data.pkl": b"N."}, "more than one data.pkl"),
        ({"data.pkl": b"N" * (limits.PICKLE_BYTES + 1)}, "longer than 8 MiB"),
    ],
    ids=str,
)
def test_archives_that_do_not_fit(tmp_path, good, changes, named):
    assert named in refusal(tmp_path / "evil.tar", rezipped(good[False], **changes))


def test_compressed_archives_are_not_unpacked(tmp_path, good):
    """A few bytes could become any number of them."""
    data = rezipped(good[False], zipfile.ZIP_DEFLATED, **{"data.pkl": b"N" * limits.PICKLE_BYTES})
    assert len(data) < 100_000
    assert "compressed" in refusal(tmp_path / "bomb.tar", data)


def test_a_table_of_contents_that_claims_to_be_huge(tmp_path, good):
    data = bytearray(good[False])
    end = data.rindex(b"PK\x05\x06")
    data[end - 36 : end - 28] = struct.pack("<Q", 2**40)
    assert "table of contents" in refusal(tmp_path / "bomb.tar", bytes(data))


def test_shared_storages_cannot_claim_more_than_the_file(tmp_path):
    whole = torch.zeros(16 * 504)
    state = student(arguments()).state_dict()
    for name, weight in state.items():
        state[name] = whole[: weight.numel()].view(weight.shape)
    state |= {name: whole[:256].view(16, 16) for name in state if name.endswith("2.weight")}
    data = file_bytes({"network_fn_state_dict": state})
    assert "claim more than the file holds" in refusal(tmp_path / "bomb.tar", data)


# --- time and memory ---------------------------------------------------------------------------

BOMBS = {
    "many-values": b"}" * (limits.PICKLE_OPCODES + 1),
    "memo-index": b"}r\xff\xff\xff\x7f0h\x00.",
    "long-string": b"X" + struct.pack("<I", 2**32 - 1) + b"abc.",
    "long-bytes": b"\x8e" + struct.pack("<Q", 2**40) + b"abc.",
    "long-number": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
    "digits": b"I" + b"9" * 100_000 + b"\n.",
    "endless-line": b"c" + b"a" * (limits.PICKLE_BYTES + 1),
    "copied-set": b"(" + b"N" * 100_000 + b"tq\x00c__builtin__\nset\nq\x01"
    + b"h\x01h\x00\x85R" * (limits.PICKLE_OPCODES // 4),
    "copied-arguments": b"(" + b"N" * 100_000 + b"tq\x00ctorch\ndevice\nq\x01"
    + b"h\x01h\x00R" * 100_000,
    "copied-size": b"(" + b"N" * 100_000 + b"tq\x00ctorch\nSize\nq\x01"
    + b"h\x01h\x00\x85R" * 100_000,
    "copied-reference": b"(" + b"N" * 100_000 + b"tq\x00" + b"h\x00Q" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("pickled", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_fizzle(pickled):
    """That they end at all is the test: each of them would take hours or all memory if obeyed."""
    with pytest.raises(Refused):
        read_pickle(io.BytesIO(b"\x80\x02" + pickled))


def test_the_limits_leave_room_for_the_published_network(monkeypatch):
    saved = checkpoint(student(arguments(netwidth=2, n_sample_per_ray=2, multires=0, netdepth=88)))
    monkeypatch.setattr(limits, "PICKLE_OPCODES", limits.PICKLE_OPCODES // 4)
    monkeypatch.setattr(limits, "PICKLE_BYTES", limits.PICKLE_BYTES // 8)
    for legacy in (False, True):
        stream = io.BytesIO(file_bytes(saved, legacy))
        if legacy:
            for _ in range(3):
                read_pickle(stream)
        else:
            stream = io.BytesIO(zipfile.ZipFile(stream).read("archive/data.pkl"))
        root, _ = read_pickle(stream)
        assert len(root["network_fn_state_dict"]) == 4 + 4 * 43


# --- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", LEGACY)
@settings(max_examples=60)
@given(fraction=st.floats(0, 1, exclude_max=True))
def test_truncated_files(good, bad_file, legacy, fraction):
    refusal(bad_file, good[legacy][: int(fraction * len(good[legacy]))])


@pytest.mark.parametrize("legacy", LEGACY)
@settings(max_examples=120)
@given(data=st.data())
def test_flipped_bytes_give_a_light_field_or_an_error_that_names_the_file(
    good, bad_file, legacy, data
):
    damaged = bytearray(good[legacy])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    bad_file.write_bytes(damaged)
    try:
        load_checkpoint(str(bad_file))
    except R2LError as error:
        text = str(error)
    else:
        return
    assert str(bad_file) in text


@settings(max_examples=120)
@given(place=st.integers(0, 2**16), flip=st.integers(1, 255))
@example(place=907, flip=1)  # a name with a backslash
def test_flipped_bytes_in_the_pickle_of_an_archive(good, bad_file, place, flip):
    """The checksum hides them from the test above."""
    with zipfile.ZipFile(io.BytesIO(good[False])) as archive:
        pickled = bytearray(archive.read("archive/data.pkl"))
    pickled[place % len(pickled)] ^= flip
    bad_file.write_bytes(rezipped(good[False], **{"data.pkl": bytes(pickled)}))
    try:
        load_checkpoint(str(bad_file))
    except R2LError as error:
        text = str(error)
    else:
        return
    assert str(bad_file) in text


@settings(max_examples=60)
@given(garbage=st.binary(max_size=300))
@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\x80\x02", b"\x80\x04\x95", b"PK\x05\x06"])
def test_garbage(bad_file, head, garbage):
    refusal(bad_file, head + garbage)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(
            ["network_fn_state_dict", "network_fine_state_dict", "network_fn", "head.0.weight"]
        ),
        _VALUES,
    )
)
def test_checkpoints_of_nonsense(bad_file, saved):
    refusal(bad_file, as_zip(pickle.dumps(saved, protocol=2)))


@pytest.mark.parametrize("legacy", LEGACY)
@pytest.mark.parametrize("fine", [True, False])
def test_teachers_are_no_light_fields(tmp_path, legacy, fine):
    path = tmp_path / "nerf.tar"
    saved = teacher_checkpoint(teacher(width=8), teacher(1, width=8) if fine else None)
    path.write_bytes(file_bytes(saved, legacy))
    with pytest.raises(CheckpointError, match=r"nerf\.tar.*NeRF.*bench --teacher"):
        load_light_field(str(path))


def test_real_tar_archives_are_named(tmp_path):
    path = tmp_path / "real.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    with pytest.raises(CheckpointError, match="tar archive"):
        load_checkpoint(str(path))
