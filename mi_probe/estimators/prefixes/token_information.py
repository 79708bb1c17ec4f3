r"""What each token and each prefix of a sentence tells of a discrete Y, held out.

Two readers, each a stack of cross-fitted critics:

.. math::
    i(y; z_t) = \log \frac{q(y|z_t)}{p(y)}, \qquad
    i(y; z_{\le t}) = \log \frac{q(y|z_1 \dots z_t)}{p(y)}, \qquad i(y; \emptyset) = 0,

p(y) that of the rows the critics learned from. The differences of the second are the
chain rule's terms: they add up to i(y; z) in each sentence, exactly, and their sums'
mean is the estimate of I(Y;Z).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from mi_probe.errors import InputError
from mi_probe.estimators.core.admission import split_rows
from mi_probe.estimators.core.split import Blocks, Groups, Split
from mi_probe.estimators.core.states import as_states
from mi_probe.estimators.core.targets import Classes, Target, TokenSequences, as_target
from mi_probe.estimators.prefixes.causal_network import Inputs
from mi_probe.estimators.prefixes.linear import BLOCKS, prefix_sums
from mi_probe.estimators.prefixes.packed_tokens import PackedTokens, packed_tokens
from mi_probe.estimators.prefixes.position_stack import fit_stack
from mi_probe.estimators.prefixes.template_linear import template_member
from mi_probe.estimators.prefixes.token_members import (
    Rows,
    Scored,
    linear_member,
    network_member,
    supervised_inputs,
)
from mi_probe.estimators.sequences.token_coordinates import token_coordinates
from mi_probe.hidden import HiddenStates

Reader: TypeAlias = Literal["prefix", "alone"]

_FOLDS = 5
FEWEST_A_CLASS = 2 * _FOLDS
"""Rows that each class must have."""
_MOST_CLASSES = 64
"""The critics keep log-odds of every class at every token of every row."""


@dataclass(frozen=True, kw_only=True)
class TokenInformation:
    """Held-out log q(y| . ) at every position of Z, in nats.

    Not to be trusted where rows are few (each class should have fifty or more), nor, of
    models that read both ways, as a statement about *when* something is known: there z_1
    has read the whole sentence already. Of causal models z_t holds all earlier tokens, so
    i(y; z_t) is what is known *by* t; the increments say at which token it became
    *readable* for critics like these. It may have been there before, where nothing that
    these critics can compute finds it: of a product of two bits in one state little is
    read before a later state holds it as one direction (`docs/tokens.md`).
    """

    reader: Reader
    log_posterior: Float[np.ndarray, "n t c"] = field(repr=False)
    """Normalised; NaN where the mask is false."""
    log_prior: Float[np.ndarray, "n c"] = field(repr=False)
    """Log p(y) of the rows that each row's critics learned from."""
    mask: Bool[np.ndarray, "n t"] = field(repr=False)
    y: Int[np.ndarray, " n"] = field(repr=False)
    """Classes 0 ... c-1."""
    split: Split = field(repr=False)
    """The rows that were held out together."""
    history: tuple[dict[str, object], ...] = field(repr=False, default=())
    """What was chosen for each held-out fold."""

    def by_span(self, spans: Int[np.ndarray, "n t"]) -> Float[np.ndarray, "n k"]:
        """Increments added up over sets of tokens; over all sets they are each row's total.

        Args:
            spans: the set of each token, 0 ... k-1; read inside the mask only.

        Returns:
            A column a set, in nats, 0 where a row has no token of it.

        Raises:
            InputError: of single tokens, or for a token without a set.
        """
        if spans.shape != self.mask.shape or int(spans[self.mask].min()) < 0:
            raise InputError(
                f"spans must number a set for each token, {self.mask.shape}, from 0; got "
                f"{spans.shape}, least {spans[self.mask].min()}."
            )
        row, place = np.nonzero(self.mask)
        found = np.zeros((len(self.y), int(spans.max()) + 1))
        np.add.at(found, (row, spans[row, place]), self.increments[row, place])
        return found

    def of(self, y: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n t"]:
        """i(y; z_t) or i(y; z_<=t) of these classes, one a row; NaN outside the mask."""
        rows = np.arange(len(y))
        return self.log_posterior[rows, :, y] - self.log_prior[rows, y][:, None]

    @property
    def pointwise(self) -> Float[np.ndarray, "n t"]:
        """The same of each row's own y."""
        return self.of(self.y)

    @property
    def increments(self) -> Float[np.ndarray, "n t"]:
        """i(y; z_<=t) - i(y; z_<t), 0 before the first token; NaN outside the mask.

        Raises:
            InputError: of single tokens, whose values are no parts of a sum.
        """
        if self.reader != "prefix":
            raise InputError(
                "increments must be of the prefix reader; this one reads each token alone."
            )
        return increments(self.pointwise, self.mask)

    @property
    def totals(self) -> Float[np.ndarray, " n"]:
        """The value at each row's last token: for prefixes, i(y; z) of the sentence."""
        last = self.mask.shape[1] - 1 - self.mask[:, ::-1].argmax(1)
        return self.pointwise[np.arange(len(last)), last]

    @property
    def nats(self) -> float:
        """Mean of `totals`: for prefixes, the held-out lower bound of I(Y;Z)."""
        return float(self.totals.mean())

    @property
    def entropy_y(self) -> float:
        """-mean log p(y), the ceiling of `nats`."""
        return float(-self.log_prior[np.arange(len(self.y)), self.y].mean())


def increments(
    cumulative: Float[np.ndarray, "n t"], mask: Bool[np.ndarray, "n t"]
) -> Float[np.ndarray, "n t"]:
    """Differences from the last real position before, 0 before the first."""
    found = np.full(cumulative.shape, np.nan)
    before = np.zeros(len(cumulative))
    for t in range(cumulative.shape[1]):
        real = mask[:, t]
        found[real, t] = cumulative[real, t] - before[real]
        before[real] = cumulative[real, t]
    return found


def token_classes(y: Target) -> Classes:
    """Y as classes that token-level critics can learn; asked before anything is captured.

    Answers in tokens are classes by their distinct values.

    Raises:
        InputError: for a Y that is no classes, has too few rows a class or too many
            classes.
    """
    target = as_target(y)
    if isinstance(target, TokenSequences):
        _, index = np.unique(target.ids, axis=0, return_inverse=True)
        target = as_target(index.reshape(-1))
    if not isinstance(target, Classes):
        raise InputError(
            "y must be classes for token-level information, or answers in tokens; got "
            "numbers. Cut scores into classes."
        )
    if target.n_classes > _MOST_CLASSES:
        raise InputError(
            f"y must have at most {_MOST_CLASSES} classes for token-level information; got "
            f"{target.n_classes}. Pool rare classes into one, or join classes to groups."
        )
    if target.counts.min() < FEWEST_A_CLASS:
        raise InputError(
            f"y must have at least {FEWEST_A_CLASS} rows a class for token-level "
            f"information, two a fold; the smallest of {target.n_classes} has "
            f"{int(target.counts.min())}. Pool rare classes, or take more rows."
        )
    return target


def token_information(
    z: HiddenStates,
    y: Target,
    *,
    readers: Sequence[Reader] = ("prefix", "alone"),
    groups: Groups | None = None,
    seed: int = 0,
) -> dict[Reader, TokenInformation]:
    """Cross-fit the critics and score every position of Z.

    Args:
        z: states; only positions in the mask are read.
        y: int classes (n,), or answers in tokens, whose distinct values are the classes.
        readers: ``prefix`` for q(y|z_<=t), ``alone`` for q(y|z_t).
        groups: which rows depend on one another; see `Estimator.estimate`. By default the
            copies that are found among the rows.
        seed: of folds and networks.

    Raises:
        InputError: as `token_classes`, or for states that `as_states` refuses.
    """
    target = token_classes(y)
    states = as_states(z, len(target))
    if not isinstance(states, HiddenStates):
        raise InputError("z must be HiddenStates, with all its tokens; got vectors.")
    if isinstance(groups, Blocks):
        raise InputError(
            "groups must be one value a row for token-level information, which keeps every "
            "row; got Blocks. Number the blocks: np.arange(n) * count // n."
        )
    _, _, split = split_rows(states, target, groups, seed=seed, n_folds=_FOLDS)
    rows = Rows(target, split)
    tokens = packed_tokens(states)
    sums = prefix_sums(tokens, target.index, split.fold, target.n_classes)
    inputs = Inputs(
        token_coordinates(states).values,
        supervised_inputs(tokens, sums["token"], rows),
        tokens.lengths,
    )
    linear: dict[str, Scored] = {}
    template = template_member(tokens, rows)
    found: dict[Reader, TokenInformation] = {}
    for reader in readers:
        blocks = BLOCKS if reader == "prefix" else BLOCKS[:1]
        for block in blocks:
            if block not in linear:
                linear[block] = linear_member(tokens, sums[block], block, rows)
        members = {f"linear {block}": linear[block] for block in blocks}
        if template is not None:
            members["linear template"] = template
        members["network"] = network_member(inputs, rows, alone=reader == "alone")
        found[reader] = _assembled(reader, tokens, rows, members)
    return found


def _assembled(
    reader: Reader, tokens: PackedTokens, rows: Rows, members: dict[str, Scored]
) -> TokenInformation:
    n, t = len(tokens), tokens.order.shape[1]
    c = rows.target.n_classes
    log_q = np.zeros((n, t, c))
    log_prior = np.zeros((n, c))
    history: list[dict[str, object]] = []
    for k in range(rows.split.n_folds):
        own = rows.split.fold == k
        prior = rows.log_prior([k])
        stack = fit_stack(list(members.values()), tokens, rows, k)
        log_q[own] = stack([m.held_out[own] for m in members.values()])
        log_prior[own] = prior
        history.append(
            {
                "powers": {
                    name: [round(float(p), 4) for p in power]
                    for name, power in zip(members, stack.powers, strict=True)
                },
                "chosen": {name: m.chosen[k] for name, m in members.items()},
                "prior_share": 1 - stack.share,
            }
        )
    full = np.full((n, tokens.z.shape[1], c), np.nan)
    row, place = np.nonzero(tokens.mask.numpy())
    full[row, tokens.order.numpy()[row, place]] = log_q[row, place]
    return TokenInformation(
        reader=reader,
        log_posterior=full,
        log_prior=log_prior,
        mask=tokens.z.mask.cpu().numpy(),
        y=rows.target.index,
        split=rows.split,
        history=tuple(history),
    )
