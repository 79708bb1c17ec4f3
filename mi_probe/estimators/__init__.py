"""Estimators of I(Y;X), by the name that the command line knows them by.

==============  ========================================  =====================  =========
name            what it is                                Y                      ceiling
==============  ========================================  =====================  =========
``mine``        lower bound: Donsker-Varadhan, gradient   classes, real numbers  H(Y)
                corrected by a moving average; starts
                from Gaussian discriminants
``classifier``  lower bound: H(Y) - CE (Barber-Agakov);   classes                H(Y)
                starts from these and a logistic
                regression
==============  ========================================  =====================  =========

Both score every row by a critic that never saw it. They share the discriminants they start
from, so they check each other's training and the logistic fit, not that common part. A
critic that shares nothing with it is `Variational(..., start=())`: the network alone, from
zero, as in papers; it is far lower where rows are few and dimensions many.
"""

from mi_probe.estimators.base import Estimate, Estimator
from mi_probe.estimators.null import with_null
from mi_probe.estimators.training import Schedule
from mi_probe.estimators.variational import FEWEST_ROWS, Variational

ESTIMATORS: dict[str, Estimator] = {
    "mine": Variational(name="mine", objective="mine", bound="donsker_varadhan"),
    "classifier": Variational(
        name="classifier",
        objective="cross_entropy",
        bound="barber_agakov",
        continuous=False,
        start=("linear", "quadratic", "logistic"),
    ),
}

__all__ = [
    "ESTIMATORS",
    "FEWEST_ROWS",
    "Estimate",
    "Estimator",
    "Schedule",
    "Variational",
    "with_null",
]
