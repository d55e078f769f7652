"""Files: what is written comes back, and whatever else is opened gives one readable error."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.checkpoints import opening as checkpoint
from r2l_core.checkpoints.opening import embedded_names, load_light_field, save_light_field
from r2l_core.errors import CheckpointError, R2LError
from r2l_core.model.light_field import LightField

PROVENANCE = {"method": "grown on trees – 4×4", "rays": 12_345, "nested": {"a": [1, 2.5, None]}}


@pytest.fixture(scope="session")
def saved(make_light_field, tmp_path_factory) -> bytes:
    """The bytes of a good file. Few enough that every part of it is reached by chance."""
    path = tmp_path_factory.mktemp("saved") / "good.safetensors"
    save_light_field(make_light_field(width=4, n_sample=2, n_frequencies=1), path)
    return path.read_bytes()


@pytest.fixture(scope="session")
def bad_file(tmp_path_factory) -> Path:
    """Where hypothesis may write one file after the other."""
    return tmp_path_factory.mktemp("bad") / "the bad one.safetensors"


def header_of(data: bytes) -> tuple[dict, bytes]:
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def assembled(header: dict | str | bytes, body: bytes) -> bytes:
    text = header if isinstance(header, str | bytes) else json.dumps(header)
    raw = text if isinstance(text, bytes) else text.encode()
    return len(raw).to_bytes(8, "little") + raw + body


def assert_refused(path: Path, data: bytes | None = None) -> str:
    """Opening the file gives an R2LError that names it, and nothing else; returns its text."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(R2LError) as caught:
        load_light_field(str(path))
    text = str(caught.value)
    assert str(path) in text
    return text


# --- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_weights_come_back_exactly(light_field, tmp_path, dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in light_field.tensors.items()}
    path = tmp_path / "field.safetensors"
    save_light_field(replace(light_field, tensors=tensors), path)
    loaded = load_light_field(str(path))
    assert loaded.stored_dtype == str(dtype).removeprefix("torch.")
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded.tensors[name].dtype == torch.float32
        assert torch.equal(loaded.tensors[name], tensor.float())


@pytest.mark.parametrize(
    "network",
    [{}, {"depth": 7, "res_scale": 0.25, "use_residual": False}, {"depth": 2, "n_frequencies": 0}],
    ids=str,
)
def test_everything_about_a_light_field_comes_back(make_light_field, scene, tmp_path, network):
    light_field = make_light_field(scene, provenance=PROVENANCE, **network)
    path = tmp_path / "my field.safetensors"
    save_light_field(light_field, path)
    loaded = load_light_field(str(path))
    assert loaded.network == light_field.network
    assert loaded.scene == scene
    assert loaded.provenance == PROVENANCE
    assert loaded.name == "my field"
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_given_scene_replaces_the_one_in_the_file(light_field_file, scene):
    other = replace(scene, name="other", near=1.0)
    assert load_light_field(str(light_field_file), other).scene == other


def test_the_file_is_readable_by_plain_safetensors(light_field_file, light_field):
    tensors = safetensors.torch.load_file(light_field_file)
    assert tensors.keys() == light_field.tensors.keys()
    metadata = header_of(light_field_file.read_bytes())[0]["__metadata__"]
    assert (metadata["format"], metadata["version"]) == ("r2l-light-field", "1")


def test_a_module_is_ready_for_use(light_field):
    module = light_field.module()
    assert not module.training
    assert not any(p.requires_grad for p in module.parameters())
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, light_field.tensors[name])
    colors = module(torch.zeros(2, light_field.network.input_size))
    assert torch.isfinite(colors).all()


def test_home_paths_are_understood(light_field, user_dirs):
    save_light_field(light_field, user_dirs / "mine.safetensors")
    assert load_light_field("~/mine.safetensors").name == "mine"


# --- embedded light fields ---------------------------------------------------------------------


