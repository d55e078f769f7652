"""Finds the system libraries that Qt needs and this machine lacks, and says how to get them.

Without them Qt ends the process or raises a bare ImportError about one `.so` file. So this module
imports neither Qt nor anything else outside the standard library: it has to work where they do not.

    python -m viewer.system_check              explain what is missing; exit code 2 if anything is
    python -m viewer.system_check --packages   print only the Debian packages to install
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FONT_PACKAGE = "fonts-dejavu-core"

# What the Qt 6.11 wheels link to (`readelf -d`), with the package that holds it. The names are
# those of Debian 12; Ubuntu 24.04 has the same, except that apt there reads libglib2.0-0 as
# libglib2.0-0t64, which provides it. Libraries that dpkg and apt need themselves (libc, libstdc++,
# zlib, zstd) are always there.
_GUI_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}
_PLUGIN_LIBRARIES = {
    "xcb": {
        "libX11-xcb.so.1": "libx11-xcb1",
        "libxcb.so.1": "libxcb1",
        "libxcb-cursor.so.0": "libxcb-cursor0",
        "libxcb-icccm.so.4": "libxcb-icccm4",
        "libxcb-image.so.0": "libxcb-image0",
        "libxcb-keysyms.so.1": "libxcb-keysyms1",
        "libxcb-randr.so.0": "libxcb-randr0",
        "libxcb-render.so.0": "libxcb-render0",
        "libxcb-render-util.so.0": "libxcb-render-util0",
        "libxcb-shape.so.0": "libxcb-shape0",
        "libxcb-shm.so.0": "libxcb-shm0",
        "libxcb-sync.so.1": "libxcb-sync1",
        "libxcb-util.so.1": "libxcb-util1",
        "libxcb-xfixes.so.0": "libxcb-xfixes0",
        "libxcb-xkb.so.1": "libxcb-xkb1",
        "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    },
    "wayland": {
        "libwayland-client.so.0": "libwayland-client0",
        "libwayland-cursor.so.0": "libwayland-cursor0",
    },
}

_DISPLAY_SERVER_PLUGINS = ("xcb", "wayland")
_INVISIBLE_PLUGINS = ("offscreen", "minimal", "minimalegl")

Loader = Callable[[str], Any]
"""Opens a shared library by its soname, or raises OSError; normally `ctypes.CDLL`."""


@dataclass(frozen=True)
class MissingLibrary:
    """A shared library that cannot be loaded, and the Debian package that holds it."""

    soname: str
    package: str


def qt_platform(environ: Mapping[str, str]) -> str:
    """The platform plugin Qt will take on Linux, in the syntax of QT_QPA_PLATFORM.

    Like Qt's own choice, except that it is `offscreen` where there is no display at all.
    """
    if chosen := environ.get("QT_QPA_PLATFORM"):
        return chosen
    usable = []
    if environ.get("WAYLAND_DISPLAY"):
        usable.append("wayland")
    if environ.get("DISPLAY"):
        usable.append("xcb")
    return ";".join(usable) or "offscreen"


def has_display(environ: Mapping[str, str], platform_name: str = sys.platform) -> bool:
    """Whether a window would be seen by anyone. `platform_name` is a `sys.platform`.

    Only Linux is ever without a display. QT_QPA_PLATFORM=offscreen hides the window even where
    there is one; `eglfs`, `linuxfb` or `vnc` show it without a display server.
    """
    if not platform_name.startswith("linux"):
        return True
    plugin = _plugins(environ.get("QT_QPA_PLATFORM", ""))[0]
    if plugin in _INVISIBLE_PLUGINS:
        return False
    if plugin and plugin not in _DISPLAY_SERVER_PLUGINS:
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def missing_libraries(
    platform: str, load: Loader = ctypes.CDLL, platform_name: str = sys.platform
) -> list[MissingLibrary]:
    """Libraries that QtGui, QtWidgets and the platform plugin need and that cannot be loaded.

    platform: as from `qt_platform`. Of several plugins, Qt takes the first that loads, so their
    libraries count as missing only when none of them would. Empty on other systems than Linux,
    where the wheels bring everything along.
    """
    if not platform_name.startswith("linux"):
        return []
    missing = _unloadable(_GUI_LIBRARIES, load)
    by_plugin = [
        _unloadable(_PLUGIN_LIBRARIES.get(plugin, {}), load) for plugin in _plugins(platform)
    ]
    return missing + (by_plugin[0] if all(by_plugin) else [])


def has_font(load: Loader = ctypes.CDLL, platform_name: str = sys.platform) -> bool:
    """Whether fontconfig knows any font at all; without one, every letter is drawn as a box.

    True as well where fontconfig itself is missing: that is for `missing_libraries` to say.
    """
    if not platform_name.startswith("linux"):
        return True
    try:
        fontconfig = load("libfontconfig.so.1")
    except OSError:
        return True
    system_set = 0  # FcSetSystem
    fontconfig.FcConfigGetFonts.argtypes = [ctypes.c_void_p, ctypes.c_int]
    fontconfig.FcConfigGetFonts.restype = ctypes.POINTER(_FontSet)
    fontconfig.FcInit()
    fonts = fontconfig.FcConfigGetFonts(None, system_set)
    return bool(fonts) and fonts.contents.nfont > 0


def explain(missing: Sequence[MissingLibrary], font_found: bool = True) -> str:
    """One paragraph: what is missing, what follows from it, and the command that helps.

    Empty when nothing is missing.
    """
    sentences = []
    if missing:
        libraries = "library" if len(missing) == 1 else "libraries"
        sentences.append(
            f"Qt cannot start: it needs the system {libraries} "
            f"{_listed(library.soname for library in missing)}, which cannot be loaded here."
        )
    if not font_found:
        sentences.append("No font is installed: every letter would be drawn as an empty box.")
    if not sentences:
        return ""
    names = packages(missing, font_found)
    they = "the package that holds it" if len(names) == 1 else "the packages that hold them"
    sentences.append(
        f"On Debian or Ubuntu run: sudo apt-get install {' '.join(names)} "
        f"(on other systems, install {they})."
    )
    return " ".join(sentences)


def packages(missing: Sequence[MissingLibrary], font_found: bool = True) -> list[str]:
    """The Debian packages to install, in order and each once."""
    names = [library.package for library in missing]
    if not font_found:
        names.append(FONT_PACKAGE)
    return list(dict.fromkeys(names))


class _FontSet(ctypes.Structure):
    """`FcFontSet` of fontconfig.h."""

    _fields_ = (
        ("nfont", ctypes.c_int),
        ("sfont", ctypes.c_int),
        ("fonts", ctypes.c_void_p),
    )


def _plugins(platform: str) -> list[str]:
    """Plugin names of a QT_QPA_PLATFORM such as `wayland;xcb` or `vnc:size=800x600`."""
    return [choice.split(":")[0] for choice in platform.split(";")]


def _unloadable(libraries: Mapping[str, str], load: Loader) -> list[MissingLibrary]:
    missing = []
    for soname, package in libraries.items():
        try:
            load(soname)
        except OSError:
            missing.append(MissingLibrary(soname, package))
    return missing


def _listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    *head, last = names
    return f"{', '.join(head)} and {last}" if head else last


def main(arguments: Sequence[str] | None = None) -> int:
    """Check this machine; the exit code is 0 when nothing is missing, else 2 (0 for --packages)."""
    parser = argparse.ArgumentParser(prog="python -m viewer.system_check")
    parser.add_argument(
        "--packages", action="store_true", help="print only the Debian packages to install"
    )
    options = parser.parse_args(arguments)
    missing = missing_libraries(qt_platform(os.environ))
    font_found = has_font()
    if options.packages:
        # Where fontconfig itself is missing, its package brings a font along.
        print(" ".join(packages(missing, font_found)))
        return 0
    if problem := explain(missing, font_found):
        print(problem, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
