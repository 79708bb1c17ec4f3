"""States that another program made, as a store of ours, checked against the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mi_probe.backbones import Backbone
from mi_probe.capture.activations import Activations
from mi_probe.capture.foreign import Foreign, read_foreign
from mi_probe.capture.parity import (
    UNCHECKED,
    Certificate,
    certify,
    is_finite,
    token_problems,
)
from mi_probe.capture.sequences import as_sequences, decoder_start, listed
from mi_probe.capture.store import SCHEMA, open_store
from mi_probe.contents import digest
from mi_probe.errors import InputError
from mi_probe.hidden import Role
from mi_probe.tasks.task import Task


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
        source: a folder or a file, laid out as `mi_probe.capture.foreign` says.
        task: the rows that the states are of, in the files' order, or by their ids.
        sites: which places they are of, in the files' order: names (``block.8``,
            ``final_norm``) or, where the model is at hand, ``hidden_states`` indices. None
            where the file names its arrays by site. Of an encoder-decoder those of one
            stack, whose token ids the files then hold.
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
    foreign = read_foreign(Path(source))
    order = _matched(foreign, task)
    names = _names(foreign, sites, backbone)
    stack = _stack(names, backbone)
    expected = prompts = None
    if backbone is not None:
        prompts = as_sequences(backbone, task, max_tokens=max_tokens).input_ids
        expected = prompts
        if stack == "dec":
            expected = [[decoder_start(backbone)]] * len(task)
    reader = _Rows(foreign, order, names, expected, stack)
    certificate = UNCHECKED
    if backbone is not None and prompts is not None:
        rng = np.random.default_rng(seed)
        count = min(n_checked, len(task))
        chosen = sorted(int(i) for i in rng.choice(len(task), count, replace=False))
        rows = [reader.row(i) for i in chosen]
        # Token ids are cheap to compare: of all rows.
        there = [foreign.tokens(row) for row in order]
        if all(one is not None for one in there) and stack != "dec":
            theirs = [one.tolist() for one in there if one is not None]
            _refuse(token_problems(task.ids, theirs, prompts), f"{len(task)} rows")
        certificate = certify(
            backbone,
            [task.ids[i] for i in chosen],
            [row[0].tolist() for row in rows],
            [row[1] for row in rows],
            prompts=[prompts[i] for i in chosen] if stack == "dec" else None,
            tolerance=tolerance,
        )
        _refuse(certificate.problems, f"{count} rows that were run again")
    name = model or (backbone.name if backbone else Path(source).stem)
    store = open_store(out, _header(name, reader, task, backbone, certificate))
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
    reader: "_Rows",
    task: Task,
    backbone: Backbone | None,
    certificate: Certificate,
) -> dict[str, Any]:
    names = reader.names
    indices = {site.name: site.index for site in backbone.sites} if backbone else {}
    return {
        "fingerprint": {
            "schema": SCHEMA,
            "model.name": name,
            "imported.sha256": reader.foreign.sha256,
            "imported.sites": [*names],
            "imported.layers": {site: indices.get(site) for site in names},
            "data.ids": digest(list(task.ids)),
            "data.texts": digest(list(task.prompts)),
            "certificate": certificate.status,
        },
        "ids": list(task.ids),
        "sites": [*names],
        "views": ["full"],
        "stacks": dict.fromkeys(names, reader.stack or "text"),
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
    stack: str = ""
    """The stack of an encoder-decoder that the states are of."""

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
        stack = self.stack or "text"
        return {
            f"lengths/{stack}": lengths,
            f"position/{stack}": torch.full((len(rows),), -1, dtype=torch.int32),
            f"tokens/{stack}": torch.cat([tokens.int() for tokens, _ in read]),
            f"roles/{stack}": torch.full((total,), int(Role.PROMPT), dtype=torch.int8),
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


def _stack(names: Sequence[str], backbone: Backbone | None) -> str:
    """The one stack that sites are of: empty, ``enc`` or ``dec``.

    Raises:
        InputError: if they are of several, or of none in an encoder-decoder.
    """
    found = {n.partition(".")[0] if n.startswith(("enc.", "dec.")) else "" for n in names}
    there = found if backbone is None else set(backbone.stacks)
    if len(found) > 1 or not found <= there:
        raise InputError(
            "sites must be of one stack, whose tokens the files hold, "
            f"{' or '.join(repr(one) for one in sorted(there))}; got {', '.join(names)}. "
            "Take each stack in by itself."
        )
    return found.pop()


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
