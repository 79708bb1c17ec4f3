"""``python -m mi_probe.tokens``: what each token of a text tells of its class.

Writes tables under ``OUT/tokens`` (see `mi_probe.analysis.tokens.files`), those of a site
as soon as they are finished; what is finished is not computed again. Prints what they show
on stdout; everything else on stderr.
"""

import math
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import torch
from tqdm.auto import tqdm

from mi_probe.analysis.dependent_rows import dependence_key
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.measuring import check_task
from mi_probe.analysis.printed import heading
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.tokens.files import (
    FOLDER,
    is_finished,
    read_about,
    read_tables,
    stem_of,
    write_token_tables,
)
from mi_probe.analysis.tokens.measuring import discrete_labels, measure_tokens
from mi_probe.analysis.tokens.reading import format_tables
from mi_probe.capture import Plan, extract, fingerprint_id, plan
from mi_probe.command_line import parse_settings, run_command, say
from mi_probe.contents import digest
from mi_probe.provenance import now
from mi_probe.results import Results
from mi_probe.run_settings import (
    checkpoint_names,
    find_all,
    open_measurable,
    read_task,
)
from mi_probe.runs import RunRecord, alone_with
from mi_probe.tasks import Task
from mi_probe.token_settings import PROGRAM, TokenSettings

_NOT_OF_A_STATE = ("schema", "settings.sites", "settings.views")
"""What of a fingerprint says how states are kept, not what they are."""
UNREAD = "(unread)"
"""Stands for an answer that names no class."""


def tokens(settings: TokenSettings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    sites = settings.check()
    results = Results(settings.out, say)
    names = checkpoint_names(settings)
    task = read_task(settings, names)
    if task is not None:
        _check_classes(task)
    find_all(settings, names)
    with limited_threads(settings.threads or torch.get_num_threads()):
        run = Run(settings, sites, task, results)
        for name in names:
            run.measure(name)
    print(f"Tables: {results.folder / FOLDER}")


def _check_classes(task: Task) -> None:
    check_task(task)
    discrete_labels(task)


class Run:
    """One run of the command over its checkpoints."""

    def __init__(
        self,
        settings: TokenSettings,
        sites: str | list[str],
        task: Task | None,
        results: Results,
    ):
        self.settings, self.sites = settings, sites
        self.task, self.folder = task, results.folder
        self.record = RunRecord(results, settings, task, program=PROGRAM)

    def measure(self, name: str) -> None:
        """One checkpoint: capture what is needed, then site by site."""
        settings, folder = self.settings, self.folder
        model = open_measurable(settings, name, self.task)
        _check_classes(model.task)
        token_set = "all" if "all" in model.sources else "prompt"
        source = model.sources[token_set]
        capture: dict[str, Any] = {
            "sites": model.sites(token_set, self.sites),
            "views": ("full",),
            "max_tokens": model.max_tokens,
        }
        planned = plan(model.backbone, source, **capture)
        keys = {
            site.name: self._key(model, planned, site.name, token_set)
            for site in planned.sites
        }
        missing = [s for s, key in keys.items() if not is_finished(folder, key, say)]
        print(heading(model.backbone.name, model.task, [*model.notes, *planned.notes]))
        self.record.add(name, model)
        store = folder / "activations" / fingerprint_id(planned.fingerprint)
        with alone_with([store] if missing else [], say):
            # Another process may have finished some meanwhile.
            left = [s for s in missing if not is_finished(folder, keys[s], say)]
            told = {"store": store, "batch_size": settings.batch_size, **capture}
            states = extract(model.backbone, source, **told) if left else None
            for site in tqdm(left, unit="site", disable=None):
                assert states is not None
                tables = measure_tokens(
                    model.backbone,
                    model.task,
                    planned.data,
                    states.hidden(site),
                    answers=predicted_words(model),
                    compare=settings.compare,
                    controls=settings.chosen_controls(),
                    spans=settings.chosen_spans(),
                    batch_size=settings.batch_size,
                    seed=settings.seed,
                )
                about = self._about(model, site, planned, token_set)
                write_token_tables(folder, keys[site], about, tables)
            if left and not settings.keep_activations:
                shutil.rmtree(store)
        for key in keys.values():
            path = folder / FOLDER / f"{stem_of(key)}.json"
            print(format_tables(read_about(path), read_tables(path)))
        if len(missing) < len(keys):
            print(f"{len(keys) - len(missing)} of {len(keys)} were finished before.")

    def _key(
        self, model: Measurable, planned: Plan, site: str, token_set: str
    ) -> dict[str, Any]:
        states = {k: v for k, v in planned.fingerprint.items() if k not in _NOT_OF_A_STATE}
        return {
            "subject": model.subject.model,
            "step": model.subject.step,
            "states": digest(states),
            "task": model.task.name,
            "rows": model.task.sha256(),
            **dependence_key(model.task),
            "site": site,
            "token_set": token_set,
            "compare": self.settings.compare,
            "controls": list(self.settings.chosen_controls()),
            "spans": self.settings.spans,
            "seed": self.settings.seed,
        }

    def _about(
        self, model: Measurable, site: str, planned: Plan, token_set: str
    ) -> dict[str, Any]:
        subject, task = model.subject, model.task
        return {
            "subject": subject.model,
            "objective": subject.objective,
            "revision": subject.revision,
            "adapter": subject.adapter,
            "adapter_sha": subject.adapter_sha,
            "step": subject.step,
            "site": site,
            "layer": subject.layers[site],
            "n_layers": subject.depths[site],
            "token_set": token_set,
            "task": task.name,
            "split": task.split,
            "target": task.target,
            "notes": [*task.notes, *model.notes, *planned.notes],
            "scores": dict(model.scores),
            "settings": self.record.told["config"],
            "versions": self.record.told["environment"],
            "created": now(),
        }


def predicted_words(model: Measurable) -> list[str] | None:
    """The class that the model answered, by name; None where it was not asked."""
    names = model.task.label_names
    if model.answers is None or names is None:
        return None
    return [UNREAD if math.isnan(v) else names[int(v)] for v in model.answers.values]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    return run_command(
        tokens,
        lambda given: parse_settings(
            TokenSettings,
            given,
            program=PROGRAM,
            description="Measure what each token of a text tells of its class.",
            positional="checkpoints",
        ),
        arguments,
        program=PROGRAM,
        resume="What is finished is kept: the same command goes on from there.",
    )


if __name__ == "__main__":
    sys.exit(main())
