"""One writer a folder: refused by name, waited for, and taken over from the dead."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from mi_probe.errors import InputError
from mi_probe.locks import locked

HOLDS = """
import sys, time
from pathlib import Path
from mi_probe.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def held_elsewhere(tmp_path):
    """Another process that holds a lock, and its path."""
    started = []

    def start(seconds):
        path = tmp_path / "out" / ".lock"
        code = [sys.executable, "-c", HOLDS, str(path), str(seconds)]
        process = subprocess.Popen(code, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process, path

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_writer_is_refused_by_the_name_of_the_first(held_elsewhere):
    process, path = held_elsewhere(60)
    said = rf"written by process {process.pid} on {socket.gethostname()} since 20"
    with pytest.raises(InputError, match=said), locked(path):
        pass
    assert path.is_file()


def test_what_a_killed_holder_left_is_taken_over(held_elsewhere):
    process, path = held_elsewhere(60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert path.is_file()
    with locked(path):
        assert str(os.getpid()) in path.read_text()
    assert not path.exists()


def test_one_that_waits_says_for_whom_once(held_elsewhere):
    process, path = held_elsewhere(0.7)
    said = []
    with locked(path, said.append):
        assert str(os.getpid()) in path.read_text()
    assert len(said) == 1
    assert f"process {process.pid} on" in said[0]


def test_processes_never_hold_it_together(tmp_path):
    code = (
        "import sys, os\nfrom pathlib import Path\nfrom mi_probe.locks import locked\n"
        "place = Path(sys.argv[1])\n"
        "for _ in range(40):\n"
        "    with locked(place / 'new' / '.lock', lambda _: None):\n"
        "        os.mkdir(place / 'alone')\n"
        "        os.rmdir(place / 'alone')\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(run, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in both:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    assert not (tmp_path / "alone").exists()
    assert not (tmp_path / "new" / ".lock").exists()


def test_a_folder_that_stayed_empty_is_removed_and_another_is_not(tmp_path):
    with locked(tmp_path / "a" / "b" / ".lock"):
        assert (tmp_path / "a" / "b").is_dir()
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "mine").mkdir()
    with locked(tmp_path / "mine" / ".lock"):
        pass
    assert [*(tmp_path / "mine").iterdir()] == []
    with locked(tmp_path / "new" / ".lock"):
        (tmp_path / "new" / "file").touch()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file"]


def test_an_error_inside_lets_go_of_it(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / ".lock"):
        raise ZeroDivisionError
    began = time.monotonic()
    with locked(tmp_path / ".lock"):
        assert time.monotonic() - began < 1


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch):
    import mi_probe.locks as module

    monkeypatch.setattr(module, "fcntl", None)
    with pytest.warns(UserWarning, match="has no locks"), locked(tmp_path / ".lock"):
        pass
