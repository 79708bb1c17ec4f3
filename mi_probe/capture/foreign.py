"""What other programs write: files of hidden states, read a row at a time.

FOLDER/ID.safetensors      token_ids (t,), hidden_states (t, layers, d): one file a
                           request, as serving engines write them; in folders where
                           ids have slashes
FILE.safetensors, .npz     hidden_states (n, t, d) or (n, t, layers, d), or one array
                           (n, t, d) a site under its name; mask (n, t) or lengths (n,);
                           token_ids (n, t)
FILE.npy                   (n, t, d) or (n, t, layers, d), all positions real
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from mi_probe.capture.activations import sha256_of
from mi_probe.contents import digest
from mi_probe.errors import InputError

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


def read_foreign(source: Path) -> Foreign:
    """Open a file or a folder of states.

    Raises:
        InputError: if it is not there, or not laid out as this module says.
    """
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
