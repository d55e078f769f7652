"""The check must say the right thing on machines that are not this one, so the loader is faked."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from viewer import system_check
from viewer.system_check import (
    MissingLibrary,
    explain,
    has_display,
    has_font,
    missing_libraries,
    packages,
    qt_platform,
)

REPOSITORY = Path(__file__).parents[2]
EGL = MissingLibrary("libEGL.so.1", "libegl1")
CURSOR = MissingLibrary("libxcb-cursor.so.0", "libxcb-cursor0")
GLIB = MissingLibrary("libglib-2.0.so.0", "libglib2.0-0")


def machine_without(*sonames: str):
    """A loader for a machine that has every library but these."""

    def load(soname: str) -> object:
        if soname in sonames:
            raise OSError(f"{soname}: cannot open shared object file")
        return object()

    return load


def machine_with_fonts(count: int | None):
    """A loader whose fontconfig knows that many fonts, or has no font set at all."""
    font_set = None if count is None else SimpleNamespace(contents=SimpleNamespace(nfont=count))

    class FontConfig:
        FcInit = staticmethod(lambda: 1)

        class FcConfigGetFonts:
            def __new__(cls, _config: None, _set: int) -> object:
                return font_set

    return lambda _soname: FontConfig


class TestMissingLibraries:
    @pytest.mark.parametrize("platform", ["offscreen", "xcb", "wayland", "wayland;xcb", "vnc"])
    def test_nothing_on_a_complete_machine(self, platform):
        assert missing_libraries(platform, machine_without(), "linux") == []

    def test_names_library_and_package(self):
        load = machine_without("libEGL.so.1", "libglib-2.0.so.0")
        assert missing_libraries("offscreen", load, "linux") == [EGL, GLIB]

    def test_plugin_libraries_count_only_for_their_plugin(self):
        load = machine_without("libxcb-cursor.so.0")
        assert missing_libraries("xcb", load, "linux") == [CURSOR]
        assert missing_libraries("offscreen", load, "linux") == []
        assert missing_libraries("wayland", load, "linux") == []

    def test_plugin_arguments_are_ignored(self):
        load = machine_without("libxcb-cursor.so.0")
        assert missing_libraries("xcb:size=800x600", load, "linux") == [CURSOR]

    def test_one_usable_plugin_of_several_is_enough(self):
        load = machine_without("libwayland-cursor.so.0")
        assert missing_libraries("wayland;xcb", load, "linux") == []

    def test_first_choice_is_named_when_no_plugin_is_usable(self):
        load = machine_without("libwayland-cursor.so.0", "libxcb-cursor.so.0")
        assert missing_libraries("xcb;wayland", load, "linux") == [CURSOR]

    @pytest.mark.parametrize("platform_name", ["darwin", "win32"])
    def test_other_systems_need_nothing(self, platform_name):
        assert missing_libraries("cocoa", machine_without("libEGL.so.1"), platform_name) == []


class TestFonts:
    @pytest.mark.parametrize(("count", "found"), [(0, False), (None, False), (1, True)])
    def test_counts_the_fonts_of_fontconfig(self, count, found):
        assert has_font(machine_with_fonts(count), "linux") is found

    def test_missing_fontconfig_is_not_a_missing_font(self):
        assert has_font(machine_without("libfontconfig.so.1"), "linux")

    def test_other_systems_have_fonts(self):
        assert has_font(machine_with_fonts(0), "darwin")

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="fontconfig is Linux's")
    def test_real_fontconfig_without_a_font_folder(self, tmp_path):
        try:
            ctypes.CDLL("libfontconfig.so.1")
        except OSError:
            pytest.skip("there is no fontconfig here")
        config = tmp_path / "fonts.conf"
        config.write_text("<?xml version='1.0'?><fontconfig></fontconfig>", encoding="utf-8")
        command = [
            sys.executable,
            "-c",
            "from viewer import system_check as s; print(s.has_font())",
        ]
        run = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={"FONTCONFIG_FILE": str(config)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == "False"


class TestExplain:
    def test_nothing_missing_needs_no_words(self):
        assert explain([]) == ""

    def test_one_library(self):
        assert explain([EGL]) == (
            "Qt cannot start: it needs the system library libEGL.so.1, which cannot be loaded "
            "here. On Debian or Ubuntu run: sudo apt-get install libegl1 (on other systems, "
            "install the package that holds it)."
        )

    def test_several_libraries_are_one_paragraph_with_one_command(self):
        text = explain([EGL, GLIB, CURSOR])
        assert "libEGL.so.1, libglib-2.0.so.0 and libxcb-cursor.so.0" in text
        assert "sudo apt-get install libegl1 libglib2.0-0 libxcb-cursor0 (" in text
        assert "\n" not in text

    def test_fonts_alone(self):
        text = explain([], font_found=False)
        assert text.startswith("No font is installed")
        assert "Qt cannot start" not in text
        assert "sudo apt-get install fonts-dejavu-core (" in text

    def test_libraries_and_fonts_share_the_command(self):
        assert "install libegl1 fonts-dejavu-core (" in explain([EGL], font_found=False)

    def test_a_package_is_named_once(self):
        assert packages([EGL, MissingLibrary("libEGL.so.2", "libegl1")]) == ["libegl1"]


@pytest.mark.parametrize(
    ("environ", "platform"),
    [
        ({}, "offscreen"),
        ({"DISPLAY": ":0"}, "xcb"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "wayland"),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "wayland;xcb"),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "vnc"}, "vnc"),
    ],
)
def test_qt_platform(environ, platform):
    assert qt_platform(environ) == platform


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, False),
        ({"DISPLAY": ""}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, False),
        ({"QT_QPA_PLATFORM": "xcb"}, False),
        ({"QT_QPA_PLATFORM": "vnc:size=800x600"}, True),
    ],
)
def test_has_display_on_linux(environ, shown):
    assert has_display(environ, "linux") is shown


@pytest.mark.parametrize("platform_name", ["darwin", "win32"])
def test_other_systems_always_have_a_display(platform_name):
    assert has_display({}, platform_name)


class TestCommand:
    def test_silent_success(self, monkeypatch, capsys):
        self.pretend(monkeypatch, missing=[], font_found=True)
        assert system_check.main([]) == 0
        assert capsys.readouterr() == ("", "")

    def test_explains_and_fails(self, monkeypatch, capsys):
        self.pretend(monkeypatch, missing=[EGL], font_found=True)
        assert system_check.main([]) == 2
        assert capsys.readouterr().err == explain([EGL]) + "\n"

    def test_lists_packages_for_scripts(self, monkeypatch, capsys):
        self.pretend(monkeypatch, missing=[EGL, CURSOR], font_found=False)
        assert system_check.main(["--packages"]) == 0
        assert capsys.readouterr().out == "libegl1 libxcb-cursor0 fonts-dejavu-core\n"

    @staticmethod
    def pretend(monkeypatch, missing, font_found):
        monkeypatch.setattr(system_check, "missing_libraries", lambda _platform: missing)
        monkeypatch.setattr(system_check, "has_font", lambda: font_found)


def test_works_without_the_installed_packages():
    """It has to run where the virtual environment is missing or broken."""
    code = "import sys, viewer.system_check; print({'PyQt6', 'numpy', 'torch'} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "set()"
