"""What every estimator takes, and the one record that it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.core.split import Groups, Split
from mi_probe.estimators.core.targets import Target
from mi_probe.facts import amount, facts_html, fixed
from mi_probe.hidden import HiddenStates

Status: TypeAlias = Literal[
    "ok",
    "above_ceiling",
    "diverged",
    "not_converged",
    "too_few_rows",
    "dependent_rows",
    "saturated",
]
States: TypeAlias = np.ndarray | Tensor | HiddenStates
BoundKind: TypeAlias = Literal["lower bound", "upper bound", "neither"]
YKind: TypeAlias = Literal["classes", "scores", "tokens"]
Claim: TypeAlias = Literal["at_least", "two_sided"]
"""What a value at n -> infinity says of I(Y;X): no less than, or as much as."""
Family: TypeAlias = Literal[
    "discriminative", "generative", "non-parametric", "closed form", "recommended"
]


@dataclass(frozen=True, kw_only=True)
class Nature:
    """What an estimator is and what it takes: the row that documents and guards it."""

    family: Family
    bound: BoundKind
    """What ``nats`` is of I(Y;X), in expectation."""
    takes: frozenset[YKind]
    """The kinds of Y; others are refused with an error."""
    sequences: bool
    """Whether X may be `HiddenStates`; else it must be pooled to (n, d) first."""
    hints: bool = False
    """Whether ``estimate`` takes ``hints``, the history of a like X's estimate."""
    ceiling: str
    """The largest value that it can report, in words: ``H(Y)``, ``log n``, ``none``."""
    summary: str
    """What it does, in a few words for a table."""
    reference: str
    """The paper: authors, year and arXiv id or DOI."""


