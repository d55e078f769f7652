"""Reading a pickle without running it.

`pickletools` cuts the bytes into opcodes; the few that torch checkpoints use are interpreted here,
and the rest is refused. Python's own pickle machine, which calls what a file tells it to, takes no
part in it.

`torch.load(weights_only=True)` runs no code of strangers either, but it has no bounds: it allocates
what a few bytes ask for, and builds lists and memos as long as the file likes. Here the number of
opcodes, the bytes and the size of every number are limited before they are spent, and tensors are
only described, so that a shape can be refused before its weights are read.
"""

from __future__ import annotations

import pickletools
import warnings
from typing import IO, Any, BinaryIO, cast

from r2l_core import limits
from r2l_core.checkpoints.released.stand_ins import (
    RECORDS,
    STORAGE_TYPES,
    Global,
    Record,
    Refused,
    StorageRef,
    called,
    checked_key,
    described,
    known_global,
    set_state,
)
from r2l_core.errors import first_line


class _Limited:
    """A file that ends after `limits.PICKLE_BYTES`, and never allocates what is not there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = limits.PICKLE_BYTES

    def _spend(self, n: int) -> int:
        if not 0 <= n <= self._left:
            raise Refused(f"its description is longer than {limits.PICKLE_BYTES // 1024**2} MiB")
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
        # A damaged name may look like Python text with an odd escape, which is not worth a warning.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            for count, (opcode, argument, _) in enumerate(pickletools.genops(limited)):
                if count >= limits.PICKLE_OPCODES:
                    raise Refused("its description has too many parts")
                machine.step(opcode.name, argument)
    except Refused:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError) as error:
        raise Refused(f"its pickle is damaged ({first_line(error)[:200]})") from error
    return machine.result(), list(machine.storages.values())


_MARK = object()
_LITERALS = {
    "INT",
    "LONG",
    "FLOAT",
    "STRING",
    "UNICODE",
    "BINSTRING",
    "SHORT_BINSTRING",
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
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                self._memo[checked_key(argument)] = self._top(object)
            case "BINGET" | "LONG_BINGET" | "GET":
                stack.append(self._memo[checked_key(argument)])
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
            case "LIST" | "FROZENSET":
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
                self._top(dict)[checked_key(key)] = value
            case "SETITEMS" | "DICT":
                entries = self._marked()
                target = {} if name == "DICT" else self._top(dict)
                for key, value in zip(entries[::2], entries[1::2], strict=True):
                    target[checked_key(key)] = value
                if name == "DICT":
                    stack.append(target)
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._top(object)
            case "GLOBAL":
                stack.append(known_global(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                attribute, module = self._pop(), self._pop()
                if not isinstance(module, str) or not isinstance(attribute, str):
                    raise Refused("it asks for something without a name")
                stack.append(known_global(f"{module}.{attribute}"))
            case "INST":
                known_global(argument.replace(" ", "."))
                raise Refused("it uses the opcode INST, which no checkpoint does")
            case "REDUCE":
                arguments, function = self._pop(), self._pop()
                stack.append(called(function, arguments))
            case "NEWOBJ":
                arguments, cls = self._pop(), self._pop()
                if not isinstance(cls, Global) or cls.name not in RECORDS or arguments != ():
                    raise Refused(f"it makes an object of {described(cls)}")
                stack.append(Record(cls.name))
            case "BUILD":
                state = self._pop()
                set_state(state, self._top(object))
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
        if not isinstance(reference, tuple) or len(reference) > 8:
            reference = None
        match reference:
            case ("module", Global() as cls, *_):
                # Old files keep the source text of a class beside its name; it is left alone.
                return cls
            case ("storage", Global(name), str() as key, str(), int() as numel, *view):
                # The location, such as cuda:0, is of no interest: everything opens on the CPU.
                if (
                    name not in STORAGE_TYPES
                    or not 0 <= numel < 2**62
                    or any(v is not None for v in view)
                ):
                    raise Refused(f"it stores numbers as {name}")
                storage = StorageRef(STORAGE_TYPES[name], key, numel)
                known = self.storages.setdefault(key, storage)
                if (known.dtype, known.numel) != (storage.dtype, storage.numel):
                    raise Refused(f"it describes its storage {key[:40]} in two ways")
                return known
        raise Refused("it refers to something that is no storage")
