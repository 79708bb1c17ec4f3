"""What every command shares: how its settings are read, where it writes, how it ends."""

import dataclasses
import errno
import json
import re
import signal
import subprocess
import sys
from typing import get_args, get_origin

import pytest

from mi_probe import (
    estimate,
    estimate_settings,
    figures,
    gap,
    gap_settings,
    token_settings,
    tokens,
    train,
)
from mi_probe import train_settings as training
from mi_probe.atomic import written_by_library
from mi_probe.command_line import run_command
from mi_probe.errors import InputError
from mi_probe.options import parse_settings
from mi_probe.report import __main__ as report

KINDS = {
    "estimate": estimate_settings.Settings,
    "gap": gap_settings.Settings,
    "tokens": token_settings.TokenSettings,
    "train": training.Settings,
    "figures": figures.Settings,
    "report": report.Settings,
}
MAINS = {
    "estimate": (estimate.main, ["nowhere", "--data", "nowhere.csv"]),
    "gap": (gap.main, ["nowhere", "--data", "nowhere.csv"]),
    "tokens": (tokens.main, ["nowhere", "--data", "nowhere.csv"]),
    "train": (train.main, ["--backbone", "nowhere", "--data", "nowhere.csv"]),
    "figures": (figures.main, ["nowhere"]),
    "report": (report.main, ["nowhere"]),
}
LISTS = [
    (command, field.name)
    for command, kind in KINDS.items()
    for field in dataclasses.fields(kind)
    if any(get_origin(t) is list for t in (field.type, *get_args(field.type)))
]


def parsed(command, arguments, **more):
    told = {"program": "it", "description": "", "make": dict, **more}
    return parse_settings(KINDS[command], arguments, **told)


def test_every_command_has_lists():
    assert {command for command, _ in LISTS} == set(KINDS)
    assert ("train", "also_train") in LISTS
    assert ("figures", "only") in LISTS


@pytest.mark.parametrize(("command", "name"), LISTS)
def test_a_list_is_one_or_several_with_commas_or_in_brackets(command, name, tmp_path):
    option = "--" + name.replace("_", "-")
    one, two = ("3", "5") if name in ("seeds", "sigmas") else ("a.b", "c")
    for given, count in ((one, 1), (f"{one},{two}", 2), (f"[{one},{two}]", 2)):
        found = parsed(command, [option, given])[name]
        assert [f"{x:g}" if isinstance(x, float) else str(x) for x in found] == [one, two][
            :count
        ]
        # In a file too, where brackets are YAML's own.
        file = tmp_path / "settings.yaml"
        file.write_text(f"{name}: {given}\n")
        assert parsed(command, ["--config", str(file)])[name] == found
    file.write_text(json.dumps({name: {"a": 1}}))
    with pytest.raises(InputError, match=name.replace("_", "-")):
        parsed(command, ["--config", str(file)])


def test_bare_arguments_may_hold_a_comma():
    found = parsed("figures", ["runs/a,b", "c"], positional="results")
    assert found["results"] == ["runs/a,b", "c"]


def test_a_list_that_may_be_left_out_stays_what_it_is():
    found = parsed("train", ["--report-to", ""])
    assert (found["target_modules"], found["report_to"]) == (None, [])
    assert parsed("gap", [])["sites"] is None


