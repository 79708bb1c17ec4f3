"""Estimators for the tests that need them in other processes: importable, and instant."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mi_probe.analysis.scored import rows_alone
from mi_probe.errors import InputError
from mi_probe.estimators import Estimate, Nature

LOG_2 = float(np.log(2))
ANYTHING = Nature(
    family="discriminative",
    bound="lower bound",
    takes=frozenset({"classes", "scores"}),
    sequences=True,
    ceiling="none",
    summary="answers at once",
    reference="",
)


@dataclass(frozen=True)
class Told:
    """Says its seed and process; fails or waits as it is told."""

    behaviour: str = ""
    """What to do with an odd seed: mistake, bug, die, or a file to wait for the end of."""

    name = "told"
    nature = ANYTHING

    def estimate(self, x, y, *, groups=None, seed=0):
        if seed % 2 and self.behaviour:
            self._misbehave()
        return Estimate(
            nats=float(seed),
            stderr=0.1,
            ci=(seed - 0.2, seed + 0.2),
            pointwise=np.full(len(y), float(os.getpid())),
            entropy_y=None,
            status="ok",
            bound="lower bound",
            estimator=self,
            seed=seed,
        )

    def _misbehave(self):
        if self.behaviour == "mistake":
            raise InputError("x must be better.")
        if self.behaviour == "bug":
            raise ZeroDivisionError("ours")
        if self.behaviour == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while Path(self.behaviour).exists():
            time.sleep(0.05)


class Named:
    """An estimator in name alone."""

    name, nature = "fake", ANYTHING


def estimate_of(terms, *, group=None, fold=None, entropy=LOG_2, seed=0, influence=None):
    """An estimate of which the terms are known; its interval is two standard errors."""
    terms = np.asarray(terms, dtype=float)
    error = float(terms.std(ddof=1) / np.sqrt(len(terms)))
    return Estimate(
        nats=float(terms.mean()),
        stderr=error,
        ci=(float(terms.mean() - 2 * error), float(terms.mean() + 2 * error)),
        pointwise=terms,
        entropy_y=entropy,
        status="ok",
        bound="lower bound",
        estimator=Named(),
        seed=seed,
        split=rows_alone(len(terms), seed, group=group, fold=fold),
        influence=influence,
    )
