"""From what the user typed to a local folder that holds a model."""

import re
from pathlib import Path

from mi_probe.backbones.embedded import EMBEDDED, embedded_folder
from mi_probe.errors import InputError, meant

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# Nothing else of a repository is ever fetched: no pickles, no copies in other formats.
_FETCHED = [
    *("*.json", "*.txt", "*.jinja", "*.model", WEIGHTS, WEIGHTS_INDEX),
    *("model-*-of-*.safetensors", ADAPTER_WEIGHTS),
]


def split_layers(name: str) -> tuple[str, int | None]:
    """``'name:4'`` to ``('name', 4)``; any other name to itself and None."""
    stem, colon, number = name.rpartition(":")
    if colon and stem and number.isdecimal() and not Path(name).exists():
        return stem, int(number)
    return name, None


def lasting_name(name: str) -> str:
    """The backbone as it is found from anywhere: a local folder by its whole path."""
    stem, layers = split_layers(name)
    path = Path(stem).expanduser()
    if not path.is_dir():
        return name
    return str(path.resolve()) + ("" if layers is None else f":{layers}")


def expand_checkpoints(path: str | Path) -> list[str]:
    """The ``checkpoint-<step>`` folders of a Trainer's output folder, by their step.

    Anything else, a hub name or a model's own folder, comes back as the only entry.
    """
    return [str(folder) for folder in _checkpoints(Path(path).expanduser())] or [str(path)]


def step_of(folder: Path) -> int | None:
    """The optimiser step that a folder's name tells."""
    match = _CHECKPOINT.fullmatch(folder.resolve().name)
    return int(match[1]) if match else None


def find_folder(
    name: str,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    trust_remote_code: bool = False,
) -> tuple[Path, str | None]:
    """The folder of a model or adapter, and its commit where it came from the hub.

    Args:
        name: an alias, a local folder (of a Trainer: its last checkpoint, unless the
            folder holds a model itself), or a name on the hub.
        revision: branch, tag or commit on the hub.
        local_files_only: use what was downloaded before, and no network.
        trust_remote_code: fetch the repository's Python files too.

    Raises:
        InputError: if there is no such folder, alias or repository.
    """
    if not name.strip():
        raise InputError(f"model must have a name; got {name!r}.")
    folder = Path(name).expanduser()
    local = name in EMBEDDED or folder.exists() or _looks_local(name)
    if local and revision is not None:
        raise InputError(
            f"revision must go with a model from the hub; got {revision!r} with "
            f"{name!r}, which is local. Leave it out."
        )
    if name in EMBEDDED and not folder.exists():
        return embedded_folder(name), None
    if folder.is_dir():
        return _model_folder(folder), None
    if local:
        what = "a file" if folder.exists() else "no such folder"
        beside = [f"'{path.name}'" for path in _checkpoints(folder.parent)]
        if beside and not folder.exists():
            what += f", and beside it there are {', '.join(beside)}"
        raise InputError(
            f"model must be a folder, a name on the hub or one of "
            f"{', '.join(sorted(EMBEDDED))}; {name!r} is {what}. Check the path."
        )
    if not _HUB_ID.fullmatch(name):
        raise InputError(
            "model must be a folder, a name on the hub such as 'organisation/model', "
            f"or one of {', '.join(sorted(EMBEDDED))}; got {name!r}."
        )
    return _hub_folder(name, revision, local_files_only, trust_remote_code)


def _looks_local(name: str) -> bool:
    """True for what must be a path: asking the hub for a mistyped one would mislead."""
    return (
        name.startswith((".", "/", "~"))
        or "\\" in name
        or name.count("/") > 1
        or name.endswith("/")
        or _CHECKPOINT.fullmatch(Path(name).name) is not None
        or ("/" in name and Path(name.partition("/")[0]).is_dir())
    )


def _checkpoints(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    steps = {
        int(match[1]): path
        for path in folder.iterdir()
        if (match := _CHECKPOINT.fullmatch(path.name)) and path.is_dir()
    }
    return [steps[step] for step in sorted(steps)]


def _model_folder(folder: Path) -> Path:
    if any((folder / name).is_file() for name in (CONFIG, ADAPTER_CONFIG)):
        return folder
    if checkpoints := _checkpoints(folder):
        return _model_folder(checkpoints[-1])
    held = ", ".join(sorted(path.name for path in folder.iterdir())[:4]) or "nothing"
    raise InputError(
        f"model folder must hold {CONFIG}, {ADAPTER_CONFIG} or checkpoint-<step> "
        f"folders; {str(folder)!r} holds {held}. Check the path."
    )


def _hub_folder(
    name: str, revision: str | None, local_files_only: bool, trust_remote_code: bool
) -> tuple[Path, str | None]:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                name,
                revision=revision,
                local_files_only=local_files_only,
                allow_patterns=_FETCHED + (["*.py"] if trust_remote_code else []),
                ignore_patterns=["*/*"],
            )
        )
    # The hub's client raises its own errors, its transport's, and OSError.
    except Exception as error:
        where = f" at revision {revision!r}" if revision else ""
        how = (
            "it was not downloaded before, and local_files_only is set"
            if local_files_only
            else f"{type(error).__name__}; is the name right, and the hub reachable?"
        )
        raise InputError(
            f"model {name!r}{where} must be on the hub, a local folder or one of "
            f"{', '.join(sorted(EMBEDDED))}; no folder has that name, and the hub gave "
            f"nothing ({how}).{meant(name, EMBEDDED)}"
        ) from error
    return folder, folder.name
