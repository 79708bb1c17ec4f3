"""Estimators of I(Y;X), by the name that the command line knows them by.

==============  ========================================  =====================  =========
name            what it is                                Y                      ceiling
==============  ========================================  =====================  =========
``mine``        lower bound: Donsker-Varadhan, gradient   classes, real numbers  H(Y)
                corrected by a moving average; starts
                from Gaussian discriminants
``mine_f``      lower bound: E[T] + 1 - E[exp T] of    classes, real numbers  H(Y)
                the critic as trained (MINE-f)
``nwj``         the same, after normalising the critic  classes, real numbers  H(Y)
``infonce``     lower bound: own Y among the others'    classes, real numbers  H(Y), else
                                                                               log(n/folds)
``smile``       neither: clipped Donsker-Varadhan of a  classes, real numbers  none
                Jensen-Shannon critic
``js``          lower bound: MINE-f's value of a        classes, real numbers  H(Y)
                Jensen-Shannon critic
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
    "mine_f": Variational(
        name="mine_f",
        summary="f-divergence form E[T] - E[exp(T - 1)] of the critic as it was trained",
        reference="Belghazi et al. 2018, arXiv 1801.04062; Nguyen et al. 2010",
        objective="nwj",
        bound="nwj_plain",
    ),
    "nwj": Variational(
        name="nwj",
        summary="the same form, the critic's own normaliser as its baseline",
        reference="Nguyen et al. 2010; Poole et al. 2019, arXiv 1905.06922",
        objective="nwj",
        bound="nwj",
    ),
    "infonce": Variational(
        name="infonce",
        summary="own Y among the others' (all classes where Y is discrete)",
        reference="van den Oord et al. 2018, arXiv 1807.03748",
        objective="info_nce",
        bound="info_nce",
    ),
    "smile": Variational(
        name="smile",
        summary="Jensen-Shannon trained; Donsker-Varadhan with a clipped second term",
        reference="Song and Ermon 2020, arXiv 1910.06222",
        objective="jensen_shannon",
        bound="smile",
    ),
    "js": Variational(
        name="js",
        summary="Jensen-Shannon trained; valued by E[T] + 1 - E[exp T] (NWJ)",
        reference="Hjelm et al. 2019, arXiv 1808.06670; Poole et al. 2019",
        objective="jensen_shannon",
        bound="nwj_plain",
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
