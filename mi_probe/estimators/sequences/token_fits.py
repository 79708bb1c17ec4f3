"""Evidence networks cross-fitted over pairs of folds, as a view of the stack for classes.

The same scheme as for vectors (`engine.cross_fits`): each pair of folds is scored by
a network that saw neither, so the members of a sequence and of its pooled views are chosen,
tempered and weighed on the same rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.critic.batched import Problem
from mi_probe.estimators.sequences.evidence import (
    SNAPSHOTS,
    log_posteriors,
    train_evidence,
)
from mi_probe.estimators.sequences.token_coordinates import TokenCoordinates, token_inputs
from mi_probe.scratch import let_go


class TokenFits:
    """Scores of two folds by networks without both, at each level of the learning curve."""

    def __init__(
        self,
        tokens: TokenCoordinates,
        target: Classes,
        split: Split,
        device: str,
    ) -> None:
        self._tokens = token_inputs(tokens.to(device))
        self._y = torch.as_tensor(target.index).to(device)
        self._target = target
        self._split = split
        self.members: Mapping[str, Sequence[dict[str, float]]] = {
            "evidence": [{"epochs": float(epochs)} for epochs in SNAPSHOTS]
        }
        self._scores: dict[int, np.ndarray] = {}

    @property
    def dimensions(self) -> int:
        """Of a token's coordinates."""
        return self._tokens.coordinates

    def scores(
        self, member: str, level: int, k: int, places: Sequence[int]
    ) -> Float[np.ndarray, "p n c"]:
        """Log posteriors of all rows for a held-out fold, at these places of the path.

        Rows outside the fold by networks without it and their own fold; rows of the fold
        by the average of these.
        """
        del member  # there is one
        if level not in self._scores:
            self._scores[level] = self._fitted(level)
        # The places are epochs of one training: all of them come at once.
        return self._scores[level][k][list(places)]

    def _fitted(self, level: int) -> Float[np.ndarray, "k p n c"]:
        n_folds, pairs = self._split.n_folds, self._split.pairs
        problems = [self._problem(level, *pair) for pair in pairs]
        networks = train_evidence(self._tokens, self._y, problems)
        shape = (n_folds, len(SNAPSHOTS), len(self._split), self._target.n_classes)
        scores = np.zeros(shape, dtype=np.float32)
        for number, (j, k) in enumerate(pairs):
            for one, other in ((j, k), (k, j)):
                rows = self._split.held_out(one)
                log_q = log_posteriors(networks, self._tokens, rows, number)
                scores[other][:, rows] = log_q
                scores[one][:, rows] += log_q / (n_folds - 1)
            let_go([self._tokens.room])
        return scores

    def _problem(self, level: int, j: int, k: int) -> Problem:
        rows = self._split.rows(j, k, level=level)
        stream = np.random.SeedSequence((self._split.seed, level, j, k))
        seed = int(stream.generate_state(1)[0])
        return Problem(rows, self._target.log_prior_among(rows), seed)