def test_a_number_of_thousands_of_digits_is_one_line(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(f"rows: {'1' * 5000}\n")
    with pytest.raises(InputError, match="a number of thousands of digits"):
        parsed("estimate", ["--config", str(file)])


def test_a_list_without_a_value_is_named(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("sites: null\n")
    with pytest.raises(InputError, match="sites must have a value; got null"):
        parsed("estimate", ["--config", str(file)])
    assert parsed("gap", ["--config", str(file)])["sites"] is None  # it may be left out


def test_an_entry_that_is_no_number_is_named():
    with pytest.raises(InputError, match="seeds must be int values separated by commas"):
        parsed("estimate", ["--seeds", "0,one"])


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="config must be UTF-8; it is not, at byte 0"):
        parsed("train", ["--config", str(file)])


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *(("estimate", "--seeds"), ("gap", "--seeds"), ("tokens", "--seed")),
        *((command, "--rows-seed") for command in ("estimate", "gap", "tokens")),
    ],
)
@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_table_can_keep_is_one_line(command, option, seed, capsys):
    main, arguments = MAINS[command]
    assert main([*arguments, f"{option}={seed}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{option[2:]} must lie in 0 ... 9223372036854775807; got {seed}" in line


@pytest.mark.parametrize("command", MAINS)
def test_out_is_tried_before_anything_is_read(command, tmp_path, capsys):
    main, arguments = MAINS[command]
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out.html"
    assert main([*arguments, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"out must be a folder; {tmp_path / 'file'} is a file" in line


def interrupt(_):
    raise KeyboardInterrupt


INTERRUPTED_TWICE = """
import atexit, os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from mi_probe.command_line import run_command

def interrupt(_):
    raise KeyboardInterrupt

atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
raise SystemExit(run_command(interrupt, list, None, program="it", resume="Go on."))
"""


def test_a_second_ctrl_c_says_nothing_more():
    code = [sys.executable, "-c", INTERRUPTED_TWICE]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60)
    # A shell gives 130 for both.
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr == "\nit: interrupted. Go on.\n"


def test_ctrl_c_stays_what_it_was_in_a_process_that_calls_a_command():
    before = signal.getsignal(signal.SIGINT)
    assert run_command(interrupt, list, [], program="it") == 130
    assert signal.getsignal(signal.SIGINT) is before


IGNORED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts a background job
from mi_probe.command_line import run_command
told = lambda _: (os.kill(os.getpid(), signal.SIGINT), print("went on"))
raise SystemExit(run_command(told, list, None, program="it"))
"""


def test_a_background_job_goes_on_where_ctrl_c_is_ignored():
    code = [sys.executable, "-c", IGNORED]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


BOMB = "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOMB, "has an alias, *a"),
        ("a: &a [*a]\n", "has an alias, *a"),
        ("a: " + "[" * 60 + "]" * 60, "deeper than 50 levels"),
        ("a: " + "[" * 10**5, "deeper than 50 levels"),
        ("#" * (1 << 20) + "\n", "more than 1048576 bytes"),
    ],
)
@pytest.mark.parametrize("form", [("--config", "{}"), ("--config={}",)])
def test_a_file_of_settings_has_bounds(tmp_path, content, said, form):
    file = tmp_path / "settings.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=f"plain list of settings.*{re.escape(said)}"):
        parsed("estimate", [part.format(file) for part in form])


def test_a_value_that_is_nested_too_deep_is_one_line():
    with pytest.raises(InputError, match="rows|nested too deep"):
        parsed("estimate", ["--rows", "[" * 5000 + "]" * 5000])


class SafetensorError(Exception):
    pass


class PanicException(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EFBIG, "File too large", "a/b"), "File too large: a/b. Go on."),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Go"),
        (MemoryError(), "memory must hold"),
        (SafetensorError("invalid\nheader"), "SafetensorError: invalid header. Go on."),
        (PanicException("at line 3"), "PanicException: at line 3. Go on."),
    ],
)
def test_what_the_machine_does_is_one_line(error, said, capsys):
    def fail(_):
        raise error

    assert run_command(fail, list, [], program="it", resume="Go on.") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda _: 1 / 0, list, [], program="it")


def test_libraries_say_which_file_could_not_be_written(tmp_path):
    for error in (
        Exception("Error while serializing: I/O error: No space left (os error 28)"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ):
        with (
            pytest.raises(OSError, match="file") as caught,
            written_by_library(tmp_path / "file"),
        ):
            raise error
        assert caught.value.filename == str(tmp_path / "file")
    with pytest.raises(ZeroDivisionError), written_by_library(tmp_path):
        raise ZeroDivisionError
