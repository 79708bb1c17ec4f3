"""Data whose mutual information is known: what an estimator is held against.

Each function draws ``n`` examples and returns them with the true I(Y;X) in nats, as
`Known`. Where no closed form exists the truth is a Monte Carlo mean under the known
densities, over rows of its own, with its standard error beside it. `ZOO` holds one
parametrised task a name, in `GROUPS`: ``ZOO["order"].draw(seed=1)``.
"""

from mi_probe.synthetic.curved_classes import checkerboard as checkerboard
from mi_probe.synthetic.curved_classes import rings as rings
from mi_probe.synthetic.curved_classes import spirals as spirals
from mi_probe.synthetic.curved_classes import xor as xor
from mi_probe.synthetic.gaussian_classes import class_gaussians as class_gaussians
from mi_probe.synthetic.gaussian_classes import class_mixtures as class_mixtures
from mi_probe.synthetic.gaussian_classes import heavy_tailed_classes as heavy_tailed_classes
from mi_probe.synthetic.gaussian_classes import quantised as quantised
from mi_probe.synthetic.independence import independent as independent
from mi_probe.synthetic.independence import independent_scores as independent_scores
from mi_probe.synthetic.independence import independent_sequences as independent_sequences
from mi_probe.synthetic.known import Known as Known
from mi_probe.synthetic.low_rank import low_rank as low_rank
from mi_probe.synthetic.maps import mapped as mapped
from mi_probe.synthetic.maps import rolled as rolled
from mi_probe.synthetic.marked_tokens import counting as counting
from mi_probe.synthetic.marked_tokens import needle as needle
from mi_probe.synthetic.marked_tokens import order as order
from mi_probe.synthetic.means_and_ends import first_against_last as first_against_last
from mi_probe.synthetic.means_and_ends import majority as majority
from mi_probe.synthetic.means_and_ends import mean_sufficient as mean_sufficient
from mi_probe.synthetic.means_and_ends import parity_of_ends as parity_of_ends
from mi_probe.synthetic.pairs import additive_uniform as additive_uniform
from mi_probe.synthetic.pairs import dense_normals as dense_normals
from mi_probe.synthetic.pairs import even_function as even_function
from mi_probe.synthetic.pairs import gaussian_pair as gaussian_pair
from mi_probe.synthetic.pairs import paired_normals as paired_normals
from mi_probe.synthetic.pairs import staircase as staircase
from mi_probe.synthetic.pairs import student_pair as student_pair
from mi_probe.synthetic.zoo import GROUPS as GROUPS
from mi_probe.synthetic.zoo import ZOO as ZOO
from mi_probe.synthetic.zoo import ZooTask as ZooTask