@dataclass(frozen=True, kw_only=True)
class Extrapolation:
    """What the critics that won here would come to with endless rows, in nats.

    The same held-out rows are scored by critics that saw a quarter, a half and all of
    the training rows; where the loss of learning falls like 1/n the curve gives the value
    that endless rows would reach. Where theory knows that loss, it is the theory's: of
    linear discriminants for classes, of canonical correlations for scores.

    Critics that need more rows than these to find anything may add to it, so it is *at
    least*, unless a law of the data is assumed and all rows were tested for departures
    from that law. "Nothing was found" is never "there is nothing".

    Examples:
        >>> from mi_probe import mutual_information
        >>> from mi_probe.synthetic import class_gaussians
        >>> known = class_gaussians(n=400, d=4, n_classes=2, separation=2.0)
        >>> found = mutual_information(known.x, known.y).extrapolated
        >>> found.claim, found.ci[0] < known.nats < found.ci[1]
        ('...', True)
    """

    nats: float
    """The value that is reached; never above H(Y)."""
    ci: tuple[float, float]
    """95 % interval for I(Y;X); its upper end is infinite where ``claim`` is at_least."""
    claim: Claim
    """Whether I(Y;X) is at least ``ci[0]``, or lies in ``ci`` if ``assumes`` holds."""
    assumes: str = ""
    """Law of the data that a two-sided claim assumes; empty for at_least."""
    reason: str
    """Why no more is claimed; empty for a two-sided claim."""
    curve: tuple[tuple[int, float], ...]
    """Training rows and the held-out value that they reached, in nats."""
    method: str = "learning curve"
    """What the value is by."""

    @property
    def words(self) -> str:
        """The claim as it is read: ``at least 0.312 nats``, or a value and its interval."""
        if self.claim == "at_least":
            return f"at least {amount(self.ci[0])}"
        return f"{amount(self.nats, self.ci)}, if {self.assumes}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Estimate:
    """One estimate of I(Y;X), in nats, with its spread and how it was made.

    ``float(estimate)`` is ``nats``. Values are never clipped: a negative one is noise
    around 0, one above H(Y) is a failure and has the status ``above_ceiling``. One at the
    most that so many rows can show (Y a function of X, real numbers both: I(Y;X) is
    infinite) has the status ``saturated``. Rows that seem to depend on one another, though
    no groups were named, have the status ``dependent_rows``: `notes` says why.

    Examples:
        >>> from mi_probe import mutual_information
        >>> from mi_probe.synthetic import class_gaussians
        >>> known = class_gaussians(n=400, d=4, n_classes=2, separation=2.0)
        >>> found = mutual_information(known.x, known.y, estimator="lda")
        >>> found
        Estimate(0.1... nats [0.0..., 0.1...], H(Y) 0.693, lower bound, ok; lda, 400 rows)
        >>> found.ci[0] < known.nats < found.ci[1], len(found.pointwise)
        (True, 400)
    """

    nats: float
    """The held-out value: every row was scored by a critic that never saw it."""
    stderr: float
    """Standard error over examples and critics, in nats."""
    ci: tuple[float, float]
    """95 % interval for the quantity that ``nats`` estimates (see ``bound``)."""
    pointwise: Float[np.ndarray, " n"]
    """i(y; x) of each example, in nats; their mean is ``nats``."""
    entropy_y: float | None
    """H(Y) of the empirical classes, in nats, the ceiling; None for continuous Y."""
    status: Status
    bound: BoundKind
    """What ``nats`` is of I(Y;X); the interval is about the bound."""
    estimator: "Estimator"
    """The settings that made it."""
    seed: int
    extrapolated: Extrapolation | None = None
    """What endless rows would give, never to be mixed up with the bound ``nats``."""
    history: tuple[dict[str, Any], ...] = ()
    """One record a fold: sizes, chosen settings, training curves."""
    gold_leak: bool = False
    """X held states of gold answer tokens, knowingly: I(Y;X) = H(Y) says nothing."""
    null: tuple[float, ...] = ()
    """The statistic of ``p_value`` with Y permuted."""
    statistic: float | None = None
    """What ``null`` is compared with, where that is not ``nats``: a cheaper statistic of
    dependence, no estimate of I(Y;X)."""
    p_statistic: str = "estimate"
    """Name of the statistic behind ``p_value``; ``estimate`` where it is ``nats``."""
    influence: Float[np.ndarray, " n"] | None = None
    """Of each example on ``nats``, where ``pointwise`` are not independent terms; None
    where they are."""
    split: Split | None = None
    """Folds of the rows, and the groups that count once in ``stderr``."""
    log_posterior: Float[np.ndarray, "n c"] | None = None
    """Held-out log q(y|x) of every class, normalised: ``pointwise`` is its value at the
    example's own class minus log p(y). None where the estimator has no posterior."""

    inner: Float[np.ndarray, "k n c"] | None = None
    """The log q(y|x) of all rows by held-out fold: rows outside it by critics that saw
    neither it nor their own fold, its own rows held out. What is weighed or learned on top
    of this critic is then fitted on rows that no critic knew. None where not kept."""

    y_digest: str | None = None
    """What is equal for estimates of the same Y of the same rows; None where not known."""

    def __float__(self) -> float:
        return self.nats

    def __repr__(self) -> str:
        most = "" if self.entropy_y is None else f", H(Y) {fixed(self.entropy_y)}"
        p = "" if self.p_value is None else f", p = {self.p_value:.3g}"
        by = f"{self.estimator.name}, {len(self.pointwise):,} rows"
        said = f"{amount(self.nats, self.ci)}{most}, {self.bound}{p}"
        return f"Estimate({said}, {self.status}; {by})"

    @property
    def fold(self) -> Int[np.ndarray, " n"] | None:
        """Number of the fold in which each example was held out."""
        return None if self.split is None else self.split.fold

    @property
    def group(self) -> Int[np.ndarray, " n"] | None:
        """Number of each example's group; None where every example is its own."""
        return None if self.split is None else self.split.group

    @property
    def notes(self) -> tuple[str, ...]:
        """What these rows show that the reader should know, a sentence each."""
        return () if self.split is None else tuple(s.words for s in self.split.signs)

    @property
    def bits(self) -> float:
        """The estimate in bits, for display."""
        return self.nats / float(np.log(2))

    @property
    def critic(self) -> str:
        """What scored the held-out rows: how often the network beat its start."""
        kept = [fold["residual_kept"] for fold in self.history if "residual_kept" in fold]
        return f"network kept in {sum(kept)} of {len(kept)} folds" if kept else ""

    @property
    def null_mean(self) -> float | None:
        """Mean of the estimate with Y permuted, in nats; None where that was not made.

        A cheaper statistic is no value to hold an estimate against.
        """
        return float(np.mean(self.null)) if self._has_own_null else None

    @property
    def null_high(self) -> float | None:
        """95th percentile of the estimate with Y permuted, in nats; None as `null_mean`.

        Below 20 permutations it is their maximum.
        """
        if not self._has_own_null:
            return None
        return float(np.quantile(self.null, 0.95, method="higher"))

    @property
    def _has_own_null(self) -> bool:
        return bool(self.null) and self.statistic is None

    @property
    def p_value(self) -> float | None:
        """(1 + #{null > value} + ties before it) / (1 + #null), ties in random order.

        The value is ``statistic``, or ``nats`` where there is none. The order of ties is
        drawn from the seed, so that a statistic that is often the same (exactly 0, where a
        stack finds nothing) still rejects as often as it says.
        """
        if not self.null:
            return None
        value = self.nats if self.statistic is None else self.statistic
        above = sum(other > value for other in self.null)
        ties = sum(other == value for other in self.null)
        rng = np.random.default_rng([self.seed, 2])
        before = int(rng.integers(ties + 1))
        return (1 + above + before) / (1 + len(self.null))

    def _repr_html_(self) -> str:
        bound = "neither bound" if self.bound == "neither" else self.bound
        facts = [("Estimate", f"{amount(self.nats, self.ci)}, held-out {bound}")]
        if self.extrapolated is not None:
            facts.append(("With endless rows", self.extrapolated.words))
        if self.entropy_y is None:
            facts.append(("H(Y)", "none: Y is not discrete"))
        else:
            share = 100 * self.nats / self.entropy_y if self.entropy_y > 0 else 0.0
            facts.append(("H(Y)", f"{amount(self.entropy_y)}, of which {share:.0f} %"))
        if self.null_mean is not None and self.null_high is not None:
            words = f"{amount(self.null_mean)} on average, high {amount(self.null_high)}"
            facts.append(("Y permuted", f"{words}, p = {self.p_value:.3g}"))
        elif self.p_value is not None:
            words = f"p = {self.p_value:.3g}, by {self.p_statistic}"
            facts.append(("Y permuted", words))
        facts += [
            ("Status", self.status.replace("_", " ")),
            ("Rows, seed", f"{len(self.pointwise):,}, {self.seed}"),
        ]
        facts += [("Note", note) for note in self.notes]
        leak = "X held gold answer tokens: I(Y;X) = H(Y) says nothing."
        title = f"I(Y;X) by {self.estimator.name}"
        return facts_html(title, facts, leak if self.gold_leak else "")

    def with_null(
        self,
        null: Sequence[float],
        *,
        statistic: float | None = None,
        name: str = "estimate",
    ) -> "Estimate":
        """The same estimate with a permutation null, and what it is compared with."""
        return replace(self, null=tuple(null), statistic=statistic, p_statistic=name)


@runtime_checkable
class Estimator(Protocol):
    """Anything that estimates I(Y;X); a frozen dataclass whose fields are settings."""

    @property
    def name(self) -> str:
        """What `ESTIMATORS` and result rows call it."""
        ...

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        ...

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X) in nats.

        Args:
            x: float array or tensor (n, d), or `HiddenStates`.
            y: int classes (n,), floats (n,) or (n, k), or answers in tokens: a list of
                ids each, int (n, m) with -1 behind the end, or `TokenSequences`.
            groups: which rows depend on one another (one document, speaker, question): an
                int or a text a row, or `Blocks` of ordered rows. Whole groups are held out
                together, and each counts once in the standard error. By default the copies
                that are found among the rows.
            seed: of the folds, the critics and everything else that is drawn.
        """
        ...
