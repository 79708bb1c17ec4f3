"""Members of the stack fitted without each pair of folds, and what they say of the rows."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.members import MANY, MEMBERS, TREE_LIMIT
from mi_probe.estimators.engine.sample import Sample, Shared
from mi_probe.estimators.models.columns import standardised, whitened
from mi_probe.scratch import beside, let_go


@runtime_checkable
class ViewFits(Protocol):
    """One view's cross-fitted members: of vectors here, of tokens in `TokenFits`."""

    @property
    def members(self) -> Mapping[str, Sequence[dict[str, float]]]:
        """Each member's path."""
        ...

    @property
    def dimensions(self) -> int:
        """Of the coordinates that the members read."""
        ...

    def scores(
        self, member: str, level: int, k: int, places: Sequence[int]
    ) -> Float[np.ndarray, "p n c"]:
        """See `CrossFits.scores`."""
        ...


class CrossFits:
    """Every member's scores of two folds by fits without both, for one view."""

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        target: Classes,
        split: Split,
        device: str,
    ) -> None:
        u, independent = whitened(x)
        columns = standardised(x) if x.shape[1] <= TREE_LIMIT else None
        self._shared = Shared(
            u, target.index, target.n_classes, device, columns, independent
        )
        self._split = split
        self.members: Mapping[str, Sequence[dict[str, float]]] = {
            name: path
            for name, member in MEMBERS.items()
            if u.shape[1] and (path := member.path(self._shared))
        }
        self._scores: dict[tuple[str, int, tuple[int, ...]], np.ndarray] = {}
        self._held: dict[int, list[Sample]] = {}

    @property
    def dimensions(self) -> int:
        """Of the shared coordinates."""
        return self._shared.u.shape[1]

    @property
    def coordinates(self) -> Float[np.ndarray, "n r"]:
        """The shared coordinates of all rows."""
        return self._shared.u

    @property
    def bytes_held(self) -> int:
        """What keeping this costs."""
        return self._shared.u.nbytes + sum(s.nbytes for s in self._scores.values())

    def scores(
        self, member: str, level: int, k: int, places: Sequence[int]
    ) -> Float[np.ndarray, "p n c"]:
        """Log posteriors of all rows for a held-out fold, at these places of the path.

        Rows outside the fold by fits without it and their own fold; rows of the fold by
        the average of these.
        """
        # Fits of some places alone need not be those of all: a path is warm-started.
        key = (member, level, tuple(places))
        if key not in self._scores:
            self._scores[key] = self._fitted(*key)
        return self._scores[key][k]

    def kept_places(self, member: str, level: int) -> tuple[int, ...]:
        """The places of a member's path whose scores are kept; all where none are."""
        asked = [key[2] for key in self._scores if key[:2] == (member, level)]
        return max(asked, key=len, default=tuple(range(len(self.members[member]))))

    def release(self, level: int) -> None:
        """Forget a level's scores where there are so many classes that they are large."""
        if self._shared.n_classes > MANY:
            self._scores = {k: v for k, v in self._scores.items() if k[1] != level}

    def _fitted(
        self, member: str, level: int, chosen: tuple[int, ...]
    ) -> Float[np.ndarray, "k p n c"]:
        path = [self.members[member][place] for place in chosen]
        n_folds = self._split.n_folds
        shape = (n_folds, len(path), len(self._split), self._shared.n_classes)
        scores = beside(self._shared.u, shape)
        fits = MEMBERS[member].fit(self._samples(level), path)
        for (j, k), places in zip(self._split.pairs, fits, strict=True):
            for place, predict in enumerate(places):
                for one, other in ((j, k), (k, j)):
                    rows = self._split.held_out(one)
                    log_q = log_softmax(predict(rows), axis=1)
                    scores[other, place, rows] = log_q
                    scores[one, place, rows] += log_q / (n_folds - 1)
            let_go([self._shared.u, scores])
        return scores

    def _samples(self, level: int) -> list[Sample]:
        if level not in self._held:
            split = self._split
            self._held[level] = [
                Sample(
                    self._shared,
                    split.rows(*pair, level=level),
                    _mixed(split.seed, level, *pair),
                )
                for pair in split.pairs
            ]
        return self._held[level]


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
