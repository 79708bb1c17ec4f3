"""A copy on the Hugging Face hub, through `datasets`, which is optional."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mi_probe.errors import InputError, check_known
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
    check_known(f"split of task '{name}' on the hub", split, hub.splits)
    data = _loaded(
        f"task '{name}'",
        hub.id,
        hub.configuration,
        split=hub.splits[split],
        revision=hub.revision,
        instead="give the original files: --data-folder PATH",
    )
    place = [hub.id, hub.configuration, hub.splits[split], hub.revision]
    source = " ".join(part for part in place if part)
    fingerprint = getattr(data, "_fingerprint", "")
    return hub.read([dict(row) for row in data]), f"hub {source} {fingerprint}".strip()


def hub_data(reference: str) -> tuple[Any, str]:
    """Any data set of the hub, ``ID[:configuration[:split]]``, and its name.

    Without a split, the one that is meant for reporting: ``test``, else ``validation``,
    else the only one there is.

    Raises:
        InputError: if the library is absent, the data set cannot be had, or has several
            splits of other names.
    """
    parts = reference.split(":")
    if not parts[0] or len(parts) > 3:
        raise InputError(
            f"a data set of the hub must be hf:ID[:configuration[:split]]; got "
            f"'hf:{reference}'."
        )
    id_, configuration, split = (*parts, "", "")[:3]
    what = f"data set 'hf:{id_}'"
    data = _loaded(
        what,
        id_,
        configuration or None,
        split=split or None,
        instead="give it as a file: --data FILE",
    )
    if not split:
        names = list(data)
        usual = [name for name in ("test", "validation") if name in names] or names
        if usual[0] not in ("test", "validation") and len(names) > 1:
            raise InputError(
                f"split of {what} must be one of {', '.join(names)}; got none. Write "
                f"hf:{id_}:{configuration}:{names[0]}."
            )
        split, data = usual[0], data[usual[0]]
    return data, ":".join(part for part in (id_, configuration, split) if part)


def _loaded(what: str, id_: str, configuration: str | None, *, instead: str, **how: Any):
    """A data set by the library, or one clear error."""
    if not has_datasets():
        raise InputError(
            f"{what} is read from the hub ({id_}) by the datasets library, which is not "
            f"installed; run `pip install datasets`, or {instead}."
        )
    library: Any = import_module("datasets")
    try:
        return library.load_dataset(id_, configuration, **how)
    # Offline, renamed, gated, a script: each has its own type, and none is ours.
    except (OSError, ValueError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{what} could not be read from the hub ({id_}): {first}. Or {instead}."
        ) from None
