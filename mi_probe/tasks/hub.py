"""A copy on the Hugging Face hub, through `datasets`, which is optional."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mi_probe.errors import InputError
from mi_probe.tasks.entry import Hub, Table


def has_datasets() -> bool:
    """Whether the `datasets` library is installed."""
    return find_spec("datasets") is not None


def read_hub(name: str, hub: Hub, split: str) -> tuple[Table, str]:
    """The rows of a split, and where they come from.

    Raises:
        InputError: if the library is absent, the copy lacks the split, or it cannot be
            had: offline, gone, or of another shape.
    """
    if split not in hub.splits:
        raise InputError(
            f"split of task '{name}' must be one of {', '.join(hub.splits)} on the hub; "
            f"got '{split}'."
        )
    if not has_datasets():
        raise InputError(
            f"task '{name}' is read from the hub ({hub.id}) by the datasets library, which "
            "is not installed; run `pip install datasets`, or give the original files: "
            "--data-folder PATH."
        )
    library: Any = import_module("datasets")
    try:
        data = library.load_dataset(
            hub.id, hub.configuration, split=hub.splits[split], revision=hub.revision
        )
    # Offline, renamed, gated, a script: each has its own type, and none is ours.
    except (OSError, ValueError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"task '{name}' could not be read from the hub ({hub.id}): {first}. Give the "
            "original files instead: --data-folder PATH."
        ) from None
    place = [hub.id, hub.configuration, hub.splits[split], hub.revision]
    source = " ".join(part for part in place if part)
    fingerprint = getattr(data, "_fingerprint", "")
    return hub.read([dict(row) for row in data]), f"hub {source} {fingerprint}".strip()
