"""The recommended estimator, and a stack of some of its members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mi_probe.errors import InputError, check_known
from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import Estimate, Nature, States
from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import (
    Classes,
    Scores,
    Target,
    as_codes,
    as_target,
)
from mi_probe.estimators.engine.auto import cross_fits, vector_estimate
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.engine.permutation import permuted_gains
from mi_probe.estimators.engine.stack import fold_stacks
from mi_probe.estimators.mine.cross_fit import MANY
from mi_probe.estimators.sequences.sequence_estimate import sequence_estimate
from mi_probe.estimators.starts.started import Started
from mi_probe.estimators.starts.vector_scores import estimate_scores


@dataclass(frozen=True, kw_only=True, repr=False)
class Auto(Parameters):
    """I(Y;X) by the estimator that is recommended for this kind of X and Y."""

    name: str = "auto"
    n_folds: int = 5
    extrapolate: bool = True
    """Also fit the learning curve, `Estimate.extrapolated`."""
    device: str = "cpu"
    """Where networks are trained."""

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        return Nature(
            family="recommended",
            bound="lower bound",
            takes=frozenset({"classes", "scores", "tokens"}),
            sequences=True,
            hints=True,
            ceiling="H(Y)",
            summary="cross-validated stack of both families; of scores a copula with "
            "networks, or neighbours or its own densities (then neither bound)",
            reference="",
        )

    def estimate(
        self,
        x: States,
        y: Target,
        *,
        groups: Groups | None = None,
        seed: int = 0,
        hints: Sequence[Mapping[str, Any]] | None = None,
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Args:
            x: float array or tensor (n, d), or `HiddenStates`.
            y: int classes (n,), floats (n,) or (n, k), or answers in tokens: lists of ids.
            groups: which rows depend on one another; see `Estimator.estimate`.
            seed: of everything that is drawn.
            hints: `Estimate.history` of a like X with the same Y and seed, such as the
                layer before: only what it used, and what lies beside that, is tried.

        Raises:
            InputError: for what `admitted` refuses.
        """
        given = as_target(y)
        codes = as_codes(given)
        if codes is not None:
            found = self.estimate(x, codes, groups=groups, seed=seed, hints=hints)
            few = (
                "few different values" if isinstance(given, Scores) else "distinct answers"
            )
            told = {"route": f"{few} as classes"}
            return replace(found, history=tuple(told | fold for fold in found.history))
        states, target, split = admitted(
            self, x, y, groups=groups, seed=seed, n_folds=self.n_folds
        )
        classes = isinstance(target, Classes)
        if isinstance(target, Classes) and target.n_classes <= MANY:
            settings: dict[str, Any] = {
                "device": self.device,
                "extrapolate": self.extrapolate,
                "hints": hints,
            }
            if isinstance(states, np.ndarray):
                return vector_estimate(self, states, target, split, **settings)
            return sequence_estimate(self, states, target, split, **settings)
        part = Started(
            name=self.name,
            # An own Y among others' is the least noisy gradient of a pair's critic.
            objective="cross_entropy" if classes else "info_nce",
            bound="barber_agakov" if classes else "donsker_varadhan",
            n_folds=self.n_folds,
            extrapolate=self.extrapolate,
            device=self.device,
        )
        if isinstance(target, Scores) and isinstance(states, np.ndarray):
            part = replace(part, bound="info_nce", kinds=("smooth",))
            found = estimate_scores(part, self, states, target, split)
            return found if self.extrapolate else replace(found, extrapolated=None)
        return replace(part.of_admitted(states, target, split), estimator=self)

    @property
    def p_statistic(self) -> str:
        """What `permuted` makes."""
        return "kernel dependence"

    def permuted(
        self, x: States, y: Target, orders: Int[np.ndarray, "p n"], seed: int
    ) -> Float[np.ndarray, " p"] | None:
        """`permuted_gains` of a few classes and vectors, in nats; None for other X or Y."""
        states, target, _ = admitted(
            self, x, y, groups=None, seed=seed, n_folds=self.n_folds
        )
        if not isinstance(states, np.ndarray) or not isinstance(target, Classes):
            return None
        if target.n_classes > MANY:
            return None
        rng = np.random.default_rng(np.random.SeedSequence([seed, 3]))
        return permuted_gains(states, target, orders, rng)


@dataclass(frozen=True, kw_only=True, repr=False)
class MemberStack(Parameters):
    """I(Y;X) of few classes by named members of `auto`'s stack and no others.

    Not to be trusted as the value where they are too plain for X: it is the lower bound of
    a known capacity (`analysis.ladders`). Of a sequence it reads the poolings alone.
    """

    name: str
    members: tuple[str, ...]
    """Members, rows of `MEMBERS`."""
    n_folds: int = 5
    device: str = "cpu"
    """Device of members that are networks."""

    def __post_init__(self) -> None:
        """Refuse what names no member.

        Raises:
            InputError: for no member, or one that is unknown.
        """
        check_known("members", tuple(self.members) or ("none",), MEMBERS)

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        return Nature(
            family="recommended",
            bound="lower bound",
            takes=frozenset({"classes"}),
            sequences=True,
            ceiling="H(Y)",
            summary=f"stack of {', '.join(self.members)}",
            reference="",
        )

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for more than 64 classes, and for what `admitted` refuses.
        """
        states, target, split = admitted(
            self, x, y, groups=groups, seed=seed, n_folds=self.n_folds
        )
        assert isinstance(target, Classes)
        if target.n_classes > MANY:
            raise InputError(
                f"y must have at most {MANY} classes for '{self.name}', whose members fit "
                f"each class; got {target.n_classes}. Use 'auto'."
            )
        fits = {
            name if view == "x" else f"{name}, {view}": fit
            for name, values in views_of(states).items()
            for view, fit in cross_fits(values, target, split, self.device).items()
        }
        # A hint is all that is tried: every place of these members' paths.
        hint = {
            f"{view}:{member}": range(len(path))
            for view, fit in fits.items()
            for member, path in fit.members.items()
            if member in self.members
        }
        found = fold_stacks(fits, target, split, hints=[hint] * split.n_folds)
        return assembled(
            self,
            states,
            target,
            split,
            pointwise=found.terms,
            history=found.records,
            log_posterior=found.log_posterior,
        )
