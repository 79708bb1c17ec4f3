"""The rows of the engine: probes and generative models, by name."""

from mi_probe.estimators.generative.gaussian_classes import (
    NaiveBayes,
    OwnCovariances,
    SharedCovariance,
)
from mi_probe.estimators.posterior import Posterior
from mi_probe.estimators.probes.linear import GaussianRidge, Logistic
from mi_probe.estimators.probes.svm import Svm
from mi_probe.estimators.probes.trees import Boosting, RandomForest

_USABLE = "Xu et al. 2020, arXiv 2002.10689"

PROBES = (
    Posterior(
        name="linear",
        family="discriminative",
        summary="logistic regression; ridge regression with Gaussian errors for scores",
        reference=_USABLE,
        classes=Logistic(),
        scores=GaussianRidge(),
        extrapolate=True,
    ),
    Posterior(
        name="svm",
        family="discriminative",
        summary="support vector machine, linear or Gaussian kernel, calibrated",
        reference="Platt 1999; Williams and Seeger 2000",
        classes=Svm(),
        calibration="platt",
    ),
    Posterior(
        name="random_forest",
        family="discriminative",
        summary="random forest, calibrated",
        reference="Breiman 2001, doi 10.1023/A:1010933404324",
        classes=RandomForest(),
    ),
    Posterior(
        name="boosting",
        family="discriminative",
        summary="histogram gradient boosting, rounds chosen on other rows",
        reference="Friedman 2001, doi 10.1214/aos/1013203451",
        classes=Boosting(),
    ),
)
"""Models of q(y|x)."""

GENERATIVE = (
    Posterior(
        name="naive_bayes",
        family="generative",
        summary="Gaussian columns, independent given the class",
        reference="Hand and Yu 2001, doi 10.2307/1403452",
        classes=NaiveBayes(),
        extrapolate=True,
    ),
    Posterior(
        name="lda",
        family="generative",
        summary="Gaussian classes with one shrunk covariance",
        reference="Friedman 1989, doi 10.1080/01621459.1989.10478752",
        classes=SharedCovariance(),
        extrapolate=True,
    ),
    Posterior(
        name="qda",
        family="generative",
        summary="Gaussian classes with shrunk covariances of their own",
        reference="Friedman 1989, doi 10.1080/01621459.1989.10478752",
        classes=OwnCovariances(),
        extrapolate=True,
    ),
)
"""Models of p(x|y)."""
