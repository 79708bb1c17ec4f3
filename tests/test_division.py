"""Work divided among processes: each piece once, and all of it, whoever stops."""

import threading

import pytest

from mi_probe.division import in_turn, launched, shard_of
from mi_probe.errors import InputError
from mi_probe.locks import claimed


def test_what_another_process_holds_is_left_to_it(tmp_path):
    pieces, finished = [[row] for row in range(6)], []

    def left(piece):
        return [row for row in piece if row not in finished]

    held, go_on = threading.Event(), threading.Event()

    def other():
        with claimed(tmp_path / ".piece-2.lock") as ours:
            assert ours
            held.set()
            go_on.wait(10)
            finished.append(2)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(10)
    taken = []
    for (row,) in in_turn(pieces, (1, 2), tmp_path, left):
        taken.append(row)
        finished.append(row)
        if len(taken) == 5:
            go_on.set()
    thread.join()
    # Its own first, then the others' from the end; what was held came from elsewhere.
    assert taken == [0, 4, 5, 3, 1]
    assert sorted(finished) == list(range(6))
    assert not [*tmp_path.iterdir()]


def test_what_a_process_that_died_held_is_done_by_another(tmp_path):
    finished: list[int] = []
    dead = in_turn([[0], [1]], (1, 2), tmp_path, list)
    assert next(dead) == [0]
    dead.close()
    for (row,) in in_turn([[0], [1]], (2, 2), tmp_path, list):
        finished.append(row)
    assert finished == [1, 0]


@pytest.mark.parametrize(
    ("rank", "size", "shard"),
    [("0", "1", None), ("1", "4", (2, 4)), ("", "", None), ("4", "4", None)],
)
def test_what_a_launcher_says(rank, size, shard, monkeypatch):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    assert launched() == shard


@pytest.mark.parametrize("text", ["0/4", "5/4", "²/3", "1", "-1/2"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="shard must be i/n"):
        shard_of(text)
