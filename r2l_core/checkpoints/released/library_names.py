"""Names of Python's own library in a checkpoint's pickle: which stand for plain values that
training programs keep beside the weights, and which can do something."""

from __future__ import annotations

_BUILTINS = ("builtins", "__builtin__")

OF_NO_INTEREST = (
    *(
        f"{one}.{kind}"
        for one in _BUILTINS
        for kind in ("bytearray", "complex", "frozenset", "range", "slice", "xrange")
    ),
    *(f"datetime.{kind}" for kind in ("date", "datetime", "time", "timedelta", "timezone")),
    *("decimal.Decimal", "fractions.Fraction"),
    # Generators of random numbers, whose state follows as a plain value.
    *(
        f"numpy.random._pickle.{name}"
        for name in ("__generator_ctor", "__bit_generator_ctor", "__randomstate_ctor")
    ),
    *(
        f"numpy.random._{name.lower()}.{name}"
        for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
    ),
    *(
        f"numpy.random.bit_generator.{name}"
        for name in ("SeedSequence", "__pyx_unpickle_SeedSequence", "__pyx_unpickle_ISeedSequence")
    ),
    *(
        f"pathlib{module}.{pure}{kind}Path"
        for module in ("", "._local")  # since Python 3.13
        for pure in ("", "Pure")
        for kind in ("", "Posix", "Windows")
    ),
)
"""Values whose call is answered by nothing at all."""

TYPES = tuple(
    f"{one}.{kind}"
    for one in _BUILTINS
    for kind in (
        "bool",
        "dict",
        "float",
        "int",
        "list",
        "long",
        "object",
        "str",
        "tuple",
        "unicode",
    )
)
"""Types that are named, such as the default of a defaultdict, and never called."""

USUAL_MODULES = {
    "__builtin__": "builtins",
    "commands": "subprocess",
    "copy_reg": "copyreg",
    "nt": "os",
    "posix": "os",
}
"""Modules by the names people know them by, where pickles have another."""

_HARMFUL_MODULES = {
    *("os", "posix", "nt", "subprocess", "sys", "commands", "socket"),
    *(
        "shutil",
        "pty",
        "runpy",
        "importlib",
        "pickle",
        "_pickle",
        "marshal",
        "ctypes",
        "webbrowser",
    ),
    *("operator", "_operator", "code", "codeop", "pdb", "timeit", "multiprocessing", "urllib"),
    *("requests", "http", "ftplib", "tempfile", "pip", "asyncio", "signal", "threading", "types"),
}
"""Modules by which a pickle can do something: no training program names them in a checkpoint."""

_HARMFUL_BUILTINS = {
    *("eval", "exec", "execfile", "compile", "__import__", "open", "file", "input", "raw_input"),
    *("apply", "getattr", "setattr", "delattr", "globals", "locals", "vars", "breakpoint", "map"),
    *("filter", "reduce", "exit", "quit", "help", "reload"),
}
"""Built-in functions by which it can, at least with others; most only calculate."""


def can_do_harm(module: str, attribute: str) -> bool:
    """Whether a pickle that calls it may do something to whoever loads it."""
    if module in _BUILTINS:
        return attribute.partition(".")[0] in _HARMFUL_BUILTINS
    return module.partition(".")[0] in _HARMFUL_MODULES
