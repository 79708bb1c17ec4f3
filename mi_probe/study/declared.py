"""A study as it is declared: one YAML file, and the chains of commands that it stands for.

    study: name
    train: {...}                     # settings of every training, as `mi_probe.train` takes
    tasks: {sst2: {...}, ...}        # what a task adds to them
    systems: {predgen: {...}, ...}   # and a system
    methods: {lora: {...}, ...}      # and a method of fine-tuning
    trainings: [{tasks, systems, methods, seeds}, ...]    # which of them are combined
    measure: [{command: estimate, ...}, ...]              # what is done with each
    models: [{model: ..., tasks: [...], measure: [...]}]  # measured as they are
    comparisons: [...]               # what counts: see `mi_probe.study.endpoints`

A *chain* is a training and all that is measured of it, or a model and all that is measured
of it: the piece that is scheduled. Its name is made of what distinguishes it, so the same
combination asked for twice is one chain.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from mi_probe.errors import InputError, check_known
from mi_probe.estimate_settings import Choice
from mi_probe.estimate_settings import Settings as EstimateSettings
from mi_probe.gap_settings import Settings as GapSettings
from mi_probe.options import check_config, parse_settings
from mi_probe.predgen.settings import TrainSettings, preset
from mi_probe.study.chains import FACTORS, Chain, Step
from mi_probe.study.endpoints import Comparison, comparisons_of
from mi_probe.tasks import TASKS
from mi_probe.token_settings import TokenSettings

MEASURES = {"estimate": EstimateSettings, "gap": GapSettings, "tokens": TokenSettings}
"""The commands that measure, and what each is told."""
_KEYS = (
    *("study", "about", "train", "tasks", "systems", "methods", "trainings"),
    *("measure", "models", "comparisons"),
)


_NOT_OF_A_STUDY = ("checkpoints", "out", "dry_run", "self_test", "config")
_OF_ROWS = (
    *("data", "data_folder", "text_column", "label_column", "id_column", "group_column"),
    *("quoting", "encoding", "label_kind", "template"),
)
"""What a task may say that measuring is told as well as training."""


_FLOATS = {field.name for field in fields(TrainSettings) if "float" in str(field.type)}


@dataclass(frozen=True)
class Study:
    """What a study's file says, checked."""

    name: str
    about: str
    """Its question in a sentence, for the head of what is written."""
    chains: tuple[Chain, ...]
    comparisons: tuple[Comparison, ...]
    """The comparisons that count, fixed before anything is run."""
    declared: Mapping[str, Any] = field(repr=False)
    """The content of the file."""


def read_study(path: str | Path, *, data_folder: str | None = None) -> Study:
    """Read and check a study's file.

    Nothing is loaded but the file: a wrong setting is said before anything is trained.

    Args:
        path: a YAML or JSON file.
        data_folder: where the original files lie, of those tasks that name a
            ``data_folder``, in place of what they name.

    Raises:
        InputError: if it is none, has an unknown key, names what it does not declare, or
            holds a setting that its command would refuse.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"study must be a file that exists; got {file}.")
    check_config(file)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"study must be YAML in UTF-8; {file} is not: {said}.") from None
    return study_of(content, str(file), data_folder=data_folder)


def study_of(
    content: Any, where: str = "the study", *, data_folder: str | None = None
) -> Study:
    """The study that a mapping declares; see `read_study`."""
    content = _mapping(content, where)
    if data_folder is not None:
        tasks = {
            name: {**given, "data_folder": data_folder} if "data_folder" in given else given
            for name, given in _named(content, "tasks").items()
        }
        content = {**content, "tasks": tasks}
    _known(content, _KEYS, where)
    chains: dict[str, Chain] = {}
    for chain in (*_trainings(content), *_models(content)):
        same = chains.setdefault(chain.name, chain)
        if same != chain:
            raise InputError(
                f"chains must be told apart by backbone, task, method, system and seed; "
                f"'{chain.name}' is declared twice with other settings. Rename one."
            )
    if not chains:
        raise InputError(f"{where} must declare trainings or models; it has none.")
    return Study(
        name=str(content.get("study", "study")),
        about=str(content.get("about", "")),
        chains=tuple(chains.values()),
        comparisons=comparisons_of(content.get("comparisons", ()), [*chains.values()]),
        declared=content,
    )


def _trainings(content: Mapping[str, Any]) -> Iterator[Chain]:
    tasks, systems = _named(content, "tasks"), _named(content, "systems")
    methods = _named(content, "methods") or {"lora": {"peft": "lora"}}
    shared = _mapping(content.get("train", {}), "train")
    for number, one in enumerate(_listed(content, "trainings"), start=1):
        where = f"trainings, number {number}"
        _known(one, ("tasks", "systems", "methods", "seeds", "measure"), where)
        measure = one.get("measure", content.get("measure", ()))
        for task, system, method, seed in product(
            _chosen(one, "tasks", tasks, where),
            _chosen(one, "systems", systems, where),
            _chosen(one, "methods", methods, where),
            _seeds(one.get("seeds", [0]), where),
        ):
            # What is said of a task goes over what is said of all, and so on.
            given = {**_rows(task, tasks), **shared, **tasks[task], **methods[method]}
            given |= {**systems[system], "seed": seed}
            factors: dict[str, Any] = dict(
                zip(
                    FACTORS,
                    (given.get("backbone", ""), task, method, system, seed),
                    strict=True,
                )
            )
            name = _name([*factors.values()])
            _check_training(given, name)
            steps = [Step("train", given), *_steps(measure, factors, None, name)]
            yield Chain(name, factors, tuple(steps))


def _seeds(seeds: Any, where: str) -> list[int]:
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise InputError(
            f"seeds of {where} must be a list of whole numbers; got {seeds!r}."
        )
    return seeds


def _models(content: Mapping[str, Any]) -> Iterator[Chain]:
    tasks = _named(content, "tasks")
    for number, one in enumerate(_listed(content, "models"), start=1):
        where = f"models, number {number}"
        _known(one, ("model", "tasks", "measure"), where)
        if "model" not in one:
            raise InputError(f"{where} must name its model; it has the keys {list(one)}.")
        model, measure = str(one["model"]), one.get("measure", content.get("measure", ()))
        for task in _chosen(one, "tasks", tasks, where):
            factors = {"backbone": model, "task": task, "method": "", "system": ""}
            name = _name([model, task, "as it is"])
            steps = _steps(measure, factors, model, name, _rows(task, tasks))
            yield Chain(name, {**factors, "seed": None}, tuple(steps))


def _steps(
    measure: Any,
    factors: Mapping[str, Any],
    model: str | None,
    chain: str,
    rows: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Step]:
    """The steps that measure; one with ``only`` is done where its factors are named."""
    if not isinstance(measure, Sequence) or isinstance(measure, str):
        raise InputError(f"measure must be a list of commands; got {measure!r}.")
    for one in measure:
        given = dict(_mapping(one, "a command of measure"))
        command, only = given.pop("command", None), given.pop("only", {})
        check_known("command of measure", command, MEASURES)
        _known(_mapping(only, "only"), FACTORS, f"only of {command}")
        if clash := sorted({*given} & {*_NOT_OF_A_STUDY}):
            raise InputError(
                f"{command} in measure must leave out {', '.join(_NOT_OF_A_STUDY)}, which "
                f"the study itself gives; got '{clash[0]}'."
            )
        if any(factors.get(name) not in _list_of(some) for name, some in only.items()):
            continue
        given = {**rows, **given}
        _check_measure(command, given, model or "trained", chain)
        yield Step(command, given, model)


def _rows(task: str, tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a command is told of a task's rows: a declared one's name, or a file's."""
    given = tasks[task]
    if task not in TASKS and "data" not in given:
        raise InputError(
            f"tasks must be declared data sets, {', '.join(TASKS)}, or have a file of "
            f"yours, data: FILE; got '{task}'."
        )
    found = {name: given[name] for name in _OF_ROWS if name in given}
    return found if "data" in found else {"task": task, **found}


