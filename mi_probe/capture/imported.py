"""States that another program made, as a store of ours.

FOLDER/ID.safetensors      token_ids (t,), hidden_states (t, layers, d): one file a
                           request, as serving engines write them; in folders where
                           ids have slashes
FILE.safetensors, .npz     hidden_states (n, t, d) or (n, t, layers, d), or one array
                           (n, t, d) a site under its name; mask (n, t) or lengths (n,);
                           token_ids (n, t)
FILE.npy                   (n, t, d) or (n, t, layers, d), all positions real
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from mi_probe.backbones import Backbone
from mi_probe.capture.activations import Activations, sha256_of
from mi_probe.capture.parity import (
    UNCHECKED,
    Certificate,
    certify,
    is_finite,
    token_problems,
)
from mi_probe.capture.sequences import as_sequences, listed
from mi_probe.capture.store import SCHEMA, open_store
from mi_probe.contents import digest
from mi_probe.errors import InputError
from mi_probe.hidden import Role
from mi_probe.tasks.task import Task

_STATES, _TOKENS = "hidden_states", "token_ids"
_BESIDE = (_TOKENS, "mask", "attention_mask", "lengths")


@dataclass(frozen=True)
class Foreign:
    """States as another program left them."""

    ids: tuple[str, ...] | None
    """Names of the rows; None where they only have an order."""
    n_rows: int
    read: Callable[[int], tuple[Tensor | None, Tensor | Mapping[str, Tensor]]]
    """Token ids of a row (t,), and its states: (t, layers, d), or (t, d) by site."""
    tokens: Callable[[int], Tensor | None]
    """Token ids of a row alone; None where they were not kept."""
    sha256: str
    """Hash of all files."""


def import_states(
    source: str | Path,
    task: Task,
    *,
    sites: Sequence[str | int] | None = None,
    out: str | Path,
    backbone: Backbone | None = None,
    model: str | None = None,
    n_checked: int = 8,
    tolerance: float | None = None,
    max_tokens: int = 512,
    seed: int = 0,
) -> tuple[Activations, Certificate]:
    """A store of states that were made elsewhere, with its parity certificate.

    Args:
        source: a folder or a file, laid out as this module says.
        task: the rows that the states are of, in the files' order, or by their ids.
        sites: which places they are of, in the files' order: names (``block.8``,
            ``final_norm``) or, where the model is at hand, ``hidden_states`` indices. None
            where the file names its arrays by site.
        out: the store's folder; one of the same states is gone on with.
        backbone: the model, to run rows again; without it the certificate is
            ``unchecked``.
        model: what results call it; None takes the backbone's name, or the source's.
        n_checked: how many rows are run again.
        tolerance: largest relative difference that counts as the same states; None is .001
            where states and model are float32, else .03.
        max_tokens: of our own tokenisation, as in `extract`.
        seed: of the rows that are run again.

    Returns:
        The states as `extract` gives them, and the certificate, which is in their notes.

    Raises:
        InputError: if files are missing, malformed or of other rows or sites; if states
            are NaN or infinite; or if the certificate finds a fault, which it names.

    Examples:
        States of block 1, as another program might save them:

        >>> import numpy as np
        >>> from mi_probe import extract, load_backbone, read_table
        >>> from mi_probe.capture import import_states
        >>> task = read_table("reviews.csv", rows=20)
        >>> model = load_backbone("my-model")
        >>> z = extract(model, task, sites=["block.1"], progress=False).hidden("block.1")
        >>> arrays = {"token_ids": z.token_ids, "mask": z.mask, "hidden_states": z.values}
        >>> np.savez("theirs.npz", **{name: np.asarray(a) for name, a in arrays.items()})
        >>> states, certificate = import_states(
        ...     "theirs.npz", task, sites=["block.1"], out="taken-in", backbone=model
        ... )
        >>> states, certificate.status
        (Activations(20 rows, 1 site: block.1; views: full), 'equal')
    """
    if n_checked < 1:
        raise InputError(f"n_checked must be at least 1; got {n_checked}.")
    if Path(out).is_file():
        raise InputError(f"out must be a folder; '{out}' is a file.")
    foreign = _foreign(Path(source))
    order = _matched(foreign, task)
    expected = None
    if backbone is not None:
        expected = as_sequences(backbone, task, max_tokens=max_tokens).input_ids
    names = _names(foreign, sites, backbone)
    reader = _Rows(foreign, order, names, expected)
    certificate = UNCHECKED
    if backbone is not None:
        rng = np.random.default_rng(seed)
        count = min(n_checked, len(task))
        chosen = sorted(int(i) for i in rng.choice(len(task), count, replace=False))
        rows = [reader.row(i) for i in chosen]
        # Token ids are cheap to compare: of all rows.
        there = [foreign.tokens(row) for row in order]
        if all(one is not None for one in there) and expected is not None:
            theirs = [one.tolist() for one in there if one is not None]
            _refuse(token_problems(task.ids, theirs, expected), f"{len(task)} rows")
        certificate = certify(
            backbone,
            [task.ids[i] for i in chosen],
            [row[0].tolist() for row in rows],
            [row[1] for row in rows],
            tolerance=tolerance,
        )
        _refuse(certificate.problems, f"{count} rows that were run again")
    name = model or (backbone.name if backbone else Path(source).stem)
    store = open_store(out, _header(name, foreign, task, names, backbone, certificate))
    done = {one for shard in store.shards() if shard.intact for one in shard.ids}
    left = [i for i in range(len(task)) if task.ids[i] not in done]
    for start in range(0, len(left), 512):
        part = left[start : start + 512]
        store.append([task.ids[i] for i in part], reader.shard(part))
    return store.activations(), certificate


def _refuse(problems: Sequence[str], of: str) -> None:
    if problems:
        raise InputError(f"states must be the model's own; of {of}: {'. '.join(problems)}.")


def _header(
    name: str,
    foreign: Foreign,
    task: Task,
    names: Sequence[str],
    backbone: Backbone | None,
    certificate: Certificate,
) -> dict[str, Any]:
    indices = {site.name: site.index for site in backbone.sites} if backbone else {}
    return {
        "fingerprint": {
            "schema": SCHEMA,
            "model.name": name,
            "imported.sha256": foreign.sha256,
            "imported.sites": [*names],
            "imported.layers": {site: indices.get(site) for site in names},
            "data.ids": digest(list(task.ids)),
            "data.texts": digest(list(task.prompts)),
            "certificate": "unchecked" if backbone is None else "checked",
        },
        "ids": list(task.ids),
        "sites": [*names],
        "views": ["full"],
        "stacks": dict.fromkeys(names, "text"),
        "notes": [certificate.words],
    }


@dataclass(frozen=True)
class _Rows:
    """Rows as a store keeps them."""

    foreign: Foreign
    order: Sequence[int]
    """The files' row of each of the task's."""
    names: Sequence[str]
    expected: Sequence[Sequence[int]] | None
    """Our own token ids, where theirs were not kept."""

    def row(self, i: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Token ids and states by site of a row of the task."""
        tokens, states = self.foreign.read(self.order[i])
        if isinstance(states, Tensor):
            if states.shape[1] != len(self.names):
                raise InputError(
                    f"sites must name the {states.shape[1]} layers of the files; got "
                    f"{len(self.names)}: {', '.join(self.names)}."
                )
            states = {name: states[:, k] for k, name in enumerate(self.names)}
        length = len(next(iter(states.values())))
        if tokens is None:
            known = self.expected[i] if self.expected is not None else None
            tokens = torch.tensor(known if known and len(known) == length else [0] * length)
        if not length:
            raise InputError(f"rows must have a token; file row {self.order[i]} has none.")
        if any(not values.is_floating_point() for values in states.values()):
            raise InputError("states must be floating-point numbers; they are integers.")
        if len(tokens) != length:
            raise InputError(
                f"rows must have a state a token; file row {self.order[i]} has {length} "
                f"states and {len(tokens)} tokens."
            )
        if not is_finite(states):
            raise InputError(
                f"states must be finite; file row {self.order[i]} holds NaN or infinity, "
                "as float16 does where values pass 65,504. Capture in bfloat16 or float32."
            )
        return tokens, dict(states)

    def shard(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Packed tensors of some rows."""
        read = [self.row(i) for i in rows]
        lengths = torch.tensor([len(tokens) for tokens, _ in read], dtype=torch.int32)
        total = int(lengths.sum())
        return {
            "lengths/text": lengths,
            "position/text": torch.full((len(rows),), -1, dtype=torch.int32),
            "tokens/text": torch.cat([tokens.int() for tokens, _ in read]),
            "roles/text": torch.full((total,), int(Role.PROMPT), dtype=torch.int8),
            **{
                f"full/{name}": torch.cat([states[name] for _, states in read])
                for name in self.names
            },
        }


def _matched(foreign: Foreign, task: Task) -> list[int]:
    """The files' row of each of the task's."""
    if foreign.ids is None:
        if foreign.n_rows != len(task):
            raise InputError(
                f"states must be of the task's {len(task)} rows, in its order; the file "
                f"has {foreign.n_rows}."
            )
        return list(range(len(task)))
    place = {name: i for i, name in enumerate(foreign.ids)}
    missing = [name for name in task.ids if name not in place]
    if missing:
        raise InputError(
            f"each row of the task must have its file, ID.safetensors; {len(missing)} of "
            f"{len(task)} have none: {listed(missing)}. Give the requests the rows' ids."
        )
    return [place[name] for name in task.ids]


def _names(
    foreign: Foreign, sites: Sequence[str | int] | None, backbone: Backbone | None
) -> tuple[str, ...]:
    first = foreign.read(0)[1]
    if not isinstance(first, Tensor):
        if sites is not None and {*map(str, sites)} != {*first}:
            raise InputError(
                f"sites must be the file's own, {', '.join(first)}; got "
                f"{', '.join(map(str, sites))}. Leave them out."
            )
        order = [site.name for site in backbone.sites] if backbone else []
        # A file's arrays come by the alphabet; what is no site is named by the certificate.
        known = [name for name in order if name in first]
        return (*known, *(name for name in first if name not in known))
    if sites and any(str(one).startswith(("enc.", "dec.")) for one in sites):
        raise InputError(
            "states of encoder-decoders, 'enc.' and 'dec.', cannot be taken in; got "
            f"{', '.join(map(str, sites))}. Capture them."
        )
    if not sites:
        raise InputError(
            f"sites must name the {first.shape[1]} layers of the files, in their order; "
            "got none. For instance: block.8,block.16."
        )
    if any(isinstance(one, int) or str(one).isdigit() for one in sites):
        if backbone is None:
            raise InputError(
                "sites must be names where the model is not at hand; got indices. For "
                "instance: block.8."
            )
        return tuple(backbone.select([one])[0].name for one in sites)
    return tuple(map(str, sites))


def _foreign(source: Path) -> Foreign:
    if source.is_dir():
        return _requests(source)
    if not source.is_file():
        raise InputError(f"states must be a folder or file that exists; got '{source}'.")
    readers: dict[str, Callable[[Path], dict[str, Tensor]]] = {
        ".safetensors": _tensors,
        ".npz": _arrays,
        ".npy": _array,
    }
    if source.suffix not in readers:
        raise InputError(
            f"states must be a folder of .safetensors, or end in {', '.join(readers)}; got "
            f"'{source.name}'."
        )
    return _whole(source, readers[source.suffix](source))


def _name(file: Path, folder: Path) -> str:
    """The row's id: an id with a slash is a file in a folder."""
    return file.relative_to(folder).as_posix().removesuffix(".safetensors")


def _requests(folder: Path) -> Foreign:
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        raise InputError(f"'{folder}' must hold ID.safetensors files; it has none.")

    def read(row: int) -> tuple[Tensor, Tensor]:
        found = _tensors(files[row])
        if not {_STATES, _TOKENS} <= {*found} or found[_STATES].ndim != 3:
            raise InputError(
                f"'{files[row].name}' must hold token_ids (t,) and hidden_states "
                f"(t, layers, d); it has {', '.join(sorted(found)) or 'nothing'}."
            )
        return found[_TOKENS], found[_STATES]

    hashes = [(f"{_name(file, folder)}.safetensors", sha256_of(file)) for file in files]
    return Foreign(
        tuple(_name(file, folder) for file in files),
        len(files),
        read,
        lambda row: _tensors(files[row], _TOKENS).get(_TOKENS),
        digest(hashes),
    )


def _whole(path: Path, arrays: dict[str, Tensor]) -> Foreign:
    tokens = arrays.get(_TOKENS)
    states = {name: one for name, one in arrays.items() if name not in _BESIDE}
    one = next(iter(states.values()), None)
    if one is None or any(
        a.ndim not in (3, 4) or len(a) != len(one) for a in states.values()
    ):
        raise InputError(
            f"'{path.name}' must hold states (n, t, d) or (n, t, layers, d), all of as "
            f"many rows; it has "
            f"{', '.join(f'{n} {tuple(a.shape)}' for n, a in arrays.items()) or 'nothing'}."
        )
    mask = _mask(path, arrays, one)
    beside = {**states} if tokens is None else {**states, _TOKENS: tokens}
    for name, values in beside.items():
        if values.shape[:2] != one.shape[:2]:
            raise InputError(
                f"arrays of '{path.name}' must be of as many rows and positions; '{name}' "
                f"has the shape {tuple(values.shape)}, the first {tuple(one.shape)}."
            )
    named = _STATES not in states

    def read(row: int) -> tuple[Tensor | None, Tensor | dict[str, Tensor]]:
        real = mask[row]
        own = None if tokens is None else tokens[row][real]
        if named:
            return own, {name: values[row][real] for name, values in states.items()}
        found = states[_STATES][row][real]
        return own, found[:, None] if found.ndim == 2 else found

    def own_tokens(row: int) -> Tensor | None:
        return None if tokens is None else tokens[row][mask[row]]

    return Foreign(None, len(one), read, own_tokens, sha256_of(path))


def _mask(path: Path, arrays: Mapping[str, Tensor], states: Tensor) -> Tensor:
    n, t = states.shape[:2]
    if "lengths" in arrays:
        if arrays["lengths"].shape != (n,) or int(arrays["lengths"].max()) > t:
            raise InputError(
                f"lengths of '{path.name}' must be ({n},), at most {t}; they are "
                f"{tuple(arrays['lengths'].shape)}, the largest "
                f"{int(arrays['lengths'].max())}."
            )
        mask = torch.arange(t)[None] < arrays["lengths"].long()[:, None]
    else:
        given = arrays.get("mask", arrays.get("attention_mask"))
        if given is not None and not set(given.unique().tolist()) <= {0, 1}:
            raise InputError(
                f"the mask of '{path.name}' must be 1 at real positions and 0 elsewhere; "
                f"it holds {given.unique().tolist()[:3]}."
            )
        mask = torch.ones(n, t, dtype=torch.bool) if given is None else given.bool()
    if mask.shape != (n, t) or not bool(mask.any(1).all()):
        raise InputError(
            f"the mask of '{path.name}' must be ({n}, {t}) with a real position in each "
            f"row; it is {tuple(mask.shape)}."
        )
    return mask


def _tensors(path: Path, *names: str) -> dict[str, Tensor]:
    """The file's tensors; some of them alone are read without the others."""
    try:
        if names:
            with safe_open(path, framework="pt") as file:
                return {n: file.get_tensor(n) for n in names if n in file.keys()}  # noqa: SIM118
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"'{path.name}' must be whole safetensors; {error}.") from None


def _arrays(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {
                name: torch.from_numpy(np.ascontiguousarray(file[name])) for name in file
            }
    except (OSError, ValueError, TypeError, BadZipFile) as error:
        raise InputError(f"'{path.name}' must be an .npz of numbers; {error}.") from None


def _array(path: Path) -> dict[str, Tensor]:
    try:
        values = np.load(path, allow_pickle=False)
        return {_STATES: torch.from_numpy(np.ascontiguousarray(values))}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"'{path.name}' must be an .npy of numbers; {error}.") from None
