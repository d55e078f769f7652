"""Datasets from strangers: whatever is wrong gives a DatasetError that names the file and the
field, without long waits or much memory, and nothing outside the folder is read."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from r2l_core.datasets import open_dataset
from r2l_core.errors import DatasetError
from r2l_core.geometry.camera import Camera
from tests.fuzz.mutations import damaged_json

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]
SINGULAR = np.zeros((4, 4)).tolist()
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0]).tolist()
SHEARED = [[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
# Examples share the folder that the fixture has written; each writes the file it damages anew.
FUZZ = settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def refused(folder: Path, *names: str, split: str = "train") -> None:
    """Opening, or else reading the first picture, says one paragraph with all of `names`."""
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder, split).image(0)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 2000
    for name in names:
        assert name in text


def opens_or_is_refused(folder: Path, split: str = "train") -> None:
    """No other exception, and what opens is sound."""
    refusal = ""
    try:
        dataset = open_dataset(folder, split)
        images = [dataset.image(index) for index in range(min(len(dataset), 2))]
        dataset.thumbnail(0, 8)
    except DatasetError as error:
        refusal = str(error)
    if refusal:
        assert str(folder) in refusal
        assert "\n" not in refusal
        return
    for camera in dataset.cameras:
        assert isinstance(camera, Camera)
        assert np.isfinite(camera.T_world_camera).all()
    for image in images:
        assert np.isfinite(image).all()
    assert 0 <= dataset.scene.near < dataset.scene.far < math.inf


# --- JSON --------------------------------------------------------------------------------------

BAD_TRANSFORMS = {
    "no angle": ({"camera_angle_x": None}, "camera_angle_x is missing"),
    "angle a text": ({"camera_angle_x": "0.69"}, "camera_angle_x is not a number"),
    "angle true": ({"camera_angle_x": True}, "camera_angle_x is not a number"),
    "angle nan": ({"camera_angle_x": math.nan}, "camera_angle_x is not a finite number"),
    "angle infinite": ({"camera_angle_x": math.inf}, "camera_angle_x is not a finite number"),
    "angle zero": ({"camera_angle_x": 0}, "camera_angle_x is 0, not a number from"),
    "angle huge": ({"camera_angle_x": 1e300}, "camera_angle_x is 1e+300, not a number from"),
    "angle beyond floats": ({"camera_angle_x": 10**400}, "camera_angle_x is not a finite number"),
    "no frames": ({"frames": None}, "frames is missing"),
    "empty frames": ({"frames": []}, "frames is not a list with entries"),
    "frames an object": ({"frames": {"0": 1}}, "frames is not a list"),
    "frames of numbers": ({"frames": [1, 2]}, "frames[0] is not an object"),
    "too many frames": ({"frames": [{}] * 10_001}, "frames has 10001 entries"),
}


@pytest.mark.parametrize(("change", "named"), BAD_TRANSFORMS.values(), ids=BAD_TRANSFORMS.keys())
def test_bad_descriptions_are_named(write_dataset, edit_json, change, named):
    folder = write_dataset("blender")
    edit_json("transforms_train.json", lambda values: {**values, **change})
    refused(folder, str(folder / "transforms_train.json"), named)


BAD_FRAMES = {
    "no pose": ({"transform_matrix": None}, "frames[2].transform_matrix is missing"),
    "a text": ({"transform_matrix": "[[1,0,0,0]]"}, "frames[2].transform_matrix is not a list"),
    "3x3": ({"transform_matrix": np.eye(3).tolist()}, "frames[2].transform_matrix is not a matrix"),
    "5x4": (
        {"transform_matrix": np.ones((5, 4)).tolist()},
        "frames[2].transform_matrix is not a matrix of three or four rows",
    ),
    "ragged": (
        {"transform_matrix": [[1, 0, 0, 0], [0, 1, 0], [0, 0, 1, 0]]},
        "frames[2].transform_matrix is not a matrix",
    ),
    "zero determinant": ({"transform_matrix": SINGULAR}, "frames[2].transform_matrix"),
    "mirrored": ({"transform_matrix": MIRROR}, "frames[2].transform_matrix: its upper-left"),
    "sheared": ({"transform_matrix": SHEARED}, "frames[2].transform_matrix: its upper-left"),
    "transposed": (
        {"transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 2, 3, 1]]},
        "frames[2].transform_matrix: its last row",
    ),
    "nan": (
        {"transform_matrix": [[1, 0, 0, 0], [0, 1, 0, math.nan], [0, 0, 1, 0]]},
        "frames[2].transform_matrix[1][3] is not a finite number",
    ),
    "far away": (
        {"transform_matrix": [[1, 0, 0, 1e300], [0, 1, 0, 0], [0, 0, 1, 0]]},
        "frames[2].transform_matrix[0][3] is 1e+300",
    ),
    "null in it": (
        {"transform_matrix": [[1, 0, 0, None], [0, 1, 0, 0], [0, 0, 1, 0]]},
        "frames[2].transform_matrix[0][3] is not a number",
    ),
    "no path": ({"file_path": None}, "frames[2].file_path is missing"),
    "path a number": ({"file_path": 7}, "frames[2].file_path is not a text"),
    "path empty": ({"file_path": ""}, "frames[2].file_path"),
    "path with zero": ({"file_path": "train/\0r_2"}, "frames[2].file_path"),
    "path with a line break": ({"file_path": "train\nr_2"}, "frames[2].file_path"),
    "path of 100 kB": ({"file_path": "x" * 100_000}, "frames[2].file_path"),
    "out by dots": ({"file_path": "../outside"}, "frames[2].file_path '../outside' leads out"),
    "out and back": ({"file_path": "train/../../outside"}, "leads out of the dataset's folder"),
    "out by root": ({"file_path": "/etc/passwd"}, "leads out of the dataset's folder"),
    "out to nowhere": ({"file_path": "../nosuch"}, "leads out of the dataset's folder"),
}


@pytest.mark.parametrize(("change", "named"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frames_are_named(write_dataset, edit_json, around, change, named):
    folder = write_dataset("blender")
    around.save_picture(0, "../outside.png")
    edit_json("transforms_train.json", lambda values: values["frames"][2].update(change))
    refused(folder, str(folder / "transforms_train.json"), named)


@pytest.mark.parametrize("linked", ["picture", "folder"])
def test_links_out_of_the_dataset_are_not_followed(write_dataset, around, linked):
    folder = write_dataset("blender")
    around.save_picture(0, "../secret/r_0.png")
    if linked == "picture":
        (folder / "train" / "r_0.png").unlink()
        (folder / "train" / "r_0.png").symlink_to(folder.parent / "secret" / "r_0.png")
    else:
        (folder / "train").rename(folder / "elsewhere")
        (folder / "train").symlink_to(folder.parent / "secret")
    refused(folder, "transforms_train.json", "frames[0].file_path", "leads out")


def test_links_within_the_dataset_are(write_dataset):
    folder = write_dataset("blender")
    (folder / "train").rename(folder / "elsewhere")
    (folder / "train").symlink_to("elsewhere")
    assert len(open_dataset(folder, "train")) == 4
    whole = folder.parent / "by another name"
    whole.symlink_to(folder)
    assert len(open_dataset(whole, "train")) == 4


TEXTS = {
    "empty": b"",
    "nonsense": b"nonsense",
    "list": b"[]",
    "null": b"null",
    "number": b"1",
    "not text": b"\xff\xfe\x00\x01",
    "cut off": b'{"camera_angle_x": 0.69, "frames": [{"file_path"',
    "deeply nested": b'{"frames":' + b"[" * 100_000,
    "digits": b'{"camera_angle_x": ' + b"9" * 100_000 + b"}",
}


@pytest.mark.parametrize("data", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("blender", "transforms_train.json"),
        ("donerf", "dataset_info.json"),
        ("transforms", "transforms.json"),
    ],
)
def test_files_that_are_no_json_are_named(write_dataset, kind, name, data):
    folder = write_dataset(kind)
    (folder / name).write_bytes(data)
    refused(folder, str(folder / name))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"depth_range": None}, "depth_range is missing"),
        ({"depth_range": [1]}, "depth_range is not a list of 2 numbers"),
        ({"depth_range": [3, 2]}, "near 3.0 and far 2.0 are out of order"),
        ({"depth_range": [-1, 2]}, "depth_range[0] is -1"),
        ({"depth_range": [1, math.nan]}, "depth_range[1] is not a finite number"),
        ({"camera_angle_x": 7}, "camera_angle_x is 7"),
    ],
    ids=str,
)
def test_bad_donerf_facts_are_named(write_dataset, edit_json, change, named):
    folder = write_dataset("donerf")
    edit_json("dataset_info.json", lambda values: values.update(change))
    refused(folder, str(folder / "dataset_info.json"), named)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fl_x": 0}, "fl_x is 0"),
        ({"fl_x": -3}, "fl_x is -3"),
        ({"fl_x": math.nan}, "fl_x is not a finite number"),
        ({"fl_y": "a"}, "fl_y is not a number"),
        ({"cx": 1e99}, "cx is 1e+99"),
        ({"cy": [1]}, "cy is not a number"),
        ({"w": 0}, "w is 0"),
        ({"h": 1e9}, "h is 1e+09"),
        ({"k1": math.inf}, "k1 is not a finite number"),
        ({"camera_model": 3}, "camera_model is not a text"),
        ({"train_filenames": "all"}, "train_filenames is not a list"),
        ({"applied_transform": 1}, "applied_transform is not a list"),
    ],
    ids=str,
)
def test_bad_intrinsics_are_named(write_dataset, change, named):
    folder = write_dataset("transforms", **change)
    refused(folder, str(folder / "transforms.json"), named)


def test_own_intrinsics_are_named_with_their_frame(write_dataset, edit_json):
    folder = write_dataset("transforms")
    edit_json("transforms.json", lambda values: values["frames"][3].update(fl_x=-1))
    refused(folder, "frames[3].fl_x is -1")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**330), 10**330)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from(["", "./train/r_1", "../x", "/", "\0", "OPENCV", 1e-300, 1e38, -1, 0, 1]),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("blender", "transforms_train.json"),
        ("donerf", "dataset_info.json"),
        ("transforms", "transforms.json"),
    ],
)
def test_any_damaged_description_is_refused_or_sound(write_dataset, kind, name):
    folder = write_dataset(kind)
    file = folder / name
    original = json.loads(file.read_text())

    @FUZZ
    @given(st.data())
    def check(data):
        file.write_text(json.dumps(damaged_json(original, data.draw, json_values)))
        opens_or_is_refused(folder)

    check()


# --- pictures ----------------------------------------------------------------------------------


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG that claims to be of this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def valid_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (16, 24, 4), np.uint8)).save(
        stream, "PNG"
    )
    return stream.getvalue()


def valid_jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (16, 24, 3), np.uint8)).save(
        stream, "JPEG"
    )
    return stream.getvalue()


PICTURES = {
    "empty": b"",
    "nonsense": b"nonsense" * 10,
    "a bomb": png(60_000, 60_000),
    "a bomb below Pillow's limit": png(9_000, 9_900),
    "just too large": png(4_096, 4_097),
    "no pixels": png(0, 16),
    "cut off": valid_png()[:300],
    "cut off in the header": valid_png()[:20],
    "jpeg cut off": valid_jpeg()[:200],
    "gif": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    "postscript": b"%!PS-Adobe-3.0\n%%BoundingBox: 0 0 10 10\n",
}


@pytest.mark.parametrize("data", PICTURES.values(), ids=PICTURES.keys())
def test_bad_pictures_are_named(write_dataset, data):
    folder = write_dataset("blender")
    picture = folder / "train" / "r_0.png"
    picture.write_bytes(data)
    refused(folder, str(picture))


def test_sixteen_bit_pictures_are_named(write_dataset):
    folder = write_dataset("blender")
    picture = folder / "train" / "r_0.png"
    Image.fromarray(np.full((16, 24), 40_000, np.uint16)).save(picture)
    refused(folder, str(picture), "not 8-bit colours")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_do_not_make_it_wait(write_dataset):
    folder = write_dataset("blender")
    (folder / "train" / "r_0.png").unlink()
    os.mkfifo(folder / "train" / "r_0.png")
    assert "1 of 4 pictures are missing" in open_dataset(folder, "train").notes[0]
    (folder / "transforms_train.json").unlink()
    os.mkfifo(folder / "transforms_train.json")
    refused(folder)


@pytest.mark.parametrize("original", [valid_png(), valid_jpeg()], ids=["png", "jpeg"])
def test_any_damaged_picture_is_refused_or_sound(write_dataset, original):
    folder = write_dataset("blender")
    picture = folder / "train" / "r_0.png"

    @FUZZ
    @given(
        changes=st.lists(
            st.tuples(st.integers(0, len(original) - 1), st.binary(min_size=1, max_size=6)),
            max_size=4,
        ),
        length=st.none() | st.integers(0, len(original)),
    )
    def check(changes, length):
        data = bytearray(original)
        for position, replacement in changes:
            data[position : position + len(replacement)] = replacement
        picture.write_bytes(bytes(data[:length]))
        opens_or_is_refused(folder)

    check()


# --- LLFF and DeepVoxels -----------------------------------------------------------------------


def table(change=None) -> np.ndarray:
    """Nine sound rows but for what `change` does to them."""
    rows = np.zeros((9, 17))
    for index in range(9):
        position = (0.1 * index, 0.05 * index**2, 0.0)
        matrix = np.stack([(0, -1, 0), (1, 0, 0), (0, 0, 1), position, (128, 192, 240)], axis=1)
        rows[index] = [*matrix.reshape(-1), 2.0, 9.0]
    if change is not None:
        change(rows)
    return rows


def saved(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + b"\0" * 17 * 8


def put(row: int, column: int, value: float):
    def change(rows):
        rows[row, column] = value

    return change


def no_rotation(rows):
    rows[4, :15] = 0


POSES = {
    "empty": (b"", ""),
    "nonsense": (b"nonsense", "no table of numbers"),
    "an archive": (b"PK\x03\x04" + b"\0" * 40, "no table of numbers"),
    "objects": (saved(np.array([{}], object), allow_pickle=True), "no table of numbers"),
    "a pickle": (b"\x80\x04N.", "no table of numbers"),
    "a lying header": (claiming((10**12, 17)), "it is 1000000000000x17"),
    "a header of one row less": (claiming((8, 17)), "no table of numbers"),
    "a negative shape": (claiming((-1, 17)), ""),
    "words": (saved(np.full((9, 17), "a")), "no table of numbers"),
    "cut off": (saved(table())[:500], "no table of numbers"),
    "one row": (saved(table()[0]), "it is 17"),
    "14 columns": (saved(table()[:, :14]), "it is 9x14"),
    "no rows": (saved(table()[:0]), "it is 0x17"),
    "ten rows": (saved(np.vstack([table(), table()[:1]])), "10 poses"),
    "not a number": (saved(table(put(3, 7, math.nan))), "row 3, column 7 is nan"),
    "infinite": (saved(table(put(3, 16, math.inf))), "row 3, column 16 is inf"),
    "huge": (saved(table(put(8, 0, 1e200))), "row 8, column 0 is 1e+200"),
    "no depth": (saved(table(put(5, 15, 0))), "row 5: its depths"),
    "depths swapped": (saved(table(put(5, 15, 10))), "row 5: its depths"),
    "no focal length": (saved(table(put(0, 14, 0))), "below 1 pixel"),
    "another size": (saved(table(put(0, 4, 900))), "states pictures of 24x112.5 pixels"),
    "no determinant": (saved(table(no_rotation)), "row 4: its upper-left"),
    "all zero": (saved(table(lambda rows: rows.__setitem__(slice(None), 0))), ""),
    "no common direction": (
        saved(table(lambda rows: rows.__imul__(np.where(np.arange(17) % 5 == 2, 0, 1)))),
        "",
    ),
}


@pytest.mark.parametrize(("data", "named"), POSES.values(), ids=POSES.keys())
def test_bad_llff_poses_are_named(write_dataset, data, named):
    folder = write_dataset("llff")
    (folder / "poses_bounds.npy").write_bytes(data)
    refused(folder, str(folder / "poses_bounds.npy"), named)


def test_the_sound_llff_poses_open(write_dataset):
    folder = write_dataset("llff")
    (folder / "poses_bounds.npy").write_bytes(saved(table()))
    assert len(open_dataset(folder, "train")) == 7
    with pytest.raises(DatasetError, match="look in parallel"):
        open_dataset(folder, "train", spherify=True)


def test_any_damaged_llff_poses_are_refused_or_sound(write_dataset):
    folder = write_dataset("llff")
    original = saved(table())

    @FUZZ
    @given(
        position=st.integers(0, len(original) - 1),
        replacement=st.binary(min_size=1, max_size=16),
        length=st.none() | st.integers(0, len(original)),
    )
    def check(position, replacement, length):
        data = bytearray(original)
        data[position : position + len(replacement)] = replacement
        (folder / "poses_bounds.npy").write_bytes(bytes(data[:length]))
        opens_or_is_refused(folder)

    check()


def test_llff_pictures_must_be_there(write_dataset):
    folder = write_dataset("llff")
    (folder / "images_8" / "IMG_003.png").unlink()
    refused(folder, "9 poses", "8 pictures")
    (folder / "images_8").rename(folder / "pictures")
    refused(folder, "there is no images folder")


BAD_VOXELS = {
    "no intrinsics": ("intrinsics.txt", "", "fewer than five lines"),
    "words": ("intrinsics.txt", "a b c\n0 0 0\n1\n1\n32 32\n", "line 1 is not a row of numbers"),
    "no focal": ("intrinsics.txt", "0 1 1\n0 0 0\n1\n1\n32 32\n", "focal length"),
    "nan focal": ("intrinsics.txt", "nan 1 1\n0 0 0\n1\n1\n32 32\n", "line 1 has a number"),
    "no height": ("intrinsics.txt", "60 1 1\n0 0 0\n1\n1\n32\n", "line 5 has 1 numbers"),
    "short pose": ("pose/000001.txt", "1 0 0 0", "the pose has 4 numbers"),
    "long pose": ("pose/000001.txt", "1 " * 17, "more than sixteen"),
    "endless pose": ("pose/000001.txt", "1 " * 500_000, "the pose is not a row of numbers"),
    "singular pose": ("pose/000001.txt", "0 " * 16, "the pose: "),
    "infinite pose": ("pose/000001.txt", "inf " * 16, "not finite"),
    "stray pose": ("pose/000099.txt", "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1", "do not match"),
}


@pytest.mark.parametrize(("name", "content", "named"), BAD_VOXELS.values(), ids=BAD_VOXELS.keys())
def test_bad_deepvoxels_files_are_named(write_dataset, name, content, named):
    scene = write_dataset("deepvoxels") / "train" / "vase"
    (scene / name).write_text(content)
    refused(scene, str((scene / name).parent), named)


def test_any_damaged_deepvoxels_file_is_refused_or_sound(write_dataset):
    scene = write_dataset("deepvoxels") / "train" / "vase"
    originals = {name: (scene / name).read_text() for name in ("intrinsics.txt", "pose/000000.txt")}

    @FUZZ
    @given(
        name=st.sampled_from(sorted(originals)),
        word=st.integers(0, 15),
        replacement=st.sampled_from(["", "x", "nan", "inf", "-1e9", "0", "1e99", "1 2", "\n"]),
    )
    def check(name, word, replacement):
        words = originals[name].split(" ")
        words[word % len(words)] = replacement
        (scene / name).write_text(" ".join(words))
        opens_or_is_refused(scene)
        (scene / name).write_text(originals[name])

    check()


# --- the folder --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "nosuch", "\0", "x" * 5000, "~nosuchuser/x", "scene\nx"])
def test_folders_that_are_none_are_named(tmp_path, path):
    with pytest.raises(DatasetError, match="cannot be opened"):
        open_dataset(tmp_path / "empty" / path)


def test_a_folder_with_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    refused(tmp_path, str(tmp_path), "transforms_test.json")
    refused(tmp_path / "notes.txt", "no such folder")


@pytest.mark.skipif(sys.platform == "win32", reason="no address-space limits there")
def test_bombs_need_little_memory(write_dataset, around):
    """In a process that may have no more than a gibibyte, everything included."""
    folder = write_dataset("blender")
    train = folder / "transforms_train.json"
    largest = around.save_picture(0, "train/r_0.png")
    largest.write_bytes(png(4_096, 4_096, b"\0" * (4_096 * 4 + 1) * 4_096))
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from pathlib import Path
from r2l_core.datasets import open_dataset
from r2l_core.errors import DatasetError
folder, train = Path({str(folder)!r}), Path({str(train)!r})
print(open_dataset(folder, "train").image(0).shape)
for filler in (b"[],", b"[[[]]],"):
    train.write_bytes(b'{{"frames": [' + filler * (8_000_000 // len(filler)) + b"0]}}")
    try:
        open_dataset(folder, "train")
    except DatasetError as error:
        print(error.why)
train.write_bytes(b" " * 20_000_000)
try:
    open_dataset(folder, "train")
except DatasetError as error:
    print(error.why)
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "(4096, 4096, 3)"
    assert len(lines) == 4
    assert "larger than 8 MiB" in lines[3]
