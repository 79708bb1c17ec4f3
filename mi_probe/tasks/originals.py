"""Finding a split's original files in what the user points at: a folder or one file."""

from collections.abc import Mapping
from pathlib import Path

from mi_probe.errors import InputError, check_known
from mi_probe.tasks.entry import Files, Original

LACKING = {
    "validation": " load_splits(...) cuts a validation split out of the training rows."
}
"""What to say of a split that is asked for where there is no official one."""

_PACKED = ("", ".gz", ".bz2")


def find_files(
    name: str,
    original: Original,
    place: Path,
    split: str,
    *,
    others: Mapping[str, Original],
) -> tuple[Files, dict[str, Path]]:
    """How a split lies there, and its files by their official names.

    Args:
        name: of the task, for messages.
        original: its files.
        place: the data set's own folder, one above it, or a file of the split.
        split: which.
        others: all tasks' files, so that another one's folder is not taken for this.

    Raises:
        InputError: if there is no such place or split, it is another task's folder, or
            files are missing.
    """
    if not place.exists():
        raise InputError(f"data-folder must exist; there is no {place}.")
    check_known(f"split of task '{name}'", split, original.splits, LACKING.get(split, ""))
    ways, bases = original.splits[split], _bases(place, original.folder)
    if place.is_file():  # of several ways and places, the one that was pointed at
        ways = tuple(files for files in ways if _holds(files, place))
        place = place.parent
        bases = [place]
    for base in bases:
        for files in ways:
            found = _all_of(files, base)
            if found is not None:
                _refuse_others(name, original, base, others)
                return files, found
    raise InputError(
        f"split '{split}' of task '{name}' is read from "
        f"{' or '.join(_described(files) for files in ways)}; "
        f"{place} holds {_there(original, place)}."
    )


def split_of(name: str, original: Original, file: Path) -> str:
    """The split that a file belongs to, by its official name.

    Raises:
        InputError: if the task has no file of this name.
    """
    for split, ways in original.splits.items():
        for files in ways:
            if _holds(files, file) and (files.fits is None or files.fits(file.parent)):
                return split
    known = dict.fromkeys(n for w in original.splits.values() for f in w for n in f.names)
    raise InputError(
        f"file of task '{name}' must have its official name, one of {', '.join(known)}; "
        f"got '{file.name}'. Rename it, or read it as your own: --data FILE."
    )


def _holds(files: Files, file: Path) -> bool:
    return any(file.name.removesuffix(ending) in files.names for ending in _PACKED)


def splits_there(original: Original, place: Path) -> list[str]:
    """The splits whose files lie in the folder."""
    place = place.parent if place.is_file() else place
    return [
        split
        for split, ways in original.splits.items()
        if any(
            _all_of(files, base) is not None
            for base in _bases(place, original.folder)
            for files in ways
        )
    ]


def _bases(place: Path, folder: str) -> list[Path]:
    """The place with each tail of the data set's own folder, the longest first.

    So that of a folder with several data sets in it the right one is read, even where
    file names such as ``test.json`` are common to all.
    """
    parts = folder.split("/")
    return [place.joinpath(*parts[i:]) for i in range(len(parts) + 1)]


def _all_of(files: Files, base: Path) -> dict[str, Path] | None:
    found: dict[str, Path] = {}
    for official in files.names:
        paths = [base / (official + ending) for ending in _PACKED]
        there = [path for path in paths if path.is_file()]
        if not there:
            return None
        found[official] = there[0]
    return found if files.fits is None or files.fits(base) else None


def _refuse_others(
    name: str, own: Original, base: Path, others: Mapping[str, Original]
) -> None:
    if base.name == own.folder.split("/")[-1]:
        return
    for other, original in others.items():
        if base.name == original.folder.split("/")[-1]:
            raise InputError(
                f"data-folder of task '{name}' must hold its own files; {base} is the "
                f"folder of task '{other}', whose files have the same names."
            )


def _described(files: Files) -> str:
    count = "" if files.rows is None else f" ({files.rows:,} rows)"
    return " + ".join(files.names) + count


def _there(original: Original, place: Path) -> str:
    splits = splits_there(original, place)
    if splits:
        return f"only {', '.join(splits)}"
    names = sorted(path.name for path in place.iterdir())
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"none of the task's files, but {shown}" if names else "nothing"
