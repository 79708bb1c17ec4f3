"""Whether states that were made elsewhere are what this model's own forward pass gives.

A few rows are run again. For each site that the other program named, the nearest of *all*
the model's sites is looked for, so that a layer too many, a final norm that was left out
and rows that were exchanged are found and named, and not only that something differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mi_probe.backbones import Backbone
from mi_probe.backbones.inside import KINDS
from mi_probe.backbones.trial import embedding_rows
from mi_probe.capture.extract import extract
from mi_probe.capture.sequences import Sequences

SIXTEEN_BITS = 0.03
"""Largest relative difference of states that only their precision tells apart: bfloat16 has
8 bits, and its errors add up over the layers to one or two per cent."""
FLOAT32 = 1e-3
"""Largest difference of two float32 passes, batched in different ways."""


@dataclass(frozen=True)
class Certificate:
    """What running some rows again showed."""

    status: str
    """Outcome: ``equal``, ``close`` (as 16 bits differ), ``differs``, or ``unchecked``."""
    rows: tuple[str, ...] = ()
    """Ids of the rows that were run again."""
    differences: Mapping[str, float] = field(default_factory=dict)
    """Relative difference of each site, |theirs - ours| / |ours|."""
    problems: tuple[str, ...] = ()
    """Sentences that name what is wrong, and what to do."""

    @property
    def words(self) -> str:
        """The certificate in a sentence, for notes."""
        if self.status == "unchecked":
            return (
                "states made elsewhere, unchecked: no model was at hand to run rows again"
            )
        worst = max(self.differences.values(), default=0.0)
        said = f"states made elsewhere, {len(self.rows)} rows run again: {self.status}"
        return f"{said}, relative difference {worst:.2g} at most" + "".join(
            f"; {problem}" for problem in self.problems
        )


UNCHECKED = Certificate("unchecked")
"""What can be said without the model."""


def certify(
    backbone: Backbone,
    ids: Sequence[str],
    tokens: Sequence[Sequence[int]],
    states: Sequence[Mapping[str, Tensor]],
    *,
    prompts: Sequence[Sequence[int]] | None = None,
    tolerance: float | None = None,
) -> Certificate:
    """Run rows again and compare.

    Args:
        backbone: the model that the states are said to be of.
        ids: of the rows.
        tokens: their token ids as the other program has them.
        states: of each row by site, (t, d).
        prompts: what the encoder reads, where the states are a decoder's.
        tolerance: of relative differences; None is `FLOAT32` where all is float32, else
            `SIXTEEN_BITS`.
    """
    problems: list[str] = []
    if tolerance is None:
        kinds = {values.dtype for row in states for values in row.values()}
        kinds.add(next(backbone.base.parameters()).dtype)
        narrow = kinds - {torch.float32, torch.float64}
        tolerance = SIXTEEN_BITS if narrow else FLOAT32
    n_words = embedding_rows(backbone.base)
    if n_words and (most := max(max(map(int, row)) for row in tokens)) >= n_words:
        said = f"token ids reach {most}, the model knows {n_words}: another tokenizer"
        return Certificate("differs", tuple(ids), {}, (said,))
    read = [list(map(int, row)) for row in tokens]
    if prompts is None:
        data = Sequences(tuple(ids), read)
    else:
        data = Sequences(tuple(ids), prompts, decoder_ids=read)
    inside = [site for site in states[0] if site.endswith(KINDS)]
    stack = next(iter(states[0])).partition(".")[0]
    names = [
        site.name for site in backbone.select(["all", *inside]) if site.stack in ("", stack)
    ]
    again = extract(backbone, data, sites=names, views=("full",), progress=False)
    ours = {name: again.hidden(name) for name in names}

    def own(site: str, row: int) -> Tensor:
        z = ours[site]
        return z.values[row][z.mask[row]].float()

    differences = {}
    for site in states[0]:
        theirs = [row[site].float() for row in states]
        found = {
            name: _apart(theirs, [own(name, i) for i in range(len(ids))]) for name in names
        }
        differences[site] = found.get(site, np.inf)
        best = min(found, key=lambda name: found[name])
        if found.get(site, np.inf) <= tolerance and found[site] <= 2 * found[best]:
            continue
        if found[best] <= tolerance:
            problems.append(_misplaced(site, best, names))
        else:
            problems += _rows_apart(site, ids, theirs, own, found, tolerance)
    worst = max(differences.values())
    status = "differs" if problems else "equal" if worst <= FLOAT32 else "close"
    return Certificate(status, tuple(ids), differences, tuple(dict.fromkeys(problems)))


def _apart(theirs: Sequence[Tensor], ours: Sequence[Tensor]) -> float:
    """The relative difference over rows; infinite where shapes differ."""
    if any(a.shape != b.shape for a, b in zip(theirs, ours, strict=True)):
        return np.inf
    apart = sum(float((a - b).square().sum()) for a, b in zip(theirs, ours, strict=True))
    whole = sum(float(b.square().sum()) for b in ours)
    return float(np.sqrt(apart / whole)) if np.isfinite(apart) else np.inf


def _misplaced(site: str, best: str, names: Sequence[str]) -> str:
    if site.endswith("final_norm") and best == names[names.index(site) - 1]:
        return (
            f"'{site}' holds '{best}': the final norm was not applied. Name it "
            f"'{best}', or apply the norm"
        )
    if site in names:
        off = names.index(best) - names.index(site)
        layers = f"{abs(off)} layer{'s' * (abs(off) > 1)} {'above' if off > 0 else 'below'}"
        return f"'{site}' holds the states of '{best}', {layers}. Name it '{best}'"
    return f"'{site}' is no site of the model; it holds '{best}'. Name it so"


def _rows_apart(
    site: str,
    ids: Sequence[str],
    theirs: Sequence[Tensor],
    own: Any,
    found: Mapping[str, float],
    tolerance: float,
) -> list[str]:
    """Rows of a site that are other rows' states, or nobody's."""
    if site not in found:
        return [f"'{site}' is no site of the model, and holds the states of none"]
    rows = range(len(ids))
    wrong = [i for i in rows if _apart([theirs[i]], [own(site, i)]) > tolerance]
    exchanged = [
        (i, j)
        for i, j in combinations(wrong, 2)
        if max(_apart([theirs[i]], [own(site, j)]), _apart([theirs[j]], [own(site, i)]))
        <= tolerance
    ]
    if exchanged:
        pairs = ", ".join(f"'{ids[i]}' and '{ids[j]}'" for i, j in exchanged[:3])
        return [f"at '{site}' the states of rows {pairs} are exchanged. Mend their ids"]
    if 0 < len(wrong) < len(ids) and found[site] < np.inf:
        which = ", ".join(f"'{ids[i]}'" for i in wrong[:3])
        return [
            f"at '{site}' the states of rows {which} are of other rows or texts; the other "
            f"{len(ids) - len(wrong)} that were run again are right. Mend their ids"
        ]
    if any(theirs[i].shape != own(site, i).shape for i in wrong):
        shapes = {(tuple(theirs[i].shape), tuple(own(site, i).shape)) for i in wrong}
        one, other = next(iter(shapes))
        return [
            f"at '{site}' states have the shape {one} where the model's have {other}: "
            "positions are missing, padded, or of another model"
        ]
    return [
        f"at '{site}' {len(wrong)} of {len(ids)} rows are no states of this model "
        f"(relative difference {found[site]:.2g}): another model or adapter, or made in 16 "
        "bits, for which the tolerance is .03"
    ]


def token_problems(
    ids: Sequence[str], tokens: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]
) -> list[str]:
    """What is wrong with the first row whose token ids are not our own tokenizer's."""
    ours = {tuple(map(int, row)): name for row, name in zip(expected, ids, strict=True)}
    for name, there, here in zip(ids, tokens, expected, strict=True):
        one, other = tuple(map(int, there)), tuple(map(int, here))
        if one == other:
            continue
        if one in ours:
            return [f"tokens of row '{name}' are those of row '{ours[one]}': exchanged"]
        n = len(other)
        if one[:n] == other and len({*one[n:]}) == 1 and len(one) > n + 1:
            return [f"row '{name}' has {len(one) - n} positions of padding. Leave them out"]
        if one[-n:] == other and len({*one[:-n]}) == 1 and len(one) > n + 1:
            return [f"row '{name}' has {len(one) - n} positions of padding. Leave them out"]
        if one[1:] == other or other[1:] == one:
            return [
                f"tokens of row '{name}' differ by the first one, a beginning of text that "
                f"{'they' if len(one) > len(other) else 'we'} add. Capture without it, or "
                "say so in the template"
            ]
        return [
            f"tokens of row '{name}' are {list(one[:6])}..., ours {list(other[:6])}...: "
            "another tokenizer, template, or a cut text"
        ]
    return []


def is_finite(states: Mapping[str, Tensor]) -> bool:
    """Whether no state is NaN or infinite, as half precision makes them."""
    return all(bool(torch.isfinite(values.float()).all()) for values in states.values())
