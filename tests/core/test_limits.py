"""Small files that ask for much are refused before the memory and the time are spent."""

from __future__ import annotations

import json
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from r2l_core import limits
from r2l_core.checkpoints.opening import load_light_field
from r2l_core.checkpoints.safetensors_header import read_header
from r2l_core.checkpoints.stored_tensors import read_tensor
from r2l_core.commands.cli import main
from r2l_core.errors import CheckpointError, R2LError, SceneError
from r2l_core.geometry.scene import SceneSpec, load_scene
from r2l_core.model.network import NetworkConfig
from r2l_core.quantization.recipes import load_ranges
from tests.core.released_files import arguments, checkpoint, file_bytes, student
from tests.core.test_hostile_files import little_memory

NETWORK = {
    "depth": 2,
    "width": 1,
    "n_sample": 2,
    "n_frequencies": 0,
    "res_scale": 1.0,
    "use_residual": True,
}


def forged(path: Path, network: dict[str, Any], scene: dict[str, Any] | None = None) -> Path:
    """A native file of a few bytes whose header describes any network."""
    metadata = {
        "format": "r2l-light-field",
        "version": "1",
        "network": json.dumps({**NETWORK, **network}),
        "scene": json.dumps(scene or {}),
    }
    path.write_bytes(save({str(k): torch.zeros(1) for k in range(4)}, metadata))
    return path


