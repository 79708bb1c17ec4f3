"""A stack of some of `auto`'s members, of X or of each pooling of Z: quick, no more."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax

from mi_probe.errors import InputError, check_known
from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import Estimate, Nature, States
from mi_probe.estimators.core.learning_curve import extrapolation
from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import TOP, Groups, Split
from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import Classes, Target
from mi_probe.estimators.engine.auto import cross_fits
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.engine.stack import Chosen, held_out_terms, stacked
from mi_probe.estimators.mine.cross_fit import MANY
from mi_probe.hidden import HiddenStates


@dataclass(frozen=True, kw_only=True, repr=False)
class MemberStack(Parameters):
    """I(Y;X) of few classes by named members of `auto`'s stack and no others.

    Not to be trusted as the value where they are too plain for X: it is the lower bound of
    a known capacity (`analysis.capacity`). Of a sequence it reads the poolings alone.
    """

    name: str
    members: tuple[str, ...]
    """Members, rows of `MEMBERS`."""
    n_folds: int = 5
    extrapolate: bool = True
    """Also fit the learning curve, `Estimate.extrapolated`."""
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
        curve: dict[int, np.ndarray] = {}
        ratios, found = np.empty((len(split), target.n_classes)), list[Chosen]()
        curved = self.extrapolate and split.has_curve
        for level in range(TOP + 1) if curved else [TOP]:
            found = list(self._stacks(states, target, split, level))
            for k, chosen in enumerate(found):
                ratios[split.held_out(k)] = chosen.test
            learned = split.n_learned(level)
            curve[learned] = held_out_terms(ratios, target.index, target.log_prior)
        return assembled(
            self,
            states,
            target,
            split,
            pointwise=curve[max(curve)],
            extrapolated=extrapolation(curve, split) if curved else None,
            history=[chosen.record for chosen in found],
            log_posterior=log_softmax(ratios + target.log_prior, axis=1),
        )

    def _stacks(
        self,
        x: Float[np.ndarray, "n d"] | HiddenStates,
        target: Classes,
        split: Split,
        level: int,
    ) -> Iterator[Chosen]:
        """The stack of each held-out fold in turn."""
        fits = {
            name if view == "x" else f"{name}, {view}": fit
            for name, values in views_of(x).items()
            for view, fit in cross_fits(values, target, split, self.device).items()
        }
        # A hint is all that is tried: every place of these members' paths.
        hint = {
            f"{view}:{member}": range(len(path))
            for view, fit in fits.items()
            for member, path in fit.members.items()
            if member in self.members
        }
        for k in range(split.n_folds):
            yield stacked(fits, target, split, level, k, [hint] * split.n_folds)
