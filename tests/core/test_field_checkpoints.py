"""Released files as people save them, and files that are something else."""

from __future__ import annotations

import datetime
import gzip
import io
import os
import pickle
import random
import tarfile
import types
import uuid
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.errors import CheckpointError
from r2l_core.geometry.scene import PRESETS
from tests.core.released_files import arguments, checkpoint, file_bytes, student

ARGS = arguments()
NETWORK = student(ARGS)
WEIGHTS = NETWORK.state_dict()


def opened(tmp_path: Path, content: object, **options):
    (tmp_path / "x.tar").write_bytes(file_bytes(content, **options))
    return load_light_field(str(tmp_path / "x.tar"))


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load_light_field(str(path))
    assert "do not open it with other programs" not in str(caught.value)
    return str(caught.value)


def named(change) -> OrderedDict:
    return OrderedDict((change(name), tensor) for name, tensor in WEIGHTS.items())


@pytest.mark.parametrize(
    "change",
    [
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"_orig_mod.module.{name}",
        lambda name: f"model._orig_mod.module.{name}",
        lambda name: name.replace("body.1.", "body.1._orig_mod."),
        lambda name: f"some.deep.student.{name}",
    ],
    ids=["parallel", "compiled", "both", "both turned", "three", "one block", "wrapped"],
)
@pytest.mark.parametrize("key", ["network_fn_state_dict", "state_dict", "model", None])
def test_prefixes_in_any_order(tmp_path, change, key):
    weights = named(change)
    light_field = opened(tmp_path, weights if key is None else {key: weights, "epoch": 3})
    for name, tensor in WEIGHTS.items():
        assert torch.equal(light_field.tensors[name], tensor.float())


@pytest.mark.parametrize("seed", range(30))
def test_wrappings_at_any_level(tmp_path, seed):
    """Of the whole network and of parts of it, as torch.compile, DataParallel, FSDP, activation
    checkpointing and training programs put them there."""
    draw = random.Random(seed)
    inside = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"]
    before = [*inside, "_forward_module", "model", "net", "network_fn", "ema_model", "0"]
    prefix = "".join(f"{one}." for one in draw.sample(before, draw.randint(0, 3)))
    wrapped = {
        part: f"{part}{draw.choice(inside)}."
        for part in draw.sample(["head.", "body.0.", "body.1.body.", "tail."], draw.randint(1, 3))
    }

    def change(name: str) -> str:
        for part, new in wrapped.items():
            if name.startswith(part):
                name = new + name.removeprefix(part)
        return prefix + name

    light_field = opened(tmp_path, {draw.choice(["state_dict", "ema"]): named(change)})
    for name, tensor in WEIGHTS.items():
        assert torch.equal(light_field.tensors[name], tensor.float())


def test_of_several_networks_in_one_dictionary_it_is_told(tmp_path):
    weights = named(lambda name: f"model.{name}") | named(lambda name: f"ema.{name}")
    light_field = opened(tmp_path, {"state_dict": weights})
    note = next(note for note in light_field.notes if "several networks" in note)
    assert "begin with 'model.' is taken; others begin with 'ema.'" in note


def test_what_lies_beside_the_network_is_left_out(tmp_path):
    weights = named(lambda name: f"model.{name}")
    weights["loss.lpips.weight"] = torch.zeros(3)
    lightning = {
        "epoch": 10,
        "pytorch-lightning_version": "2.2.0",
        "state_dict": weights,
        "hyper_parameters": {"lr": 5e-4},
    }
    assert set(opened(tmp_path, lightning).tensors) == set(WEIGHTS)


@pytest.mark.parametrize("prefix", ["", "ema."])
def test_averages_of_weights(tmp_path, prefix):
    averaged = torch.optim.swa_utils.AveragedModel(NETWORK).state_dict()
    weights = {f"{prefix}{name}": tensor for name, tensor in averaged.items()}
    assert f"{prefix}n_averaged" in weights
    light_field = opened(tmp_path, {**checkpoint(NETWORK), "network_fn_state_dict": weights})
    for name, tensor in WEIGHTS.items():
        assert torch.equal(light_field.tensors[name], tensor)