@pytest.fixture
def embedded_dir(monkeypatch, tmp_path, light_field):
    folder = tmp_path / "embedded"
    for name in ("demo", "another"):
        save_light_field(replace(light_field, name=name), folder / f"{name}.safetensors")
    monkeypatch.setattr(checkpoint, "CHECKPOINTS_DIR", folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


def test_embedded_light_fields_open_by_name(embedded_dir, light_field):
    assert embedded_names() == ["another", "demo"]
    loaded = load_light_field("demo")
    assert loaded.name == "demo"
    assert torch.equal(loaded.tensors["tail.0.bias"], light_field.tensors["tail.0.bias"])


def test_unknown_names_list_the_embedded_ones(embedded_dir):
    with pytest.raises(CheckpointError, match=r"nosuch .*there is no such file.*another, demo"):
        load_light_field("nosuch")


def test_an_output_folder_of_the_same_name_does_not_hide_an_embedded_one(embedded_dir):
    Path("demo").mkdir()
    assert load_light_field("demo").name == "demo"


# --- writing -----------------------------------------------------------------------------------


def test_missing_folders_are_made_and_nothing_else_is_left(light_field, tmp_path):
    path = tmp_path / "a" / "b" / "field.safetensors"
    save_light_field(light_field, path)
    assert [p.name for p in path.parent.iterdir()] == ["field.safetensors"]


def test_an_older_file_is_replaced(light_field, make_light_field, light_field_file):
    newer = make_light_field(seed=9)
    save_light_field(newer, light_field_file)
    loaded = load_light_field(str(light_field_file))
    assert torch.equal(loaded.tensors["head.0.weight"], newer.tensors["head.0.weight"])


def test_a_folder_in_the_way_is_named_and_nothing_is_left(light_field, tmp_path):
    path = tmp_path / "folder.safetensors"
    path.mkdir()
    with pytest.raises(CheckpointError, match=r"could not be written to .*folder\.safetensors"):
        save_light_field(light_field, path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder_is_reported(light_field, light_field_file):
    with pytest.raises(CheckpointError, match=r"could not be written to .*inside\.safetensors"):
        save_light_field(light_field, light_field_file / "inside.safetensors")


# --- reading what is not there -----------------------------------------------------------------


def test_missing_files_and_folders(tmp_path):
    assert "no such file" in assert_refused(tmp_path / "missing.safetensors")
    assert "folder" in assert_refused(tmp_path)


@pytest.mark.parametrize("name", ["", "x" * 5000, "~nosuchuser/field.safetensors", "\0", "a/" * 50])
def test_impossible_paths(name):
    with pytest.raises(CheckpointError, match="cannot be opened"):
        load_light_field(name)


def test_files_too_large_for_memory_are_not_read(tmp_path):
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(2 * 1024**3)  # takes no space on disk
    assert "larger than 1 GiB" in assert_refused(path)


# --- reading damage ----------------------------------------------------------------------------


def test_the_good_file_is_good(saved, bad_file):
    """Otherwise the tests below would pass whatever they break."""
    bad_file.write_bytes(saved)
    assert isinstance(load_light_field(str(bad_file)), LightField)
    bad_file.write_bytes(assembled(*header_of(saved)))
    assert isinstance(load_light_field(str(bad_file)), LightField)


@given(fraction=st.floats(0, 1, exclude_max=True))
def test_truncated_files(saved, bad_file, fraction):
    assert_refused(bad_file, saved[: int(fraction * len(saved))])


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, -1])
def test_files_cut_short_at_a_seam(saved, bad_file, size):
    assert_refused(bad_file, saved[:size])


@given(st.binary(max_size=300))
def test_garbage(bad_file, data):
    assert_refused(bad_file, data)


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1))
def test_garbage_of_any_claimed_size(bad_file, data, size):
    assert_refused(bad_file, size.to_bytes(8, "little") + data)


@given(data=st.data())
def test_flipped_bytes_give_a_light_field_or_an_error_that_names_the_file(saved, bad_file, data):
    place = data.draw(st.integers(0, len(saved) - 1))
    damaged = bytearray(saved)
    damaged[place] ^= data.draw(st.integers(1, 255))
    bad_file.write_bytes(damaged)
    try:
        load_light_field(str(bad_file))
    except R2LError as error:
        text = str(error)
    else:
        return
    assert str(bad_file) in text


def test_bytes_after_the_end(saved, bad_file):
    assert_refused(bad_file, saved + b"more")


# --- reading other formats ---------------------------------------------------------------------


