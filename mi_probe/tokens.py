"""``python -m mi_probe.tokens``: what each token of a text tells of its class.

Writes tables under ``OUT/tokens`` (see `mi_probe.analysis.tokens.files`), those of a site
as soon as they are finished; what is finished is not computed again. Prints what they show
on stdout; everything else on stderr.
"""

import dataclasses
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Subject, subject_of
from mi_probe.analysis.measuring import check_task
from mi_probe.analysis.printed import heading
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.tokens.files import (
    is_finished,
    read_about,
    read_tables,
    stem_of,
    write_token_tables,
)
from mi_probe.analysis.tokens.measuring import measure_tokens
from mi_probe.analysis.tokens.printed import format_tables
from mi_probe.backbones import expand_checkpoints, load_backbone
from mi_probe.backbones.folders import find_folder, split_layers
from mi_probe.capture import Plan, extract, fingerprint_id, plan
from mi_probe.command_line import exit_code, parse_settings
from mi_probe.errors import InputError
from mi_probe.estimate_settings import read_task
from mi_probe.provenance import environment, now
from mi_probe.results import Results, digest
from mi_probe.tasks import Task
from mi_probe.token_settings import PROGRAM, TokenSettings, check

_NOT_OF_A_STATE = ("schema", "settings.sites", "settings.views")
"""What of a fingerprint says how states are kept, not what they are."""


def tokens(settings: TokenSettings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    sites = check(settings)
    results = Results(settings.out)
    task = read_task(settings.for_estimate)
    check_task(task)
    if task.label_names is None:
        raise InputError(
            f"task '{task.name}' must have classes for token-level information; its labels "
            "are scores. Take another task, or cut them into classes in a file of your own."
        )
    names = [n for given in settings.checkpoints for n in expand_checkpoints(given)]
    for name in names:  # a mistyped third one should not wait for two to be measured
        find_folder(
            split_layers(name)[0],
            revision=settings.revision,
            local_files_only=settings.local_files_only,
        )
    with limited_threads(settings.threads or torch.get_num_threads()):
        run = Run(settings, sites, task, results)
        for name in dict.fromkeys(names):
            run.measure(name)
    print(f"Tables: {results.folder / 'tokens'}")


class Run:
    """One run of the command over its checkpoints."""

    def __init__(
        self,
        settings: TokenSettings,
        sites: str | list[str],
        task: Task,
        results: Results,
    ):
        self.settings, self.sites = settings, sites
        self.task, self.results = task, results
        config = dataclasses.asdict(settings)
        # Where things go does not change what they are.
        for name in ("out", "keep_activations"):
            config.pop(name)
        self.record: dict[str, Any] = {
            "run_id": f"{now()}-{digest(config)}",
            "command": PROGRAM,
            "config": config,
            "config_sha": digest(config),
            "started": now(),
            "environment": environment(),
            "task": {
                "name": task.name,
                "source": task.source,
                "sha256": task.sha256(),
                "rows": len(task),
                "target": task.target,
                "notes": task.notes,
            },
            "models": [],
        }

    def measure(self, name: str) -> None:
        """One checkpoint: capture what is needed, then site by site."""
        settings, task = self.settings, self.task
        backbone = load_backbone(
            name,
            revision=settings.revision,
            local_files_only=settings.local_files_only,
            dtype=settings.dtype,
            device=settings.device,
        )
        capture: dict[str, Any] = {"views": ("full",), "max_tokens": settings.max_tokens}
        planned = plan(backbone, task, sites=self.sites, **capture)
        subject = subject_of(backbone)
        keys = {site.name: self._key(planned, subject, site.name) for site in planned.sites}
        folder = self.results.folder
        missing = [site for site, key in keys.items() if not is_finished(folder, key)]
        print(heading(backbone.name, task, planned.notes))
        self.record["models"].append(
            {"name": backbone.name, "fingerprint": backbone.fingerprint}
        )
        self.results.record(self.record)
        if missing:
            store = folder / "activations" / fingerprint_id(planned.fingerprint)
            states = extract(
                backbone,
                task,
                sites=self.sites,
                store=store,
                batch_size=settings.batch_size,
                **capture,
            )
            for site in tqdm(missing, unit="site", disable=None):
                z = states.hidden(site)
                z = dataclasses.replace(z, values=z.values.float())
                tables = measure_tokens(
                    backbone,
                    task,
                    planned.data,
                    z,
                    compare=settings.compare,
                    batch_size=settings.batch_size,
                    seed=settings.seed,
                )
                write_token_tables(
                    folder, keys[site], self._about(subject, site, planned), tables
                )
            if not settings.keep_activations:
                shutil.rmtree(store)
        for key in keys.values():
            path = folder / "tokens" / f"{stem_of(key)}.json"
            print(format_tables(read_about(path), read_tables(path)))
        if len(missing) < len(keys):
            print(f"{len(keys) - len(missing)} of {len(keys)} were finished before.")

    def _key(self, planned: Plan, subject: Subject, site: str) -> Mapping[str, Any]:
        states = {k: v for k, v in planned.fingerprint.items() if k not in _NOT_OF_A_STATE}
        return {
            "subject": subject.model,
            "step": subject.step,
            "states": digest(states),
            "task": self.task.name,
            "rows": self.task.sha256(),
            "site": site,
            "compare": self.settings.compare,
            "seed": self.settings.seed,
        }

    def _about(self, subject: Subject, site: str, planned: Plan) -> dict[str, Any]:
        return {
            "subject": subject.model,
            "revision": subject.revision,
            "adapter": subject.adapter,
            "adapter_sha": subject.adapter_sha,
            "step": subject.step,
            "site": site,
            "layer": subject.layers[site],
            "n_layers": subject.depths[site],
            "task": self.task.name,
            "split": self.task.split,
            "target": self.task.target,
            "notes": [*self.task.notes, *planned.notes],
            "settings": self.record["config"],
            "versions": self.record["environment"],
            "created": now(),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def command() -> None:
        tokens(
            parse_settings(
                TokenSettings,
                given,
                program=PROGRAM,
                description="Measure what each token of a text tells of its class.",
                positional="checkpoints",
            )
        )

    return exit_code(
        command,
        program="mi_probe.tokens",
        resume="What is finished is kept: the same command goes on from there.",
    )


if __name__ == "__main__":
    sys.exit(main())
