import tempfile

import pytest

from mi_probe.atomic import check_writable
from mi_probe.errors import InputError


def test_a_folder_that_is_there_or_can_be_made_is_left_as_it_was(tmp_path):
    check_writable(tmp_path)
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/in/it"])
def test_a_file_is_no_folder(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="out must be a folder; .*file is a file"):
        check_writable(tmp_path / place)


def test_a_link_to_nothing_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match="out must be a folder; .*link is none"):
        check_writable(tmp_path / "link" / "in")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_a_name_that_nothing_can_have(tmp_path, name):
    # Below a folder that is missing, where the disk is not asked for it.
    with pytest.raises(InputError, match="out must be writable; nothing can be made at"):
        check_writable(tmp_path / "a" / name)
    assert list(tmp_path.iterdir()) == []


def test_permissions_may_allow_what_the_disk_does_not(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(InputError, match=r"can be made at .*new \(No such file"):
        check_writable(tmp_path / "new")
