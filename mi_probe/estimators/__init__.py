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

from mi_probe.estimators.admission import FEWEST_ROWS
from mi_probe.estimators.auto import Auto
from mi_probe.estimators.base import Estimate, Estimator, Extrapolation, Nature
from mi_probe.estimators.null import with_null
from mi_probe.estimators.tokens import TokenSequences
from mi_probe.estimators.training import Schedule
from mi_probe.estimators.variational import Variational

ESTIMATORS: dict[str, Estimator] = {
    "auto": Auto(),
    "mine": Variational(
        name="mine",
        summary="Donsker-Varadhan, gradient corrected by a moving average; starts from "
        "Gaussian discriminants",
        reference="Belghazi et al. 2018, arXiv 1801.04062",
        objective="mine",
        bound="donsker_varadhan",
    ),
    "classifier": Variational(
        name="classifier",
        summary="H(Y) - cross-entropy; starts from these and a logistic regression",
        reference="Barber and Agakov 2003",
        objective="cross_entropy",
        bound="barber_agakov",
        continuous=False,
        start=("linear", "quadratic", "logistic"),
    ),
}

__all__ = [
    "ESTIMATORS",
    "FEWEST_ROWS",
    "Auto",
    "Estimate",
    "Estimator",
    "Extrapolation",
    "Nature",
    "Schedule",
    "TokenSequences",
    "Variational",
    "with_null",
]
