"""A stack of some of `auto`'s members, of X or of each pooling of Z: quick, no more."""

from dataclasses import dataclass

from mi_probe.errors import InputError, check_known
from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import Estimate, Nature, States
from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import Classes, Target
from mi_probe.estimators.engine.auto import cross_fits
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.engine.stack import fold_stacks
from mi_probe.estimators.mine.cross_fit import MANY


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
