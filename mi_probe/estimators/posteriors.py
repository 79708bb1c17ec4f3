"""The rows of the engine: probes and generative models, by name."""

from mi_probe.estimators.conditional.posterior import Posterior
from mi_probe.estimators.generative.diffusion import ClassDiffusion, ScoreDiffusion
from mi_probe.estimators.generative.flow import ClassFlow, ScoreFlow
from mi_probe.estimators.generative.gaussian_classes import (
    NaiveBayes,
    OwnCovariances,
    SharedCovariance,
)
from mi_probe.estimators.generative.gmm import GaussianMixtures
from mi_probe.estimators.generative.vae import Vae
from mi_probe.estimators.probes.attention import Attention
from mi_probe.estimators.probes.linear import GaussianRidge, Logistic
from mi_probe.estimators.probes.mlp import Mlp
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
    Posterior(
        name="mlp",
        family="discriminative",
        summary="network of two hidden layers, stopped on other rows",
        reference="Pimentel et al. 2020, arXiv 2004.03061",
        classes=Mlp(),
        watched_share=0.25,
        refit=False,
    ),
    Posterior(
        name="attention",
        family="discriminative",
        summary="self-attention over all tokens and their places, stopped on other rows",
        reference="Vaswani et al. 2017, arXiv 1706.03762",
        classes=Attention(),
        sequences=True,
        watched_share=0.25,
        refit=False,
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
    Posterior(
        name="gmm",
        family="generative",
        summary="a Gaussian mixture a class, components chosen on other rows",
        reference="Hastie and Tibshirani 1996, doi 10.1111/j.2517-6161.1996.tb02073.x",
        classes=GaussianMixtures(),
    ),
    Posterior(
        name="flow",
        family="generative",
        summary="spline flow of x given the class; of y given x for scores",
        reference="Durkan et al. 2019, arXiv 1906.04032; McAllester and Stratos 2020",
        classes=ClassFlow(),
        scores=ScoreFlow(),
        watched_share=0.25,
        refit=False,
    ),
    Posterior(
        name="vae",
        family="generative",
        summary="autoencoder of x given the class, importance-weighted",
        reference="Kingma and Welling 2014, arXiv 1312.6114",
        classes=Vae(),
        watched_share=0.25,
        refit=False,
    ),
    Posterior(
        name="diffusion",
        family="generative",
        summary="denoiser of x given the class; of y given x for scores (neither bound)",
        reference="Franzese et al. 2024, arXiv 2310.09031",
        classes=ClassDiffusion(),
        scores=ScoreDiffusion(),
        one_column="neither",
        watched_share=0.25,
        refit=False,
    ),
)
"""Models of p(x|y)."""
