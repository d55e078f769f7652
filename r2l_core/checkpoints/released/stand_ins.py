"""Everything that may come out of a checkpoint's pickle: plain values and the records below.

A global that a file names is never imported: the known ones become inert `Global` records, and the
few functions among them are replaced by those of this file. Any other is refused by its name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch

from r2l_core.checkpoints.released.library_names import (
    OF_NO_INTEREST,
    TYPES,
    USUAL_MODULES,
    can_do_harm,
)

_MAX_DIMENSIONS = 8
_MAX_ARGUMENTS = 64
"""A path has one for each of its folders."""

_MAX_SCALAR_BYTES = 16

NUMPY_ARRAY = "numpy.ndarray"
"""The kind of the record that stands for an array."""


class Refused(ValueError):
    """What is wrong with a file, a clause without a full stop, and what to do about it."""

    def __init__(
        self, why: str, remedy: str = "Download or copy it again, or choose another file."
    ) -> None:
        self.remedy = remedy
        super().__init__(why)


@dataclass(frozen=True)
class Global:
    """A class or function that the file names, as text: nothing is imported."""

    name: str


@dataclass(eq=False)
class Record:
    """An object of a known class: its attributes, not its behaviour."""

    kind: str
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StorageRef:
    """Numbers that lie elsewhere in the file."""

    dtype: torch.dtype
    key: str
    numel: int

    @property
    def n_bytes(self) -> int:
        """How many bytes it takes."""
        return self.numel * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class TensorRef:
    """A tensor that has not been read yet: a view of a storage, in elements."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)


_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
STORAGE_TYPES = {
    f"{module}.{name}": dtype
    for module in ("torch", "torch.cuda")
    for name, dtype in _STORAGES.items()
}
RECORDS = {
    "argparse.Namespace",
    "__main__.MyDataParallel",
    "model.nerf_raybased.NeRF",
    "model.nerf_raybased.NeRF_v3_2",
    "model.nerf_raybased.ResMLP",
    "torch.nn.modules.activation.LeakyReLU",
    "torch.nn.modules.activation.ReLU",
    "torch.nn.modules.activation.Sigmoid",
    "torch.nn.modules.container.ModuleList",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.linear.Linear",
    "torch.nn.parallel.data_parallel.DataParallel",
    "uuid.UUID",
}
_VALUES = {
    *TYPES,
    NUMPY_ARRAY,
    "torch.float16",
    "torch.bfloat16",
    "torch.float32",
    "torch.float64",
    "torch.int64",
}


# None of these may copy what it is given: a file can give the same large value a million times.


def _ordered_dict() -> dict[Any, Any]:
    return {}  # filled by opcodes of its own


def _set(*_: Any) -> list[Any]:
    return []  # of no interest, so that nothing of the file is hashed


def _size(values: Any) -> tuple[Any, ...]:
    if not isinstance(values, tuple) or len(values) > _MAX_DIMENSIONS:
        raise Refused("it describes a tensor of too many dimensions")
    return values


def _device(*_: Any) -> None:
    return None


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorRef:
    shape, strides = _size(shape), _size(strides)
    numbers = (offset, *shape, *strides)
    if (
        not isinstance(storage, StorageRef)
        or any(type(n) is not int or not 0 <= n < 2**62 for n in numbers)
        or len(shape) != len(strides)
    ):
        raise Refused("it describes a tensor that cannot be")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # Strides of 0 would let a few bytes claim any size.
    if 0 not in shape and (last >= storage.numel or prod(shape) > storage.numel):
        raise Refused(f"it describes a tensor {shape} of {storage.numel} stored numbers")
    return TensorRef(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


@dataclass(frozen=True, eq=False)
class Encoded:
    """A text that stands for bytes, as pickles of protocol 2 have them; not made into any."""

    text: str


def _encode(text: Any, encoding: Any = "latin1", *_: Any) -> Any:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("it encodes something else than bytes")
    return Encoded(text)


def _dtype(name: Any, *_: Any) -> Record:
    return Record("numpy.dtype", {"name": name if isinstance(name, str) else ""})


_SCALARS = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "b1": "<?"}


