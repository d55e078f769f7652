"""Damage to files that keeps their structure: values of JSON, headers, pickles, archives, bytes."""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

BAIT = '<img src="&#47;dev&#47;zero">'
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, 1e-30, 1e30, -1e300, 10**30, 2**31, 2**63, 65_536),
    *("", "x", "NaN", "../..", "/etc/passwd", "a\\b", "\x00", "\x1b[31m\x07", "a\nb", "\u202e"),
    *(
        "\udcff",
        BAIT,
        "x" * 5000,
        "9" * 20_000,
        "{}",
        "[1, 2]",
        "OPENCV_FISHEYE",
        "int8",
        "turntable",
    ),
    *([], {}, [[]], [0] * 16, [[0, 0, 0, 1]] * 4, {"": {}}, [None], [{}], ["a", 1]),
)
"""What stands in the place of something else."""


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def changed(value: Any, random: Random) -> Any:
    """A copy of a JSON value with a few entries replaced, removed, doubled or scaled."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = list(_places(value))
        if not places:
            return random.choice(VALUES)
        owner, key = random.choice(places)
        what = random.random()
        if what < 0.55:
            owner[key] = copy.deepcopy(random.choice(VALUES))
        elif what < 0.7:
            del owner[key]
        elif what < 0.8 and isinstance(owner, list):
            owner.insert(key, copy.deepcopy(owner[key]))
        elif what < 0.9 and isinstance(owner[key], int | float):
            owner[key] *= random.choice((-1, 0, 2, 1000, 1e-6, 1e12))
        elif what < 0.93:
            owner[key] = nested(random.choice((5, 50)))
        elif isinstance(owner, dict):
            owner[random.choice(("", "x" * 300, "frames", "format", BAIT))] = owner[key]
    return value


def _places(value: Any) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in list(entries):
        yield value, key
        if isinstance(entry, dict | list):
            yield from _places(entry)


def damaged_json(
    tree: Any, draw: Callable[[st.SearchStrategy[Any]], Any], values: st.SearchStrategy[Any]
) -> Any:
    """The tree with one node, anywhere in it, taken away or replaced by one of the values."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 6)):
        key = draw(st.sampled_from(sorted(tree)))
        if not draw(st.integers(0, 6)):
            return {k: v for k, v in tree.items() if k != key}
        return {**tree, key: damaged_json(tree[key], draw, values)}
    if isinstance(tree, list) and tree and draw(st.integers(0, 6)):
        index = draw(st.integers(0, len(tree) - 1))
        return [*tree[:index], damaged_json(tree[index], draw, values), *tree[index + 1 :]]
    return draw(values)


def damaged(data: bytes, random: Random) -> bytes:
    """A few bytes changed, cut out, doubled or moved."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        if not changed:
            break
        at = random.randrange(len(changed))
        length = random.choice((1, 1, 1, 2, 4, 8, 64))
        match random.randrange(5):
            case 0:
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at : at + length] = random.randbytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                del changed[at:]
    return bytes(changed)


def json_file(data: bytes, random: Random) -> bytes:
    """A JSON text whose values are changed, or the text itself."""
    if random.random() < 0.15:
        return damaged(data, random)
    text = json.dumps(changed(json.loads(data), random))
    if random.random() < 0.03:
        # Deeper than any program writes it, so as a text.
        depth = random.choice((500, 20_000, 1_000_000))
        text = text.replace("null", "[" * depth + "]" * depth, 1)
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"))
    return text.encode(encoding)


def safetensors_file(data: bytes, random: Random) -> bytes:
    """A header that promises something else, texts in it that say otherwise, or other bytes."""
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    match random.randrange(4):
        case 0:
            return damaged(data, random)
        case 1:
            header = changed(header, random)
        case _:
            texts = header.get("__metadata__", {})
            keys = [key for key, text in texts.items() if str(text).startswith("{")] or list(texts)
            if not keys:
                header = changed(header, random)
            else:
                key = random.choice(keys)
                inner = texts[key]
                inner = json.loads(inner) if inner.startswith("{") else inner
                is_object = isinstance(inner, dict)
                inner = changed(inner, random) if is_object else random.choice(VALUES)
                texts[key] = json.dumps(inner)
    text = json.dumps(header).encode()
    stated = len(text) if random.random() < 0.9 else random.choice((0, 1, 2**31, 2**63))
    return struct.pack("<Q", stated) + text + body


def zip_file(data: bytes, random: Random) -> bytes:
    """An archive one of whose entries is damaged, missing, doubled or called otherwise."""
    if random.random() < 0.2:
        return damaged(data, random)
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        entries = [(entry.filename, source.read(entry)) for entry in source.infolist()]
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(entries))
        if random.random() < 0.6:  # most entries are numbers
            at = next((i for i, (name, _) in enumerate(entries) if name.endswith(".pkl")), at)
        name, body = entries[at]
        match random.randrange(5):
            case 0 | 1 | 2:
                entries[at] = (name, damaged(body, random))
            case 3:
                del entries[at]
            case 4:
                other = random.choice(("", "..", "/x", "archive/data/0", "a" * 300, "x/../y", name))
                entries.append((other, body))
        if not entries:
            break
    stream = io.BytesIO()
    kind = random.choice((zipfile.ZIP_STORED,) * 5 + (zipfile.ZIP_DEFLATED,))
    with zipfile.ZipFile(stream, "w", kind) as target:
        for name, body in entries:
            target.writestr(zipfile.ZipInfo(name), body, kind)
    made = stream.getvalue()
    return damaged(made, random) if random.random() < 0.1 else made


def npy_file(data: bytes, random: Random) -> bytes:
    """A table whose header says something else, or with other numbers."""
    if random.random() < 0.4:
        return damaged(data, random)
    changed = bytearray(data)
    at = random.randrange(128, len(changed) - 8) // 8 * 8
    number = random.choice((0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-300, 5.0))
    changed[at : at + 8] = struct.pack("<d", number)
    return bytes(changed)


Mutation = Callable[[bytes, Random], bytes]
