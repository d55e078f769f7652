"""Reading a pickle without running it.

`pickletools` cuts the bytes into opcodes; the few that torch checkpoints use are interpreted here,
and the rest is refused. A global that the file names is never imported: the known ones become inert
`Global` records, any other ends the reading with its name. So nothing is ever called but the
functions of this file, and what comes out are plain values and the records below.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import IO, Any, BinaryIO, cast

import torch

MAX_PICKLE_BYTES = 8 * 1024**2
"""About fifty times what describes the published network with its optimizer."""

MAX_OPCODES = 1_000_000
_MAX_DIMENSIONS = 8


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
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_STORAGE_TYPES = {
    f"{module}.{name}": dtype
    for module in ("torch", "torch.cuda")
    for name, dtype in _STORAGES.items()
}
_RECORDS = {
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
}
_VALUES = {"torch.float16", "torch.bfloat16", "torch.float32", "torch.float64", "torch.int64"}


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for pair in pairs:
        key, value = pair
        result[_key(key)] = value
    return result


def _listed(values: Any = ()) -> list[Any]:
    # Sets become lists: what a file puts in is never hashed.
    return list(_sequence(values))


def _size(values: Any) -> tuple[Any, ...]:
    return tuple(_sequence(values))


def _device(*_: Any) -> None:
    return None


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorRef:
    shape, strides = _size(shape), _size(strides)
    numbers = (offset, *shape, *strides)
    if (
        not isinstance(storage, StorageRef)
        or any(type(n) is not int or not 0 <= n < 2**62 for n in numbers)
        or len(shape) != len(strides)
        or len(shape) > _MAX_DIMENSIONS
    ):
        raise Refused("it describes a tensor that cannot be")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # Strides of 0 would let a few bytes claim any size.
    if 0 not in shape and (last >= storage.numel or prod(shape) > storage.numel):
        raise Refused(f"it describes a tensor {shape} of {storage.numel} stored numbers")
    return TensorRef(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "__builtin__.set": _listed,
    "builtins.set": _listed,
    "torch.Size": _size,
    "torch.device": _device,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
_KNOWN = {*_STORAGE_TYPES, *_RECORDS, *_VALUES, *_FUNCTIONS}


def _sequence(values: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(values, list | tuple):
        raise Refused("it has something else where a sequence belongs")
    return values


def _key(key: Any) -> Any:
    # Nested tuples take exponential time to hash, and large integers can be made to collide.
    if not isinstance(key, str) and not (isinstance(key, int) and abs(key) < 2**31):
        raise Refused(f"it has a {type(key).__name__} as the key of a dictionary")
    return key


class _Limited:
    """A file that ends after `MAX_PICKLE_BYTES`, and never allocates what is not there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_PICKLE_BYTES

    def _spend(self, n: int) -> int:
        if not 0 <= n <= self._left:
            raise Refused(f"its description is longer than {MAX_PICKLE_BYTES // 1024**2} MiB")
        return n

    def read(self, n: int) -> bytes:
        data = self._file.read(self._spend(n))
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        line = self._file.readline(self._left)
        self._left -= len(line)
        return line

    def tell(self) -> int:
        return self._file.tell()


def read_pickle(file: BinaryIO) -> tuple[Any, list[StorageRef]]:
    """The value of one pickle and the storages it refers to; `file` then stands behind it.

    Raises Refused. Takes seconds and tens of megabytes at worst, whatever the file holds.
    """
    machine = _Machine()
    try:
        limited = cast("IO[bytes]", _Limited(file))  # genops reads, and nothing else
        for count, (opcode, argument, _) in enumerate(pickletools.genops(limited)):
            if count >= MAX_OPCODES:
                raise Refused("its description has too many parts")
            machine.step(opcode.name, argument)
    except Refused:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines() or [type(error).__name__]
        raise Refused(f"its pickle is damaged ({reason[0][:200]})") from error
    return machine.result(), list(machine.storages.values())


_MARK = object()
_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "LONG4",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
}
"""Opcodes that say a value themselves."""