def _check_training(given: Mapping[str, Any], chain: str) -> None:
    # A whole number is a number.
    told: dict[str, Any] = {
        name: float(value) if name in _FLOATS and type(value) is int else value
        for name, value in given.items()
    }
    try:
        preset(told.pop("preset", "default"), **told)
    except InputError as error:
        raise InputError(f"training '{chain}': {error}") from None
    except TypeError as error:  # a text where a number is due
        shown = ", ".join(f"{name}: {value!r}" for name, value in given.items())
        raise InputError(
            f"training '{chain}': each setting must be of its kind, a number where numbers "
            f"are due; one of these is not ({str(error).splitlines()[0][:80]}): {shown}."
        ) from None


def _check_measure(command: str, given: Mapping[str, Any], model: str, chain: str) -> None:
    try:
        _read(command, model, *arguments(given))
    except InputError as error:
        raise InputError(f"{command} of '{chain}': {error}") from None


@cache
def _read(command: str, *line: str) -> None:
    """Read a command's line as it would itself; most chains have the same one."""
    settings = parse_settings(
        MEASURES[command],
        line,
        program=f"python -m mi_probe.{command}",
        description="",
        positional="checkpoints",
    )
    if isinstance(settings, EstimateSettings):
        Choice.of(settings)
    elif isinstance(settings, GapSettings):
        settings.asked()
    else:
        settings.check()


def arguments(settings: Mapping[str, Any]) -> list[str]:
    """Settings as a command line has them; one that is null is left out."""
    line: list[str] = []
    for name, value in settings.items():
        option = "--" + str(name).replace("_", "-")
        if isinstance(value, bool):
            line.append(option if value else option.replace("--", "--no-", 1))
        elif value is not None:
            listed = value if isinstance(value, list | tuple) else [value]
            line += [option, ",".join(map(str, listed))]
    return line


def _name(parts: Sequence[Any]) -> str:
    """A folder's name; letters that file names cannot have become a dash."""
    words = [str(part) for part in parts if part not in ("", None)]
    text = "_".join(words)
    return "".join(c if c.isalnum() or c in "-_.+" else "-" for c in text)


def _named(content: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    """A mapping of names to settings; a list of names has no settings."""
    found = content.get(key, {})
    if isinstance(found, list):
        found = dict.fromkeys(map(str, found))
    return {
        str(name): _mapping(given or {}, f"{key}, {name}")
        for name, given in _mapping(found, key).items()
    }


def _chosen(
    one: Mapping[str, Any], key: str, declared: Mapping[str, Any], where: str
) -> list[str]:
    """The names that an entry lists; all that are declared where it lists none."""
    names = [str(name) for name in _list_of(one.get(key, [*declared]))]
    for name in names:
        if name not in declared:
            raise InputError(
                f"{key} of {where} must be declared under '{key}:', which has "
                f"{', '.join(declared) or 'none'}; got '{name}'."
            )
    return names


def _listed(content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = content.get(key, [])
    if not isinstance(found, list):
        raise InputError(f"{key} must be a list; got {found!r}.")
    return [_mapping(one, f"an entry of {key}") for one in found]


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be settings by name; got {value!r}."[:300])
    return value


def _known(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    if unknown := [str(name) for name in given if name not in known]:
        raise InputError(
            f"{where} must have keys of {', '.join(known)}; got '{unknown[0]}'."
        )
