"""Estimators of I(Y;X), by the name that the command line knows them by.

=============  =======================================  =====================  ===========
name           what it is                               Y                      ceiling
=============  =======================================  =====================  ===========
`mine`         lower bound: Donsker-Varadhan, gradient  classes, real numbers  H(Y)
               corrected by a moving average
`classifier`   lower bound: H(Y) - CE (Barber-Agakov)   classes                H(Y)
=============  =======================================  =====================  ===========

Both score every row by a critic that never saw it, and start from the same closed form,
so they check each other's *training*, not their common start.
"""

from mi_probe.estimators.base import Estimate, Estimator
from mi_probe.estimators.null import with_null
from mi_probe.estimators.training import Schedule
from mi_probe.estimators.variational import Variational

ESTIMATORS: dict[str, Estimator] = {
    "mine": Variational(name="mine", objective="mine", bound="donsker_varadhan"),
    "classifier": Variational(
        name="classifier",
        objective="cross_entropy",
        bound="barber_agakov",
        continuous=False,
    ),
}

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "Schedule", "Variational", "with_null"]
