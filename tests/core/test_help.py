"""`--help` teaches each program by examples, which are parsed here as a shell would pass them."""

from __future__ import annotations

import argparse
import shlex

import pytest

from r2l_core import __version__
from r2l_core.commands import cli
from viewer import __main__ as viewer_main


def all_parsers():
    """Every command's parser and both programs', by what a person types to call it."""
    whole = cli.parser("r2l")
    yield whole
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()
    yield viewer_main.parser("r2l-viewer")


PARSERS = [pytest.param(parser, id=parser.prog) for parser in all_parsers()]


@pytest.mark.parametrize("parser", PARSERS)
class TestHelp:
    def test_it_says_what_the_program_does(self, parser):
        assert parser.description
        assert parser.description.endswith(".")

    def test_every_argument_is_explained(self, parser):
        unexplained = [
            action.dest
            for action in parser._actions
            if not action.help and not isinstance(action, argparse._SubParsersAction)
        ]
        assert unexplained == []

    def test_the_examples_can_be_typed(self, parser):
        assert parser.examples
        for what, arguments in parser.examples:
            assert what
            parser.parse_args(shlex.split(arguments))

    @pytest.mark.parametrize("columns", [90, 200])
    def test_it_fits_the_terminal_but_for_what_can_be_copied(self, parser, columns, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(columns))
        commands = {f"    {parser.prog} {arguments}".rstrip() for _, arguments in parser.examples}
        lines = parser.format_help().splitlines()
        assert commands <= set(lines)
        assert [line for line in lines if len(line) > columns and line not in commands] == []


@pytest.mark.parametrize(
    ("main", "name"),
    [(cli.main, "python -m r2l_core"), (viewer_main.main, "python -m viewer")],
    ids=["r2l", "r2l-viewer"],
)
def test_version(main, name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"{name} {__version__}\n"


def test_without_a_command_it_says_what_is_missing(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert "COMMAND" in capsys.readouterr().err