class _Machine:
    """The pickle machine's stack and memo."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, StorageRef] = {}

    def result(self) -> Any:
        if len(self._stack) != 1:
            raise Refused("its pickle is damaged (no single value is left)")
        return self._stack[0]

    def step(self, name: str, argument: Any) -> None:
        """Interpret one opcode. Raises Refused, or what Python raises for nonsense."""
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
            return
        match name:
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._top(object)
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                stack.append(_MARK)
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST" | "EMPTY_SET":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(self._marked()))
            case "FROZENSET":
                stack.append(self._marked())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                n = int(name[-1])
                items = tuple(self._pop() for _ in range(n))[::-1]
                stack.append(items)
            case "APPEND":
                item = self._pop()
                self._top(list).append(item)
            case "APPENDS" | "ADDITEMS":
                items = tuple(self._marked())
                self._top(list).extend(items)
            case "SETITEM":
                value, key = self._pop(), self._pop()
                self._top(dict)[_key(key)] = value
            case "SETITEMS":
                pairs = _pairs(self._marked())
                self._top(dict).update(_ordered_dict(pairs))
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._top(object)
            case "GLOBAL":
                stack.append(_global(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                attribute, module = self._pop(), self._pop()
                if not isinstance(module, str) or not isinstance(attribute, str):
                    raise Refused("it asks for something without a name")
                stack.append(_global(f"{module}.{attribute}"))
            case "INST":
                _global(argument.replace(" ", "."))
                raise Refused("it uses the opcode INST, which no checkpoint does")
            case "REDUCE":
                arguments, function = self._pop(), self._pop()
                stack.append(_called(function, arguments))
            case "NEWOBJ":
                arguments, cls = self._pop(), self._pop()
                if not isinstance(cls, Global) or cls.name not in _RECORDS or arguments != ():
                    raise Refused(f"it makes an object of {_name(cls)}")
                stack.append(Record(cls.name))
            case "BUILD":
                state = self._pop()
                _build(state, self._top(object))
            case "BINPERSID":
                stack.append(self._persistent(self._pop()))
            case _:
                raise Refused(f"it uses the opcode {name}, which no checkpoint does")

    def _pop(self) -> Any:
        item = self._stack.pop()
        if item is _MARK:
            raise Refused("its pickle is damaged (a value is missing)")
        return item

    def _top(self, kind: type) -> Any:
        item = self._stack[-1]
        if item is _MARK or not isinstance(item, kind):
            raise Refused("its pickle is damaged (it fills what cannot be filled)")
        return item

    def _marked(self) -> list[Any]:
        """Everything above the last mark, which goes as well."""
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _persistent(self, reference: Any) -> StorageRef | Global:
        match reference:
            case ("module", Global() as cls, *_):
                # Old files keep the source text of a class beside its name; it is left alone.
                return cls
            case ("storage", Global(name), str() as key, str(), int() as numel, *view):
                # The location, such as cuda:0, is of no interest: everything opens on the CPU.
                if (
                    name not in _STORAGE_TYPES
                    or not 0 <= numel < 2**62
                    or any(v is not None for v in view)
                ):
                    raise Refused(f"it stores numbers as {name}")
                storage = StorageRef(_STORAGE_TYPES[name], key, numel)
                known = self.storages.setdefault(key, storage)
                if (known.dtype, known.numel) != (storage.dtype, storage.numel):
                    raise Refused(f"it describes its storage {key[:40]} in two ways")
                return known
        raise Refused("it refers to something that is no storage")


def _global(name: str) -> Global:
    if name not in _KNOWN:
        raise Refused(
            f"it asks for {name[:200]}, which no light field needs",
            "Nothing of it was run; do not open it with other programs either.",
        )
    return Global(name)


def _called(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Global) or function.name not in _FUNCTIONS:
        raise Refused(f"it calls {_name(function)}")
    return _FUNCTIONS[function.name](*_sequence(arguments))


def _build(state: Any, target: Any) -> None:
    if isinstance(target, Record) and isinstance(state, dict):
        target.state = state
    elif not isinstance(target, dict):  # those have nothing but `_metadata`, for torch's own use
        raise Refused(f"it sets the state of {_name(target)}")


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items[::2], items[1::2], strict=True))


def _name(value: Any) -> str:
    return value.name if isinstance(value, Global) else f"a {type(value).__name__}"
