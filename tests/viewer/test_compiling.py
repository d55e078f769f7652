"""Large modules are compiled by another process, and are what they would have been."""

from __future__ import annotations

import builtins
import importlib
import sys
from importlib.machinery import SourceFileLoader

import pytest

from viewer.rendering import compiling

LINES = "".join(f"value_{number} = {number}\n" for number in range(5000))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Imports a module with this text, within `large_sources_elsewhere`."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(text: str):
        (tmp_path / "some_large_module.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        try:
            with compiling.large_sources_elsewhere():
                return importlib.import_module("some_large_module")
        finally:
            sys.modules.pop("some_large_module", None)

    return make


@pytest.fixture
def compiled_here(monkeypatch):
    """Names of what this process compiles itself."""
    names = []
    compile_here = builtins.compile

    def noted(source, filename, *how, **more):
        names.append(str(filename))
        return compile_here(source, filename, *how, **more)

    monkeypatch.setattr(builtins, "compile", noted)
    here = SourceFileLoader.source_to_code

    def also_noted(self, data, path, **how):
        names.append(str(path))
        return here(self, data, path, **how)

    monkeypatch.setattr(SourceFileLoader, "source_to_code", also_noted)
    return names


def test_a_large_source_is_compiled_elsewhere(module, compiled_here, tmp_path):
    made = module(f"{LINES}def where():\n    return __file__\n")
    assert made.value_4999 == 4999
    assert made.where() == str(tmp_path / "some_large_module.py")
    assert made.where.__code__.co_filename == made.where()
    assert not [one for one in compiled_here if one.endswith("some_large_module.py")]


def test_a_small_one_is_not_worth_it(module, compiled_here):
    assert module("value = 3").value == 3
    assert [one for one in compiled_here if one.endswith("some_large_module.py")]


def test_an_error_in_it_is_told_as_ever(module):
    with pytest.raises(SyntaxError) as caught:
        module(f"{LINES}nonsense here")
    assert (caught.value.lineno, caught.value.text) == (5001, "nonsense here")


def test_without_another_process_it_is_compiled_here(module, compiled_here, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert module(LINES).value_4999 == 4999
    assert [one for one in compiled_here if one.endswith("some_large_module.py")]


def test_afterwards_all_is_as_before(module):
    before = SourceFileLoader.source_to_code
    module(LINES)
    assert SourceFileLoader.source_to_code is before
