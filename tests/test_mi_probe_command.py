"""``mi-probe COMMAND``: each command under one name."""

import subprocess
import sys

import pytest

from mi_probe.__main__ import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_shows_its_help(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert f"usage: python -m mi_probe.{name}" in " ".join(capsys.readouterr().out.split())


def test_it_lists_them_and_names_the_nearest(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)
    assert main([]) == 2
    assert main(["estimat"]) == 2
    assert "Did you mean 'estimate'?" in capsys.readouterr().err


def test_a_mistake_has_the_commands_own_exit_code(capsys):
    assert main(["figures", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "mi_probe", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("0.1")
