"""The rows of the engine: probes and generative models, by name."""

from functools import partial

from mi_probe.estimators.engine.posterior import Posterior
from mi_probe.estimators.models.classifiers import Boosting, RandomForest, Svm
from mi_probe.estimators.models.diffusion import ClassDiffusion, ScoreDiffusion
from mi_probe.estimators.models.flow import ClassFlow, ScoreFlow
from mi_probe.estimators.models.gaussian_classes import (
    NaiveBayes,
    OwnCovariances,
    SharedCovariance,
)
from mi_probe.estimators.models.linear import GaussianRidge, Logistic
from mi_probe.estimators.models.mixtures import GaussianMixtures
from mi_probe.estimators.models.networks import Attention, Mlp
from mi_probe.estimators.models.vae import Vae

_USABLE = "Xu et al. 2020, arXiv 2002.10689"

_probe = partial(Posterior, family="discriminative")
_density = partial(Posterior, family="generative")
# The watched rows stop a training, and a second one would cost as much again.
_trained_probe, _trained_density = (
    partial(kind, watched_share=0.25, refit=False) for kind in (_probe, _density)
)

PROBES = (
    _probe(
        name="linear",
        summary="logistic regression; ridge regression with Gaussian errors for scores",
        reference=_USABLE,
        classes=Logistic(),
        scores=GaussianRidge(),
        extrapolate=True,
    ),
    _probe(
        name="svm",
        summary="support vector machine, linear or Gaussian kernel, calibrated",
        reference="Platt 1999; Williams and Seeger 2000",
        classes=Svm(),
        calibration="platt",
    ),
    _probe(
        name="random_forest",
        summary="random forest, calibrated",
        reference="Breiman 2001, doi 10.1023/A:1010933404324",
        classes=RandomForest(),
    ),
    _probe(
        name="boosting",
        summary="histogram gradient boosting, rounds chosen on other rows",
        reference="Friedman 2001, doi 10.1214/aos/1013203451",
        classes=Boosting(),
    ),
    _trained_probe(
        name="mlp",
        summary="network of two hidden layers, stopped on other rows",
        reference="Pimentel et al. 2020, arXiv 2004.03061",
        classes=Mlp(),
    ),
    _trained_probe(
        name="attention",
        summary="self-attention over all tokens and their places, stopped on other rows",
        reference="Vaswani et al. 2017, arXiv 1706.03762",
        classes=Attention(),
        sequences=True,
    ),
)
"""Models of q(y|x)."""

GENERATIVE = (
    _density(
        name="naive_bayes",
        summary="Gaussian columns, independent given the class",
        reference="Hand and Yu 2001, doi 10.2307/1403452",
        classes=NaiveBayes(),
        extrapolate=True,
    ),
    _density(
        name="lda",
        summary="Gaussian classes with one shrunk covariance",
        reference="Friedman 1989, doi 10.1080/01621459.1989.10478752",
        classes=SharedCovariance(),
        extrapolate=True,
    ),
    _density(
        name="qda",
        summary="Gaussian classes with shrunk covariances of their own",
        reference="Friedman 1989, doi 10.1080/01621459.1989.10478752",
        classes=OwnCovariances(),
        extrapolate=True,
    ),
    _density(
        name="gmm",
        summary="a Gaussian mixture a class, components chosen on other rows",
        reference="Hastie and Tibshirani 1996, doi 10.1111/j.2517-6161.1996.tb02073.x",
        classes=GaussianMixtures(),
    ),
    _trained_density(
        name="flow",
        summary="spline flow of x given the class; of y given x for scores",
        reference="Durkan et al. 2019, arXiv 1906.04032; McAllester and Stratos 2020",
        classes=ClassFlow(),
        scores=ScoreFlow(),
    ),
    _trained_density(
        name="vae",
        summary="autoencoder of x given the class, importance-weighted",
        reference="Kingma and Welling 2014, arXiv 1312.6114",
        classes=Vae(),
    ),
    _trained_density(
        name="diffusion",
        summary="denoiser of x given the class; of y given x for scores (neither bound)",
        reference="Franzese et al. 2024, arXiv 2310.09031",
        classes=ClassDiffusion(),
        scores=ScoreDiffusion(),
        one_column="neither",
    ),
)
"""Models of p(x|y)."""