@pytest.mark.parametrize("whole", [False, True])
def test_weights_as_arrays_of_numpy_are_called_that(tmp_path, whole):
    arrays = {name: tensor.numpy() for name, tensor in WEIGHTS.items()}
    content = arrays if whole else {**checkpoint(NETWORK), "network_fn_state_dict": arrays}
    said = refused(tmp_path / "x.tar", file_bytes(content))
    assert "head.0.weight as an array of NumPy" in said
    assert "torch.from_numpy" in said


def test_two_weights_of_one_name_are_refused(tmp_path):
    weights = named(lambda name: name)
    weights["_orig_mod.head.0.bias"] = torch.zeros(3)
    (tmp_path / "x.tar").write_bytes(file_bytes(weights))
    with pytest.raises(CheckpointError, match="twice"):
        load_light_field(str(tmp_path / "x.tar"))


@pytest.mark.parametrize("old", [False, True], ids=["numpy 2", "numpy 1"])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.float64(31.5), 31.5),
        (np.float32(31.5), 31.5),
        (np.int64(31), 31),
        (np.arange(6.0).reshape(2, 3), None),
        (np.array("text"), None),
        (Path("/data/logs/lego"), None),
        (31.5, 31.5),
    ],
    ids=str,
)
def test_inert_values(tmp_path, value, kept, protocol, old):
    content = {**checkpoint(NETWORK), "best_psnr": value}
    data = file_bytes(content, pickle_protocol=protocol)
    if old:
        new = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(new, "w") as target:
            for entry in source.infolist():
                body = source.read(entry)
                if protocol == 2:  # there, names are lines of their own
                    body = body.replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")
                target.writestr(entry.filename, body)
        data = new.getvalue()
    (tmp_path / "x.tar").write_bytes(data)
    light_field = load_light_field(str(tmp_path / "x.tar"))
    assert light_field.provenance.get("best_psnr") == kept


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2024, 5, 6, 7, 8, tzinfo=datetime.UTC),
        datetime.timedelta(hours=3),
        Decimal("31.5"),
        Fraction(1, 3),
        uuid.UUID(int=7),
        types.SimpleNamespace(lr=5e-4),
        defaultdict(list, {"loss": [0.1]}),
        Counter("ab"),
        deque([1, 2]),
        deque([1, 2], maxlen=3),
        np.random.default_rng(1),
        np.random.RandomState(1),
        np.random.RandomState(1).get_state(),
        {1, 2},
        frozenset([1]),
        slice(1, 2),
        range(3),
        1j,
        bytearray(b"ab"),
        PureWindowsPath("C:/runs"),
        torch.get_rng_state(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_of_the_library(tmp_path, value, protocol):
    content = {**checkpoint(NETWORK), "kept": value, "again": [value, {"deep": value}]}
    assert opened(tmp_path, content, pickle_protocol=protocol).network.depth > 2


@pytest.mark.parametrize("keys", [("weights",), ("params_ema",), ("model", "state_dict")])
def test_weights_under_any_key(tmp_path, keys):
    content: dict = WEIGHTS
    for key in reversed(keys):
        content = {key: content, "epoch": 3}
    light_field = opened(tmp_path, content)
    assert torch.equal(light_field.tensors["tail.0.weight"], WEIGHTS["tail.0.weight"].float())


def test_of_several_weights_none_is_chosen(tmp_path):
    data = file_bytes({"params_ema": WEIGHTS, "params": WEIGHTS})
    assert "weights several times: params_ema, params" in refused(tmp_path / "x.tar", data)


def test_paths_among_the_options(tmp_path):
    network = student(arguments(basedir=Path("/data/logs"), lrate=np.float64(5e-4)))
    assert opened(tmp_path, checkpoint(network)).network.width == ARGS.netwidth


def test_bare_weights_open_with_a_scene(tmp_path):
    path = tmp_path / "bare.safetensors"
    save_file(named(lambda name: f"module.{name}"), path)
    with pytest.raises(CheckpointError, match="Give the scene"):
        load_light_field(str(path))
    light_field = load_light_field(str(path), PRESETS["blender:lego"])
    assert light_field.scene.name == "blender:lego".removeprefix("blender:")
    assert any("this was assumed" in note for note in light_field.notes)
    for name, tensor in WEIGHTS.items():
        assert torch.equal(light_field.tensors[name], tensor.float())
    assert len(light_field.sha256) == 64


def zipped(**entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in entries.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), body)
    return stream.getvalue()


