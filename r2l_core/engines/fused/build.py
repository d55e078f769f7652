"""Builds the native libraries of the fused engine: `python -m r2l_core.engines.fused.build`.

For those who change the source; the results lie in `built` and are part of the package. Needs
ziglang (tests/requirements.txt), whose clang builds for every system from any. No C library is
linked, so a library depends on nothing, and is the same byte for byte wherever it is built.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from r2l_core.engines.fused.library import BUILT, library_name

SOURCE = Path(__file__).parent / "source"

_COMPILE = (
    *(
        "-O3",
        "-ffp-contract=fast-honor-pragmas",
        "-fno-math-errno",
        "-ffreestanding",
        "-fvisibility=hidden",
    ),
    *("-g0", "-Wall", "-Werror"),
)
_LINK = ("-shared", "-nostdlib", "-s")
_X86_64 = {
    "avx2": "x86_64_v3",
    "avx2-vnni": "x86_64_v3+avxvnni",
    "avx512": "x86_64_v4",
    "avx512-vnni": "x86_64_v4+avx512vnni",
    "avx512-bf16": "x86_64_v4+avx512vnni+avx512bf16",
    "amx": "x86_64_v4+avx512vnni+avx512bf16+avx512vbmi+amx_tile+amx_int8+amx_bf16",
}
_AARCH64 = {
    "neon": "generic",
    "neon-dotprod": "generic+dotprod",
    "neon-bf16": "generic+dotprod+bf16",
}


@dataclass(frozen=True)
class Target:
    """A system and architecture: zig's name of it, and the processor of every level."""

    triple: str
    plainest: str
    cpus: Mapping[str, str]


TARGETS = {
    ("linux", "x86_64"): Target("x86_64-linux-gnu.2.17", "x86_64", _X86_64),
    ("linux", "aarch64"): Target("aarch64-linux-gnu.2.17", "generic", _AARCH64),
    ("darwin", "x86_64"): Target("x86_64-macos.12.0", "x86_64", _X86_64),
    ("darwin", "aarch64"): Target("aarch64-macos.12.0", "generic", _AARCH64),
    ("windows", "x86_64"): Target("x86_64-windows-gnu", "x86_64", _X86_64),
}


def build(system: str, architecture: str, folder: Path) -> Path:
    """Compile all levels and link them: the library, in `folder`.

    Raises subprocess.CalledProcessError where the compiler finds fault.
    """
    target = TARGETS[system, architecture]
    # Position-independent code is all that Windows has.
    position = [] if system == "windows" else ["-fPIC"]
    with tempfile.TemporaryDirectory() as temporary:

        def compiled(source: str, name: str, cpu: str, *flags: str) -> str:
            # Relative names, because the linker would remember where the objects lay.
            _zig(
                temporary,
                *("-target", target.triple, f"-mcpu={cpu}", *_COMPILE, *position, *flags),
                *("-c", "-o", f"{name}.o", str(SOURCE / source)),
            )
            return f"{name}.o"

        levels = {level.replace("-", "_"): cpu for level, cpu in target.cpus.items()}
        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(compiled, "levels.c", "levels", target.plainest)]
            for level, cpu in levels.items():
                jobs.append(pool.submit(compiled, "network.c", level, cpu, f"-DLEVEL={level}"))
            objects = [job.result() for job in jobs]
        name = library_name(system, architecture)
        _zig(temporary, "-target", target.triple, *_LINK, "-o", name, *objects)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes((Path(temporary) / name).read_bytes())
    return path


def _zig(folder: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "ziglang", "cc", *arguments]
    # The linker would write the time into what it makes for Windows.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0"}
    subprocess.run(command, cwd=folder, check=True, env=environment)


def main() -> None:
    """Build what is asked for, all by default, and print the sizes."""
    parser = argparse.ArgumentParser(description="Build the fused engine's native libraries.")
    parser.add_argument("--system", choices=sorted({system for system, _ in TARGETS}))
    parser.add_argument("--out", type=Path, default=BUILT, help="folder (the package's own)")
    options = parser.parse_args()
    for system, architecture in TARGETS:
        if options.system in (None, system):
            path = build(system, architecture, options.out)
            print(f"{path.stat().st_size:8d} bytes  {path}")


if __name__ == "__main__":
    main()
