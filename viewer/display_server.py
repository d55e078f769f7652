"""Whether the display server that Qt would use answers, asked before Qt is: it ends the process.

Only the standard library is imported here, as in `viewer.system_check`.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Mapping

from viewer.system_check import qt_platform

Connects = Callable[[Mapping[str, str]], bool]
"""Whether the server that an environment names answers, and lets this user in."""


def why_no_window(
    environ: Mapping[str, str],
    connects: Mapping[str, Connects] | None = None,
    platform_name: str = sys.platform,
) -> str:
    """One sentence on why no window can be opened, with the remedy; empty where one can be.

    `connects`: for each platform plugin that needs a server, how to ask it; really asked where
    None. Of several plugins, one whose server answers is enough, as it is for Qt.
    """
    if not platform_name.startswith("linux"):
        return ""
    ask = _CONNECTS if connects is None else connects
    plugins = [choice.split(":")[0] for choice in qt_platform(environ).split(";")]
    if any(plugin not in ask or ask[plugin](environ) for plugin in plugins):
        return ""
    names = [_VARIABLES[plugin] for plugin in plugins]
    at = " nor at ".join(f"{name}={environ.get(name, '')}" for name in names)
    return (
        f"No window can be opened because no display server lets it in at {at}: start one, "
        f"correct {' and '.join(names)}, or set QT_QPA_PLATFORM=offscreen to run without."
    )


def _x_answers(_environ: Mapping[str, str]) -> bool:
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True  # for `system_check.missing_libraries` to say
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    answers: bool = xcb.xcb_connection_has_error(connection) == 0
    xcb.xcb_disconnect(connection)
    return answers


def _wayland_answers(environ: Mapping[str, str]) -> bool:
    if environ.get("WAYLAND_SOCKET"):
        return True  # a connection that is open already
    name = environ.get("WAYLAND_DISPLAY", "wayland-0")
    path = os.path.join(environ.get("XDG_RUNTIME_DIR", ""), name)
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


_CONNECTS: Mapping[str, Connects] = {"xcb": _x_answers, "wayland": _wayland_answers}
_VARIABLES = {"xcb": "DISPLAY", "wayland": "WAYLAND_DISPLAY"}
