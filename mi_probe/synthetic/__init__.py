"""Data whose mutual information is known: what an estimator is held against.

Each function draws ``n`` examples and returns them with the true I(Y;X) in nats, as
`Known`. Where no closed form exists the truth is a Monte Carlo mean under the known
densities, over rows of its own, with its standard error beside it. `ZOO` holds one
parametrised task a name, in `GROUPS`: ``ZOO["order"].draw(seed=1)``.
"""

from mi_probe.synthetic.curved_classes import checkerboard, rings, spirals, xor
from mi_probe.synthetic.gaussian_classes import (
    class_gaussians,
    class_mixtures,
    heavy_tailed_classes,
    quantised,
)
from mi_probe.synthetic.independence import (
    independent,
    independent_scores,
    independent_sequences,
)
from mi_probe.synthetic.known import Known
from mi_probe.synthetic.low_rank import low_rank
from mi_probe.synthetic.maps import mapped, rolled
from mi_probe.synthetic.marked_tokens import counting, needle, order
from mi_probe.synthetic.means_and_ends import (
    first_against_last,
    majority,
    mean_sufficient,
    parity_of_ends,
)
from mi_probe.synthetic.pairs import (
    additive_uniform,
    dense_normals,
    even_function,
    gaussian_pair,
    paired_normals,
    staircase,
    student_pair,
)
from mi_probe.synthetic.zoo import GROUPS, ZOO, ZooTask

__all__ = [
    "GROUPS",
    "ZOO",
    "Known",
    "ZooTask",
    "additive_uniform",
    "checkerboard",
    "class_gaussians",
    "class_mixtures",
    "counting",
    "dense_normals",
    "even_function",
    "first_against_last",
    "gaussian_pair",
    "heavy_tailed_classes",
    "independent",
    "independent_scores",
    "independent_sequences",
    "low_rank",
    "majority",
    "mapped",
    "mean_sufficient",
    "needle",
    "order",
    "paired_normals",
    "parity_of_ends",
    "quantised",
    "rings",
    "rolled",
    "spirals",
    "staircase",
    "student_pair",
    "xor",
]