def _scalar(dtype: Any, data: Any = b"", *_: Any) -> Any:
    """A numpy scalar as a number of Python's; nothing where it is of no interest here."""
    name = dtype.state.get("name") if isinstance(dtype, Record) else None
    code = _SCALARS.get(name) if isinstance(name, str) else None
    if isinstance(data, Encoded):
        data = data.text.encode("latin1", "replace") if len(data.text) <= _MAX_SCALAR_BYTES else b""
    if code is None or not isinstance(data, bytes) or len(data) != struct.calcsize(code):
        return None
    return struct.unpack(code, data)[0]


def _array(*_: Any) -> Record:
    return Record(NUMPY_ARRAY)


def _nothing(*_: Any) -> None:
    return None  # a plain value of Python's library, which is of no interest


def _mapping(*_: Any) -> dict[Any, Any]:
    return {}  # as of no interest; defaultdict fills it by opcodes


def _simple_namespace(*_: Any) -> Record:
    return Record("types.SimpleNamespace")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "numpy.dtype": _dtype,
    **{
        f"numpy.{core}.multiarray.{name}": function
        for core in ("core", "_core")
        for name, function in (("scalar", _scalar), ("_reconstruct", _array))
    },
    **dict.fromkeys(OF_NO_INTEREST, _nothing),
    "types.SimpleNamespace": _simple_namespace,
    "collections.Counter": _mapping,
    "collections.defaultdict": _mapping,
    "collections.deque": _set,
    "collections.OrderedDict": _ordered_dict,
    "__builtin__.set": _set,
    "builtins.set": _set,
    "torch.Size": _size,
    "torch.device": _device,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
_WARNING = "Nothing of it was run; do not open it with other programs either."
_HINT = "Nothing of it was run. Save its weights alone, torch.save(model.state_dict(), ...)."

_KNOWN = {*STORAGE_TYPES, *RECORDS, *_VALUES, *_FUNCTIONS}


def checked_key(key: Any) -> Any:
    """The key of a dictionary. Raises Refused for what would be slow to hash or compare."""
    # Nested tuples take exponential time to hash, and large integers can be made to collide.
    if not isinstance(key, str) and not (isinstance(key, int) and abs(key) < 2**31):
        raise Refused(f"it has a {type(key).__name__} as the key of a dictionary")
    return key


def known_global(name: str) -> Global:
    """The stand-in for a class or function. Raises Refused with its name where it is unknown."""
    if name not in _KNOWN:
        module, _, attribute = name.partition(".")
        usual = f" ({USUAL_MODULES[module]}.{attribute[:200]})" if module in USUAL_MODULES else ""
        raise Refused(
            f"it asks for {name[:200]}{usual}, which no light field needs",
            _WARNING if can_do_harm(module, attribute) else _HINT,
        )
    return Global(name)


def called(function: Any, arguments: Any) -> Any:
    """What one of the known functions gives. Raises Refused for any other."""
    if not isinstance(function, Global) or function.name not in _FUNCTIONS:
        raise Refused(f"it calls {described(function)}")
    if not isinstance(arguments, tuple) or len(arguments) > _MAX_ARGUMENTS:
        raise Refused(f"it calls {function.name} with something else than arguments")
    return _FUNCTIONS[function.name](*arguments)


def set_state(state: Any, target: Any) -> None:
    """Give a record its attributes. Raises Refused where that is none."""
    if isinstance(target, Record) and isinstance(state, dict):
        target.state = state
    elif target is None or (isinstance(target, Record) and target.kind.startswith("numpy.")):
        pass  # of no interest
    elif not isinstance(target, dict):  # those have nothing but `_metadata`, for torch's own use
        raise Refused(f"it sets the state of {described(target)}")


def described(value: Any) -> str:
    """A few words for any value, for messages."""
    return value.name if isinstance(value, Global) else f"a {type(value).__name__}"
