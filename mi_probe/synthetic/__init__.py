"""Data whose mutual information is known: what an estimator is held against.

Each function draws ``n`` examples and returns them with the true I(Y;X) in nats, as
`Known`. Where no closed form exists the truth is a Monte Carlo mean under the known
densities, over rows of its own, with its standard error beside it. `ZOO` holds one
parametrised task a name, in `GROUPS`: ``ZOO["order"].draw(seed=1)``.
"""

from mi_probe.synthetic.additive_noise import additive_uniform, even_function
from mi_probe.synthetic.answers import (
    spelled_classes,
    tokens_of_their_own,
    written_numbers,
)
from mi_probe.synthetic.counting import counting
from mi_probe.synthetic.ends import first_against_last, parity_of_ends
from mi_probe.synthetic.gaussian_classes import (
    class_gaussians,
    class_mixtures,
    heavy_tailed_classes,
)
from mi_probe.synthetic.independence import (
    independent,
    independent_scores,
    independent_sequences,
)
from mi_probe.synthetic.known import Known
from mi_probe.synthetic.low_rank import low_rank
from mi_probe.synthetic.majority import majority
from mi_probe.synthetic.maps import mapped, rolled
from mi_probe.synthetic.mean_sufficient import mean_sufficient
from mi_probe.synthetic.needle import needle
from mi_probe.synthetic.normal_pairs import (
    dense_normals,
    gaussian_pair,
    paired_normals,
    staircase,
)
from mi_probe.synthetic.order import order
from mi_probe.synthetic.parity import xor
from mi_probe.synthetic.plane import checkerboard, rings, spirals
from mi_probe.synthetic.quantised import quantised
from mi_probe.synthetic.student import student_pair
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
    "spelled_classes",
    "spirals",
    "staircase",
    "student_pair",
    "tokens_of_their_own",
    "written_numbers",
    "xor",
]