@pytest.mark.parametrize(
    ("network", "named"),
    [
        ({"n_sample": 47_619, "n_frequencies": 3}, "features of a ray"),
        ({"n_sample": limits.RAY_FEATURES // 3 + 1}, "features of a ray"),
        ({"width": 250_000, "plucker": True}, "width"),
        ({"width": limits.WIDTH + 1}, "width"),
        ({"depth": 10_000}, "depth"),
        ({"depth": limits.DEPTH + 1}, "depth"),
        ({"n_frequencies": 50_000}, "n_frequencies"),
        ({"n_frequencies": limits.OCTAVES + 1}, "n_frequencies"),
    ],
)
def test_networks(tmp_path, network, named):
    with pytest.raises(ValueError, match=named):
        NetworkConfig(**{**NETWORK, **network})
    path = forged(tmp_path / "x.safetensors", network)
    with little_memory(), pytest.raises(CheckpointError, match=named):
        load_light_field(str(path))


def test_the_largest_networks_are_described():
    """What lies just within the limits is not refused."""
    NetworkConfig(depth=limits.DEPTH, width=1, n_sample=2, n_frequencies=0)
    NetworkConfig(depth=2, width=limits.WIDTH, n_sample=2, n_frequencies=limits.OCTAVES)
    NetworkConfig(depth=2, width=1, n_sample=limits.RAY_FEATURES // 3, n_frequencies=0)


@pytest.mark.parametrize(
    ("width", "height"),
    [
        *((side, side) for side in (8192, 16_384, 65_536)),
        *((1, limits.PICTURE_PX), (limits.PICTURE_PX, 1), (limits.SIDE_PX + 1, 8)),
    ],
)
def test_pictures_of_scenes(tmp_path, width, height):
    scene = {"width_px": width, "height_px": height}
    path = forged(tmp_path / "x.safetensors", {}, scene)
    with pytest.raises(CheckpointError, match="million pixels"):
        load_light_field(str(path))
    (tmp_path / "x.json").write_text(json.dumps(scene))
    with pytest.raises(SceneError, match="million pixels"):
        load_scene(str(tmp_path / "x.json"))


def test_a_large_scene_is_shown_smaller_than_it_is():
    wide = SceneSpec("wide", width_px=4096, height_px=4096)
    width, height = wide.opened_px
    assert width == height
    assert 0.99 * limits.OPENED_PX < width * height <= limits.OPENED_PX
    assert SceneSpec("usual", width_px=800, height_px=600).opened_px == (800, 600)
    assert SceneSpec("line", width_px=limits.SIDE_PX, height_px=1).opened_px[1] == 1


def test_the_size_of_a_rendered_picture(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(
            ["render", "--checkpoint", "demo", "--size", "16384", "--out", str(tmp_path / "x.png")]
        )
    assert ended.value.code == 2
    assert "million pixels" in capsys.readouterr().err


def refused(path: Path, named: str, opened: Callable[[str], object] = load_light_field) -> None:
    began = time.process_time()
    with little_memory(), pytest.raises(R2LError, match=named) as caught:
        opened(str(path))
    assert len(str(caught.value)) < 2000
    # Of the processor, not of a clock; the slowest used to take minutes.
    assert time.process_time() - began < 20


def test_a_version_of_megabytes(tmp_path):
    metadata = {"format": "r2l-light-field", "version": "9" * 5_000_000}
    (tmp_path / "x.safetensors").write_bytes(save({"a": torch.zeros(1)}, metadata))
    refused(tmp_path / "x.safetensors", "format version 9+…9+")


def legacy(root: bytes, keys: bytes, storages: bytes = b"") -> bytes:
    """The sequence of pickles that torch wrote before 1.6."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = [pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, system)]
    return b"".join([*head, root, keys, storages])


@pytest.mark.parametrize(
    "keys",
    {
        # A tuple in a tuple in a tuple: hashing it recurses.
        "deep": b"\x80\x02]" + b"(" + b")" + b"\x85" * 240_000 + b"e.",
        # A tuple of itself twice, sixty times over: hashing it takes 2^60 steps.
        "shared": b"\x80\x02](" + b")" + b"q\x00h\x00\x86" * 60 + b"e.",
        "list": b"\x80\x02](]e.",
        "number": b"\x80\x02](K\x01e.",
        "none": b"N.",
    }.values(),
    ids=["deep", "shared", "list", "number", "none"],
)
def test_keys_of_storages_are_texts(tmp_path, keys):
    (tmp_path / "x.tar").write_bytes(legacy(b"\x80\x02}.", keys))
    refused(tmp_path / "x.tar", "something else than their names|too many parts")


def test_a_wrapper_that_contains_itself(tmp_path):
    loop = torch.nn.DataParallel(torch.nn.Identity())
    loop._modules["module"] = loop
    path = tmp_path / "x.tar"
    path.write_bytes(file_bytes({**checkpoint(student(arguments())), "network_fn": loop}))
    refused(path, "network_fn is of the class torch.nn.parallel.data_parallel.DataParallel")


def sparse(path: Path, names: list[str], n_numbers: int) -> Path:
    """A legacy file whose tensors are all views of one storage that takes no space on disk."""
    key = b"X\x01\x00\x00\x000"
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + key + b"X\x03\x00\x00\x00cpu"
        b"\x8a\x04" + struct.pack("<i", n_numbers) + b"Ntq\x01Q"
    )
    body = b"\x80\x02}("
    for name in names:
        text = name.encode()
        body += b"X" + struct.pack("<I", len(text)) + text
        body += b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage
        body += b"K\x00K\x01\x85K\x01\x85\x89}tR"
    keys = b"\x80\x02](" + key + b"e."
    data = legacy(body + b"u.", keys, struct.pack("<q", n_numbers))
    with path.open("wb") as file:
        file.write(data)
        file.truncate(len(data) + 4 * n_numbers)
    return path


def test_a_storage_is_read_once_however_many_tensors_view_it(tmp_path, monkeypatch):
    names = [f"body.{k}.body.0.input_quantizer._amax" for k in range(2000)]
    path = sparse(tmp_path / "x.pth", names, 20_000_000)
    before = time.process_time()
    assert len(load_ranges(path)) == len(names)
    # Two thousand times eighty megabytes would take minutes.
    assert time.process_time() - before < 20


def test_one_file_cannot_be_counted_many_times(tmp_path):
    """Tensors that claim the same bytes of a native file."""
    header = {
        str(k): {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]} for k in range(1000)
    }
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4000))
    refused(path, "in a place of no or other tensors")


@pytest.mark.parametrize("more", [0, 1])
def test_many_names_in_a_header(tmp_path, more):
    """What one more costs is only the reading of its text."""
    n = limits.TENSORS + more
    entries = {str(k): {"dtype": "U8", "shape": [1], "data_offsets": [k, k + 1]} for k in range(n)}
    text = json.dumps(entries).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(n))
    with path.open("rb") as file:
        if more:
            with pytest.raises(ValueError, match=f"it has {n} tensors"):
                read_header(file)
        else:
            assert len(read_header(file).tensors) == n
    with pytest.raises(CheckpointError, match=f"{n} tensors" if more else "something else"):
        load_light_field(str(path))


def test_a_native_file_that_is_cut_off_while_it_is_read(light_field_file):
    """It is read, not mapped: mapped, the process would die here."""
    with light_field_file.open("rb") as file:
        header = read_header(file)
        with light_field_file.open("r+b") as other:
            other.truncate(header.n_bytes + 8)
        with pytest.raises(ValueError, match="ends in the middle"):
            [read_tensor(file, header, name) for name in header.tensors]


def test_tables_of_poses_are_not_mapped(tmp_path):
    table = np.lib.format.open_memmap(
        tmp_path / "poses_bounds.npy", mode="w+", dtype=np.float64, shape=(3, 17)
    )
    del table
    data = (tmp_path / "poses_bounds.npy").read_bytes()
    (tmp_path / "poses_bounds.npy").write_bytes(data.replace(b"(3, 17)", b"(9, 17)"))
    from r2l_core.datasets import open_dataset

    refused(tmp_path, "header and its size", open_dataset)
