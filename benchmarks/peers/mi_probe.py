"""This package's estimators, all with their defaults."""

import numpy as np

from mi_probe.estimators import ESTIMATORS
from mi_probe.hidden import HiddenStates

DISTRIBUTION = "mi-probe"


def _method(name):
    def estimate(x, y, mask, seed):
        states = x if mask is None else HiddenStates(x, mask)
        nature = ESTIMATORS[name].nature
        kind = "classes" if np.issubdtype(y.dtype, np.integer) else "scores"
        if kind not in nature.takes or (mask is not None and not nature.sequences):
            raise NotImplementedError(f"takes {', '.join(sorted(nature.takes))}")
        found = ESTIMATORS[name].estimate(states, y, seed=seed)
        extrapolated = found.extrapolated
        return {
            "nats": found.nats,
            "ci_low": found.ci[0],
            "ci_high": found.ci[1],
            "said": found.status,
            **(
                {
                    "extrapolated": extrapolated.nats,
                    "extrapolated_low": extrapolated.ci[0],
                    "extrapolated_high": (
                        extrapolated.ci[1] if np.isfinite(extrapolated.ci[1]) else None
                    ),
                    "claim": extrapolated.claim,
                }
                if extrapolated
                else {}
            ),
        }

    return estimate


METHODS = {name: _method(name) for name in ESTIMATORS}