def tarred(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"data"))
    return stream.getvalue()


LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 24117248\n"
)
OTHERS = {
    "lfs": (LFS, "Git LFS pointer", "git lfs pull"),
    "page": (b"\n<!DOCTYPE HTML><html>too large</html>", "a web page", "browser"),
    "lfs with a mark": (b"\xef\xbb\xbf" + LFS, "Git LFS pointer", "git lfs pull"),
    "lfs of old": (b"version https://hawser.github.com/spec/v1\n", "Git LFS pointer", "git lfs"),
    "page with a comment": (b"\n<!-- saved -->\n<HTML>", "a web page", "browser"),
    "page of Windows": ("<!DOCTYPE html>".encode("utf-16"), "a web page", "browser"),
    "error page": (b"<Error><Code>NoSuchKey</Code></Error>", "a web page", "browser"),
    "answer": (b"404: Not Found", "a text that begins with '404: Not Found'", "Download"),
    "script": (b"#!/bin/sh\nrm", "a script", "checkpoint"),
    "beside": (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "macOS puts beside", "file itself"),
    "film": (b"\0\0\0\x20ftypisom", "a film", "checkpoint"),
    "empty zip": (b"PK\5\6" + bytes(18), "an empty zip archive", "Download"),
    "page with a mark": (b"\xef\xbb\xbf<html>", "a web page", "browser"),
    "gzip": (gzip.compress(tarred("lego.tar")), "packed with gzip", "Unpack it"),
    "xz": (b"\xfd7zXZ\x00" + bytes(40), "packed with xz", "Unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "7z archive", "Unpack it"),
    "tar": (tarred("lego/ckpt.tar"), "tar archive", "Unpack it"),
    "zip": (zipped(lego__ckpt_dot_tar=b"x"), "zip archive with lego/ckpt.tar inside", "Unpack it"),
    "npz": (zipped(a_dot_npy=b"x", b_dot_npy=b"y"), "NumPy archive", "checkpoint"),
    "photos": (zipped(a_dot_png=b"x"), "it holds a.png", "checkpoint"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(40), "a picture", "checkpoint"),
    "json": (b'{"keyframes": []}', "a JSON text", "checkpoint"),
    "zeros": (bytes(1000), "nothing but zeros", "Download"),
    "empty": (b"", "it is empty", "Download"),
    "noise": (b"\x01\x02\x03" * 300, "truncated, or not a .safetensors", "Download"),
    "pickle": (pickle.dumps({"a": 1}), "a pickle, but none that torch has written", "torch.save"),
}


@pytest.mark.parametrize(("data", "what", "remedy"), OTHERS.values(), ids=OTHERS.keys())
def test_what_is_refused_is_called_what_it_is(tmp_path, data, what, remedy):
    said = refused(tmp_path / "x.tar", data)
    assert what in said
    assert remedy in said


def test_a_whole_module_is_called_that(tmp_path):
    said = refused(tmp_path / "x.pth", file_bytes(NETWORK))
    assert "whole pickled module of the class model.nerf_raybased.NeRF_v3_2" in said
    assert "model.state_dict()" in said


class Unknown:
    """A class of somebody's own program."""


class Harmful:
    def __reduce__(self):
        return os.system, ("true",)


class Largest:
    def __reduce__(self):
        return max, (1, 2)


class Evaluated:
    def __reduce__(self):
        return eval, ("1",)


def test_only_what_can_do_harm_is_called_harmful(tmp_path):
    for harmless in (..., Largest(), iter([1])):
        data = file_bytes({**checkpoint(NETWORK), "mine": harmless})
        assert "Save its weights alone" in refused(tmp_path / "x.tar", data)
    data = file_bytes({**checkpoint(NETWORK), "mine": Unknown()})
    assert "Save its weights alone" in refused(tmp_path / "x.tar", data)
    for harmful in (Harmful(), Evaluated()):
        (tmp_path / "x.tar").write_bytes(file_bytes({**checkpoint(NETWORK), "mine": harmful}))
        with pytest.raises(CheckpointError, match="do not open it with other programs"):
            load_light_field(str(tmp_path / "x.tar"))