class Malicious:
    """Unpickling this makes a file."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self):
        return (os.open, (str(self.sentinel), os.O_CREAT | os.O_WRONLY))


@pytest.mark.parametrize("suffix", [".tar", ".pt", ".safetensors"])
@pytest.mark.parametrize("container", ["torch-zip", "torch-legacy", "pickle-2", "pickle-5"])
def test_pickles_are_refused_and_never_run(tmp_path, suffix, container):
    sentinel = tmp_path / "sentinel"
    payload = {"network_fn_state_dict": Malicious(sentinel)}
    os.close(pickle.loads(pickle.dumps(payload))["network_fn_state_dict"])
    assert sentinel.exists(), "the payload works"
    sentinel.unlink()

    path = tmp_path / f"evil{suffix}"
    if container.startswith("torch"):
        torch.save(payload, path, _use_new_zipfile_serialization=container == "torch-zip")
    else:
        path.write_bytes(pickle.dumps(payload, protocol=int(container[-1])))
    text = assert_refused(path)
    assert not sentinel.exists()
    if container != "pickle-5":
        assert "pickle" in text


def test_safetensors_of_something_else(light_field, bad_file):
    safetensors.torch.save_file({"encoder.weight": torch.ones(3, 3)}, bad_file)
    assert "something else" in assert_refused(bad_file)
    safetensors.torch.save_file({"encoder.weight": torch.ones(3, 3)}, bad_file, {"format": "pt"})
    assert "something else" in assert_refused(bad_file)


def test_bare_weights_need_a_scene(light_field, bad_file):
    safetensors.torch.save_file(dict(light_field.tensors), bad_file)
    assert "bare weights" in assert_refused(bad_file)


# --- headers that lie --------------------------------------------------------------------------


def _metadata(**values: str):
    return lambda header: header["__metadata__"].update(values)


def _inside(key: str, **values):
    """Replace entries of one of the JSON texts in the header."""

    def change(header: dict) -> None:
        inner = json.loads(header["__metadata__"][key])
        header["__metadata__"][key] = json.dumps({**inner, **values})

    return change


def _without(key: str, entry: str):
    def change(header: dict) -> None:
        inner = json.loads(header["__metadata__"][key])
        del inner[entry]
        header["__metadata__"][key] = json.dumps(inner)

    return change


def _digits_of_depth(count: int):
    # Written as text: Python itself refuses to print an integer that long.
    def change(header: dict) -> None:
        text = header["__metadata__"]["network"]
        header["__metadata__"]["network"] = text.replace('"depth": 6', '"depth": ' + "9" * count)

    return change


LYING_HEADERS = {
    "metadata-null": lambda header: header.update(__metadata__=None),
    "metadata-list": lambda header: header.update(__metadata__=[]),
    "metadata-number": lambda header: header["__metadata__"].update(format=1),
    "version-2": _metadata(version="2"),
    "no-version": lambda header: header["__metadata__"].pop("version"),
    "no-network": lambda header: header["__metadata__"].pop("network"),
    "network-nonsense": _metadata(network="nonsense"),
    "network-null": _metadata(network="null"),
    "network-list": _metadata(network="[1, 2]"),
    "network-nested": _metadata(network="[" * 50_000),
    "network-without-depth": _without("network", "depth"),
    "scene-nonsense": _metadata(scene="{"),
    "scene-list": _metadata(scene="[]"),
    "scene-nested": _metadata(scene='{"a":' * 50_000),
    "provenance-nonsense": _metadata(provenance="'"),
    "provenance-list": _metadata(provenance="[]"),
    "provenance-nested": _metadata(provenance='{"a":' * 50_000),
    "depth-null": _inside("network", depth=None),
    "depth-word": _inside("network", depth="many"),
    "depth-list": _inside("network", depth=[6]),
    "depth-negative": _inside("network", depth=-6),
    "depth-one": _inside("network", depth=1),
    "depth-other": _inside("network", depth=8),
    "depth-infinite": _inside("network", depth=float("inf")),
    "depth-nan": _inside("network", depth=float("nan")),
    "depth-billion": _inside("network", depth=10**9),
    "depth-300-digits": _digits_of_depth(300),
    "depth-4300-digits": _digits_of_depth(4300),
    "depth-5000-digits": _digits_of_depth(5000),
    "width-other": _inside("network", width=5),
    "width-enormous": _inside("network", width=10**200),
    "width-zero": _inside("network", width=0),
    "samples-one": _inside("network", n_sample=1),
    "frequencies-enormous": _inside("network", n_frequencies=10**30),
    "frequencies-negative": _inside("network", n_frequencies=-1),
    "use-residual-word": _inside("network", use_residual="false"),
    "use-residual-number": _inside("network", use_residual=0),
    "plucker-word": _inside("network", plucker="false"),
    "activation-unknown": _inside("network", inact="gelu"),
    "activation-list": _inside("network", act=["relu"]),
    "layers-of-a-block-zero": _inside("network", n_learnable=0),
    "network-unknown-entry": _inside("network", colour="red"),
    "res-scale-nan": _inside("network", res_scale=float("nan")),
    "res-scale-infinite": _inside("network", res_scale=float("inf")),
    "res-scale-word": _inside("network", res_scale="big"),
    "scene-near-beyond-far": _inside("scene", near=9.0),
    "scene-near-nan": _inside("scene", near=float("nan")),
    "scene-word": _inside("scene", far="away"),
    "scene-unknown-entry": _inside("scene", colour="red"),
    "scene-ndc-word": _inside("scene", nerf_ndc="false"),
    "scene-home-nan": _inside("scene", home_azimuth_deg=float("nan")),
    "scene-center-of-two": _inside("scene", center=[1, 2]),
    "scene-center-null": _inside("scene", center=None),
    "scene-no-pixels": _inside("scene", width_px=0),
    "scene-infinite-width": _inside("scene", width_px=float("inf")),
    "scene-origin-inside": _inside("scene", origin_radius=0.5),
    "scene-origin-infinite": _inside("scene", origin_radius=float("inf")),
    "scene-origin-nan": _inside("scene", origin_radius=float("nan")),
}


@pytest.mark.parametrize("change", LYING_HEADERS.values(), ids=LYING_HEADERS.keys())
def test_lying_headers(saved, bad_file, change):
    header, body = header_of(saved)
    change(header)
    assert_refused(bad_file, assembled(header, body))


@pytest.mark.parametrize(
    "header",
    ["", "null", "[]", "{}", "[" * 50_000, '{"a":' * 50_000, '{"__metadata__": {}}', b"\xff\xfe{}"],
    ids=lambda header: str(header[:16]) or "empty",
)
def test_headers_that_are_nonsense(saved, bad_file, header):
    _, body = header_of(saved)
    assert_refused(bad_file, assembled(header, body))
    assert_refused(bad_file, assembled(header, b""))


# --- tensors that cannot be used ---------------------------------------------------------------


def _set(name: str, change):
    return lambda tensors: tensors.update({name: change(tensors[name])})


def _poked(value: float):
    def change(tensor: torch.Tensor) -> torch.Tensor:
        poked = tensor.clone()
        poked.view(-1)[-1] = value
        return poked

    return change


BAD_TENSORS = {
    "nan": (_set("body.1.body.2.weight", _poked(float("nan"))), "body.1.body.2.weight", "NaN"),
    "inf": (_set("head.0.bias", _poked(float("inf"))), "head.0.bias", "infinite"),
    "minus-inf": (_set("tail.0.weight", _poked(-float("inf"))), "tail.0.weight", "infinite"),
    "missing": (lambda tensors: tensors.pop("tail.0.bias"), "11 tensors", "12"),
    "one-too-many": (lambda t: t.update(extra=torch.zeros(1)), "13 tensors", "12"),
    "renamed": (
        lambda t: t.update({"body.0.body.1.bias": t.pop("body.0.body.0.bias")}),
        "body.0.body.0.bias",
        "missing",
    ),
    "transposed": (_set("tail.0.weight", lambda t: t.T.contiguous()), "tail.0.weight", "shape"),
    "flat": (_set("body.0.body.0.weight", lambda t: t.reshape(-1)), "body.0.body.0.weight", "("),
    "empty": (_set("tail.0.bias", lambda t: t[:0].clone()), "tail.0.bias", "shape"),
    "scalar": (_set("tail.0.bias", lambda t: t[0].clone()), "tail.0.bias", "shape"),
    "integer": (_set("tail.0.bias", lambda t: t.to(torch.int32)), "tail.0.bias", "int32"),
    "boolean": (_set("head.0.bias", lambda t: t > 0), "head.0.bias", "bool"),
    "double": (_set("head.0.bias", lambda t: t.double()), "head.0.bias", "float64"),
}


@pytest.mark.parametrize(
    ("change", "name", "problem"), BAD_TENSORS.values(), ids=BAD_TENSORS.keys()
)
def test_bad_tensors_are_named(saved, bad_file, change, name, problem):
    tensors = safetensors.torch.load(saved)
    change(tensors)
    metadata = header_of(saved)[0]["__metadata__"]
    text = assert_refused(bad_file, safetensors.torch.save(tensors, metadata))
    assert name in text
    assert problem in text


def test_the_same_light_field_gives_the_same_bytes(make_light_field, tmp_path):
    light_field = make_light_field(provenance=PROVENANCE)
    for name in "abcd":
        save_light_field(light_field, tmp_path / f"{name}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert json.loads(file.metadata()["provenance"]) == PROVENANCE
        for name, tensor in light_field.tensors.items():
            assert torch.equal(file.get_tensor(name), tensor)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_saved_file_has_the_usual_permissions(light_field, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save_light_field(light_field, tmp_path / "mine.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "mine.safetensors").stat().st_mode & 0o777 == mode
