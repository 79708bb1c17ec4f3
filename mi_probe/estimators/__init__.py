"""Estimators of I(Y;X), by the name that the command line knows them by.

=================  =================================================================
name               what it is
=================  =================================================================
``auto``           lower bound: a cross-validated stack, the recommended one
``mine``           lower bound: Donsker-Varadhan, gradient corrected by a moving
                   average; networks alone, from zero, as in the paper
``mine_f``         lower bound: E[T] + 1 - E[exp T] of the critic as trained (MINE-f)
``nwj``            the same, after normalising the critic
``infonce``        lower bound: own Y among the others'
``smile``          neither: clipped Donsker-Varadhan of a Jensen-Shannon critic
``js``             lower bound: MINE-f's value of a Jensen-Shannon critic
``classifier``     lower bound: H(Y) - CE (Barber-Agakov) of the same networks
``linear``         probe: logistic regression; ridge regression for scores
``svm``            probe: support vector machine, calibrated
``random_forest``  probe: random forest, calibrated
``boosting``       probe: histogram gradient boosting
``mlp``            probe: network of two hidden layers
``attention``      probe: self-attention over all tokens
``naive_bayes``    generative: independent Gaussian columns
``lda``            generative: Gaussian classes, one covariance
``qda``            generative: Gaussian classes, covariances of their own
``gmm``            generative: a Gaussian mixture a class
``flow``           generative: neural spline flow, difference of entropies
``vae``            generative: class-conditional autoencoder
``diffusion``      generative: denoiser with and without Y (MINDE)
``gaussian``       neither: canonical correlations of normal scores, held out
``ksg``            neither: distances to nearest neighbours (Kraskov et al.)
``ross``           the same for classes (Ross)
=================  =================================================================

``docs/estimators.md`` has the whole table: kinds of Y and X, bounds, ceilings, papers.

All score every row by a critic that never saw it. The bounds from ``mine`` to
``classifier`` are trained from zero and share nothing with ``auto`` that was fitted to Y:
that they agree with it is evidence. They share their networks with one another, so their
agreeing among themselves says little.
"""

from mi_probe.estimators.auto import Auto as Auto
from mi_probe.estimators.auto import MemberStack as MemberStack
from mi_probe.estimators.core.admission import FEWEST_ROWS as FEWEST_ROWS
from mi_probe.estimators.core.base import Estimate as Estimate
from mi_probe.estimators.core.base import Estimator as Estimator
from mi_probe.estimators.core.base import Extrapolation as Extrapolation
from mi_probe.estimators.core.base import Nature as Nature
from mi_probe.estimators.core.null import with_null as with_null
from mi_probe.estimators.core.parameters import Named
from mi_probe.estimators.core.repeats import Repeated as Repeated
from mi_probe.estimators.core.split import Blocks as Blocks
from mi_probe.estimators.core.targets import TokenSequences as TokenSequences
from mi_probe.estimators.critic.training import Schedule as Schedule
from mi_probe.estimators.engine.posterior import Posterior as Posterior
from mi_probe.estimators.mine.mine import Mine as Mine
from mi_probe.estimators.mutual_information import mutual_information as mutual_information
from mi_probe.estimators.posteriors import GENERATIVE, PROBES
from mi_probe.estimators.scores.gaussian import GaussianCopula as GaussianCopula
from mi_probe.estimators.scores.knn import NearestNeighbours as NearestNeighbours

_ESTIMATORS: dict[str, Estimator] = {
    "auto": Auto(),
    "mine": Mine(
        name="mine",
        summary="Donsker-Varadhan by statistics networks alone, trained from zero, "
        "gradient corrected by a moving average",
        reference="Belghazi et al. 2018, arXiv 1801.04062",
        objective="mine",
        bound="donsker_varadhan",
    ),
    "mine_f": Mine(
        name="mine_f",
        summary="f-divergence form E[T] - E[exp(T - 1)] of the critic as it was trained",
        reference="Belghazi et al. 2018, arXiv 1801.04062; Nguyen et al. 2010",
        objective="nwj",
        bound="nwj_plain",
    ),
    "nwj": Mine(
        name="nwj",
        summary="the same form, the critic's own normaliser as its baseline",
        reference="Nguyen et al. 2010; Poole et al. 2019, arXiv 1905.06922",
        objective="nwj",
        bound="nwj",
    ),
    "infonce": Mine(
        name="infonce",
        summary="own Y among the others' (all classes where Y is discrete)",
        reference="van den Oord et al. 2018, arXiv 1807.03748",
        objective="info_nce",
        bound="info_nce",
    ),
    "smile": Mine(
        name="smile",
        summary="Jensen-Shannon trained; Donsker-Varadhan with a clipped second term",
        reference="Song and Ermon 2020, arXiv 1910.06222",
        objective="jensen_shannon",
        bound="smile",
    ),
    "js": Mine(
        name="js",
        summary="Jensen-Shannon trained; valued by E[T] + 1 - E[exp T] (NWJ)",
        reference="Hjelm et al. 2019, arXiv 1808.06670; Poole et al. 2019",
        objective="jensen_shannon",
        bound="nwj_plain",
    ),
    "classifier": Mine(
        name="classifier",
        summary="H(Y) - cross-entropy, by the same networks",
        reference="Barber and Agakov 2003",
        objective="cross_entropy",
        bound="barber_agakov",
        continuous=False,
    ),
    **{estimator.name: estimator for estimator in PROBES},
    **{estimator.name: estimator for estimator in GENERATIVE},
    "gaussian": GaussianCopula(),
    "ksg": NearestNeighbours(name="ksg"),
    "ross": NearestNeighbours(name="ross"),
}
ESTIMATORS = Named(_ESTIMATORS)
