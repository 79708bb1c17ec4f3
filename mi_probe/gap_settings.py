"""What ``python -m mi_probe.gap`` is told, and what can be checked at once."""

from dataclasses import dataclass

import numpy as np

from mi_probe.analysis.gap_inputs import DRAWS
from mi_probe.analysis.gap_pieces import Asked
from mi_probe.analysis.given import BY_NAME, CHECKPOINT, SITE, check_given, column_of
from mi_probe.analysis.learned_pooling import LEARNED, check_pooling
from mi_probe.analysis.measuring import check_task
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.options import about, listed
from mi_probe.pooling import POOLINGS
from mi_probe.run_settings import SeveralSets, check_run, check_seeds
from mi_probe.tasks import Task

PROGRAM = "python -m mi_probe.gap"


@dataclass(frozen=True)
class Settings(SeveralSets):
    """What the command is told, by its options or by a file with the same names."""

    sites: int | str | list[int | str] | None = about(
        "'all', hidden_states indices as 0,8,16, or names as block.4,final_norm, "
        "block.4.mid; by default the deepest alone"
    )
    pooling: str | list[str] = about(
        f"what Z is compared with, of {','.join((*POOLINGS, *LEARNED))}, or a "
        "concatenation as mean+last; a third of the rows teaches what is learned",
        "mean,last",
    )
    given: str | list[str] | None = about(
        "what Z is compared with instead of its poolings: a column of the data, "
        f"{', '.join(BY_NAME)}, {SITE}NAME (another site's mean) or {CHECKPOINT}PATH "
        "(another model's last site, mean); several as words,length"
    )
    estimator: str = about("one that reads all tokens, such as auto or mine", "auto")
    seeds: int | str | list[int] = about("one gap each", 0)
    draws: int | None = about(
        "of Y for the conditional randomisation test; 0 leaves it out; by default as many "
        f"as Holm's correction needs, {DRAWS} at least"
    )
    capacity_ladder: bool = about("also by critics from linear to 'auto'", False)
    noise_ladder: bool = about("also with noise before pooling", False)
    sigmas: str | list[float] = about(
        "of that noise, in root mean squares of the states", "0.1,0.3,1,3"
    )

    def asked(self) -> Asked:
        """Check what can be checked without data or a model.

        Raises:
            InputError: on the first setting that breaks its rule.
        """
        check_run(self, {"draws": 0}, PROGRAM)
        given = [] if self.given is None else listed(self.given, "given")
        for name in given:
            check_given(name)
            if self.data is not None and name == self.label_column:
                raise InputError(
                    f"given must not be the label-column, Y itself; got '{name}'."
                )
        if given and (self.capacity_ladder or self.noise_ladder):
            raise InputError(
                "capacity-ladder and noise-ladder are of poolings; got them with given "
                f"'{given[0]}'. Leave them out."
            )
        poolings = listed(self.pooling, "pooling")
        for pooling in poolings:
            check_pooling(pooling)
        readers = [name for name, e in ESTIMATORS.items() if e.nature.sequences]
        if self.estimator not in readers:
            raise InputError(
                f"estimator must read all tokens, as {', '.join(readers)} do; "
                f"got '{self.estimator}'."
            )
        self.chosen_sets()
        seeds = listed(self.seeds, "seeds", int)
        check_seeds("seeds", seeds)
        sigmas = listed(self.sigmas, "sigmas", float)
        if not all(np.isfinite(sigma) and sigma > 0 for sigma in sigmas):
            got = ",".join(f"{sigma:g}" for sigma in sigmas)
            raise InputError(
                "sigmas must be above 0, in root mean squares of the states; got "
                f"'{got}'. The gap without noise is measured in any case."
            )
        return Asked(
            poolings=() if given else tuple(poolings),
            given=tuple(given),
            estimator=self.estimator,
            critic=ESTIMATORS[self.estimator],
            seeds=tuple(seeds),
            n_draws=DRAWS if self.draws is None else self.draws,
            sigmas=(0.0, *sorted(sigmas)) if self.noise_ladder else (0.0,),
            capacity=self.capacity_ladder,
        )

    def asks_answers(self) -> bool:
        """Whether the model's own label probabilities are given."""
        return self.given is not None and "answer" in listed(self.given, "given")

    def kept_columns(self) -> tuple[str, ...]:
        """Those that are given."""
        names = [] if self.given is None else listed(self.given, "given")
        return tuple(column for name in names if (column := column_of(name)) is not None)

    def check(self, task: Task) -> None:
        """Check what needs the labels.

        Raises:
            InputError: if they cannot carry information, or are not what the estimator
                or the ladder of critics takes.
        """
        if self.capacity_ladder and task.kind != "classes":
            raise InputError(
                "capacity-ladder takes classes, whose posteriors it stacks; the labels of "
                f"task '{task.name}' are {task.kind}. Leave it out, or change what they "
                "are (--label-kind)."
            )
        check_task(task, {self.estimator: ESTIMATORS[self.estimator]})
