"""The command line as such."""

from __future__ import annotations

import subprocess
import sys

import pytest

from navbat.cli import grammar, program


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["take"],
        ["history"],
        ["history", "1", "--customer", "2"],
        ["transfer", "1"],
        ["operator"],
        ["operator", "add"],
        ["duty", "asleep"],
        ["demo", "--seconds", "soon"],
        ["sessions", "--jso"],
    ],
)
def test_wrong_use_is_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from navbat.cli import program\n"
        "try: program.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(set(sys.modules) & {'aiohttp', 'redis', 'textual', 'msgspec', 'yaml', 'asyncio.events_'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_a_client_of_a_running_desk_imports_nothing_of_its_servers() -> None:
    code = (
        "import sys, navbat.cli.commands, navbat.cli.acting\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'redis', 'bots', 'storage', 'motor', 'textual'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_config_may_stand_before_or_after_the_command() -> None:
    parse = grammar.parser().parse_args
    assert parse(["--config", "a", "check"]).config == "a"
    assert parse(["check", "--config", "a"]).config == "a"
    assert parse(["operator", "list", "--config", "a"]).config == "a"
    assert parse(["check"]).config is None


def test_every_command_leads_somewhere() -> None:
    from importlib import import_module

    from navbat.cli.reference import _subparsers

    for name, parser in _subparsers(grammar.parser()):
        for _, leaf in list(_subparsers(parser)) or [(name, parser)]:
            module, _, function = leaf.get_default("call").partition(":")
            assert callable(getattr(import_module(module), function)), name


def test_the_entry_point_of_an_installed_script_is_a_function() -> None:
    """Scripts that were installed earlier import ``main`` from ``navbat.cli``."""
    script = "import sys; from navbat.cli import main; sys.exit(main(['--version']))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout[:7]) == (0, "navbat ")
