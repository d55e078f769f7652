"""One error tree for everything that can go wrong with a person's files or machine.

    R2LError
    +-- CheckpointError      a light-field file that cannot be opened, or is not one
    +-- SceneError           a scene name or scene file that cannot be used
    +-- DatasetError         photographs and their poses that cannot be read
    +-- DownloadError        a published file that could not be fetched or unpacked
    +-- CameraError          a pose or intrinsics no picture can be taken with
    |   +-- CameraPathError      a camera path, or a file of one, that cannot be used
    +-- EngineError          an engine that failed while building or rendering
    |   +-- EngineUnavailable    an engine or precision this machine does not have
    +-- QuantizationError    a recipe, range file or layer mix that cannot be used
    +-- RecordingError       pictures or videos that could not be written
    +-- ExportError          a light field that another format cannot hold, or could not be written
    +-- SessionError         a session of the window that could not be read or written

Programming mistakes stay ordinary exceptions (ValueError, TypeError): they are for us, these are
for the user.
"""

from __future__ import annotations

import re
import unicodedata

MAX_SHOWN = 600
"""Characters of one clause or name that are shown; deep paths fit, floods do not."""

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how Persian and many emoji are written."""

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0e\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
"""What is printable to Unicode's categories and yet drawn as nothing (Default_Ignorable_Code_Point,
and the empty sign of Braille); but for the selector that makes emoji coloured."""


def plain(text: str) -> str:
    """A text from outside as it may be shown: one line, nothing invisible, `MAX_SHOWN` characters.

    Control and bidirectional characters could forge a second message or turn words around in a
    terminal or a label; they, and bytes of file names that are not UTF-8 (lone surrogates to
    Python), are shown escaped, such as `\\x1b`. White space becomes single spaces, and what is too
    long loses its middle.
    """
    # Cut first: cleaning five megabytes would take seconds.
    if len(text) > 8 * MAX_SHOWN:
        text = f"{text[: 4 * MAX_SHOWN]}…{text[-4 * MAX_SHOWN :]}"
    text = "".join(map(shown, " ".join(text.split())))
    if len(text) <= MAX_SHOWN:
        return text
    tail = (MAX_SHOWN - 1) // 2
    return f"{text[: MAX_SHOWN - 1 - tail]}…{text[len(text) - tail :]}"


def shown(character: str) -> str:
    """One character as it may be shown: itself, or escaped; see `plain`."""
    code = ord(character)
    if _UNSEEN.match(character):
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    if character.isprintable() or character in _JOINERS:
        return character
    match unicodedata.category(character):
        case "Cs" if 0xDC80 <= code <= 0xDCFF:
            return f"\\x{code - 0xDC00:02x}"  # one byte of a name in another encoding
        case "Cc" | "Cf" | "Cs" | "Zl" | "Zp":
            if code < 0x100:
                return f"\\x{code:02x}"
            return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def first_line(error: BaseException) -> str:
    """What a library's exception says first; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def system_reason(error: OSError) -> str:
    """Why the system refused, as a clause: "no space left on device"."""
    why = error.strerror or str(error)
    return why[:1].lower() + why[1:]


class R2LError(Exception):
    """What went wrong, why, and what the user can do about it.

    `what` and `why` are full clauses without a trailing full stop; `remedy` is an imperative
    sentence, or empty where there is nothing to do. All three are kept as `plain` text: they name
    files and repeat what those say.
    """

    def __init__(self, what: str, why: str, remedy: str = "") -> None:
        self.what = plain(what)
        self.why = plain(why)
        self.remedy = plain(remedy)
        super().__init__(self.what, self.why, self.remedy)

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}."
        return f"{text} {self.remedy}" if self.remedy else text


class CheckpointError(R2LError):
    """A light-field file that cannot be opened, or is not one."""


class SceneError(R2LError):
    """A scene name or scene file that cannot be used."""


class DatasetError(R2LError):
    """Photographs and their poses that cannot be read."""


class DownloadError(R2LError):
    """A published file that could not be fetched or unpacked."""


class CameraError(R2LError):
    """A pose or intrinsics no picture can be taken with."""


class CameraPathError(CameraError):
    """A camera path, or a file of one, that cannot be used."""


class EngineError(R2LError):
    """An engine that failed while building or rendering."""


class EngineUnavailable(EngineError):
    """An engine or precision that this machine does not have."""


class QuantizationError(R2LError):
    """A recipe, range file or layer mix that cannot be used."""


class RecordingError(R2LError):
    """Pictures or videos that could not be written."""


class ExportError(R2LError):
    """A light field that another format cannot hold, or that could not be written in it."""


class SessionError(R2LError):
    """A session of the window that could not be read or written."""
