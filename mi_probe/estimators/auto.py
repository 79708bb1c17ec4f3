"""The recommended estimator: what Y and X are decides which parts it is made of."""

from dataclasses import dataclass, replace

from mi_probe.estimators.admission import admitted
from mi_probe.estimators.base import Estimate, Nature, States, Target
from mi_probe.estimators.targets import Classes
from mi_probe.estimators.variational import Variational


@dataclass(frozen=True, kw_only=True)
class Auto:
    """I(Y;X) by the estimator that is recommended for this kind of X and Y."""

    name: str = "auto"
    n_folds: int = 5
    extrapolate: bool = True
    """Also fit the learning curve, `Estimate.extrapolated`."""
    device: str = "cpu"

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        return Nature(
            family="recommended",
            bound="lower bound",
            takes=frozenset({"classes", "scores"}),
            sequences=True,
            ceiling="H(Y)",
            summary="cross-validated stack of both families",
            reference="",
        )

    def estimate(self, x: States, y: Target, *, seed: int = 0) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for what `admitted` refuses.
        """
        _, target = admitted(self, x, y)
        classes = isinstance(target, Classes)
        part = Variational(
            name=self.name,
            objective="cross_entropy" if classes else "mine",
            bound="barber_agakov" if classes else "donsker_varadhan",
            start=("linear", "quadratic", "logistic"),
            n_folds=self.n_folds,
            device=self.device,
        )
        return replace(part.estimate(x, y, seed=seed), estimator=self)
