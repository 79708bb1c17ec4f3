"""All token tables of one site: what the command writes, and a notebook asks for."""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false, reportCallIssue=false

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from mi_probe.analysis.dependent_rows import groups_of
from mi_probe.analysis.tokens.comparison import (
    Column,
    attention_received,
    gradient_x_input,
)
from mi_probe.analysis.tokens.controls import CONTROLS, token_controls
from mi_probe.analysis.tokens.files import TokenTables
from mi_probe.analysis.tokens.generated import generated_by_input
from mi_probe.analysis.tokens.population import by_position, by_type, by_word
from mi_probe.analysis.tokens.reading import ANSWERED, reading
from mi_probe.analysis.tokens.row_texts import row_texts, template_mask
from mi_probe.analysis.tokens.span_kinds import Spans
from mi_probe.analysis.tokens.spans import SpanSets, by_span, span_sets
from mi_probe.analysis.tokens.table import (
    token_table,
    with_controls,
    word_table,
    word_types,
)
from mi_probe.analysis.tokens.words import WordReader
from mi_probe.backbones import Backbone
from mi_probe.capture import Sequences
from mi_probe.errors import InputError
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.prefixes.linear import mean_readout
from mi_probe.estimators.prefixes.token_information import (
    FEWEST_A_CLASS,
    TokenInformation,
    token_classes,
    token_information,
)
from mi_probe.hidden import HiddenStates, Role
from mi_probe.tasks import Task

OTHER = "(other)"
"""What stands for all words that are predicted in too few rows."""
_FEWEST_PREDICTED = 10


def measure_tokens(
    backbone: Backbone,
    task: Task,
    data: Sequences,
    z: HiddenStates,
    *,
    answers: Sequence[str] | None = None,
    compare: bool = True,
    controls: Sequence[str] = CONTROLS[:1],
    spans: Mapping[str, Spans] | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> TokenTables:
    """Token-level information of a task's classes at one site.

    Args:
        backbone: the model.
        task: rows and their classes.
        data: what the model read of each row.
        z: its states at the site, of all that was read.
        answers: the word that the model predicted, by row; None where it was not asked.
            The word table is then of the labels.
        compare: add gradient x input and attention, a forward and a backward pass more.
        controls: some of `CONTROLS`: the same map with random labels, and what memorising
            the words gives. Each takes about as long as the map itself.
        spans: sets of tokens that are summed up, by kind: functions such as `turns` and
            `sentences`, or a list of `Span` a row, characters of its prompt.
        batch_size: rows a forward pass.
        seed: of folds and critics.

    Raises:
        InputError: as `discrete_labels` and `token_information`.
    """
    labels, names = discrete_labels(task)
    groups = groups_of(task)
    found = token_information(z, labels, groups=groups, seed=seed)
    prefix, alone = found["prefix"], found["alone"]
    gradient, attention = _compared(
        backbone, data, z, prefix, compare=compare, batch_size=batch_size
    )
    reader = WordReader(backbone.tokenizer)
    ids, roles = _numbers(z.token_ids), _roles(z)
    sets: dict[str, SpanSets] = {}
    template = None
    if backbone.tokenizer.is_fast or spans:
        texts = row_texts(backbone, task, ids, roles, prefix.mask)
        template = template_mask(texts, prefix.mask)
        for kind, own in (spans or {}).items():
            sets[kind] = span_sets(texts, own, prefix.mask, kind=kind)
    given: dict[str, Any] = {"row_ids": task.ids, "token_ids": ids, "roles": roles}
    given |= {"reader": reader, "template": template}
    tokens = token_table(
        prefix,
        alone,
        names=names,
        predicted=answers,
        gradient=gradient.values,
        attention=attention.values,
        **given,
    )
    made = token_controls(
        z, prefix, controls, types=word_types(tokens, prefix.mask), seed=seed
    )
    tokens = with_controls(tokens, made, names)
    said = {f"span_{kind}": own.labels(prefix.mask) for kind, own in sets.items()}
    tokens = tokens.assign(**said)
    words, predicted_by = _words(z, tokens, answers, given, groups, seed)
    wrote = z.roles is not None and bool((z.roles == Role.GENERATED).any())
    positions = by_position(tokens)
    about = {
        "n": len(labels),
        "classes": names,
        "H_Y_nats": prefix.entropy_y,
        "I_YZ_nats": prefix.nats,
        "I_YZ_ci": _interval(prefix),
        "predicted_by": predicted_by,
        "gradient_x_input": gradient.reason or "of the linear log-odds of the mean state",
        "attention": attention.reason
        or "of the block that writes the site, heads averaged",
        "controls": dict(made.about),
        "dependence": [sign.words for sign in prefix.split.signs if sign.flagged],
        "words": f"joined from {reader.scheme} pieces",
        "critics": {name: list(info.history) for name, info in found.items()},
        "seed": seed,
    }
    about["reading"] = reading(
        about, tokens, positions, causal=backbone.kind == "decoder" or "dec." in z.site
    )
    return TokenTables(
        tokens=tokens,
        positions=positions,
        types=by_type(tokens),
        words=words,
        generated=generated_by_input(z, seed=seed) if wrote else None,
        spans=by_span(prefix, sets, None if made.twin is None else made.twin["prefix"])
        if sets
        else None,
        about=about,
    )


def discrete_labels(task: Task) -> tuple[Int[np.ndarray, " n"], list[str]]:
    """Classes 0 ... c-1 of a task, and their names; scores of few values are classes too.

    Raises:
        InputError: for other scores, and as `token_classes`.
    """
    labels = np.asarray(task.labels)
    present, index = np.unique(labels, return_inverse=True)
    if task.label_names is None and np.bincount(index).min() < FEWEST_A_CLASS:
        raise InputError(
            f"task '{task.name}' must have classes for token-level information, or scores "
            f"of few values in {FEWEST_A_CLASS} rows each; it has {len(present)} values in "
            f"{len(labels)} rows. Cut them into classes in a file of your own."
        )
    token_classes(index)
    if task.label_names is None:
        return index, [f"{value:g}" for value in present]
    return index, [task.label_names[int(c)] for c in present]


def _compared(
    backbone: Backbone,
    data: Sequences,
    z: HiddenStates,
    prefix: TokenInformation,
    *,
    compare: bool,
    batch_size: int,
) -> tuple[Column, Column]:
    if not compare:
        nothing = Column(np.full(prefix.mask.shape, np.nan), "not asked for")
        return nothing, nothing
    readout = mean_readout(z, prefix.y, prefix.split.fold)
    return (
        gradient_x_input(backbone, data, z.site, readout, prefix.y, batch_size=batch_size),
        attention_received(backbone, data, z.site, batch_size=batch_size),
    )


def _words(
    z: HiddenStates,
    tokens: pd.DataFrame,
    answers: Sequence[str] | None,
    given: Mapping[str, Any],
    groups: Groups | None,
    seed: int,
) -> tuple[pd.DataFrame, str]:
    """The word table, and of what: of the model's predictions where they vary."""
    if answers is None:
        why = "nothing: the model wrote no answer, so the words are of the labels"
        return by_word(word_table(tokens), group="label"), why
    y, names = _predicted(answers)
    if len(names) < 2:
        why = (
            f"the model, but no two answers occur in {_FEWEST_PREDICTED} rows each, so the "
            "words are of the labels"
        )
        return by_word(word_table(tokens), group="label"), why
    # Y is now the prediction: what a state says of the label is another question.
    found = token_information(z, y, groups=groups, seed=seed)
    own = token_table(found["prefix"], found["alone"], names=names, **given)
    if "random_label" in tokens:
        twin = token_controls(
            z, found["prefix"], CONTROLS[:1], types=np.zeros((0, 0), dtype=int), seed=seed
        )
        own = with_controls(own, twin, names)
    if "control_task_nats" in tokens:
        own = own.assign(control_task_nats=tokens["control_task_nats"])
    return by_word(word_table(own), group="label"), ANSWERED


def _predicted(answers: Sequence[str]) -> tuple[Int[np.ndarray, " n"], list[str]]:
    """Answers as classes; those of few rows together, and with the largest if still few."""
    counts = pd.Series(list(answers)).value_counts()
    kept = [str(word) for word in counts.index[counts >= _FEWEST_PREDICTED]]
    rare = int(counts[counts < _FEWEST_PREDICTED].sum())
    names = [*kept, OTHER] if rare >= _FEWEST_PREDICTED else kept
    if not names:
        return np.zeros(len(answers), dtype=np.int64), []
    place = {word: i for i, word in enumerate(names)}
    otherwise = place.get(OTHER, 0)
    return np.array([place.get(word, otherwise) for word in answers]), names


def _interval(prefix: TokenInformation) -> list[float]:
    totals = prefix.totals
    reach = prefix.split.reach(prefix.split.standard_error(totals))
    return [prefix.nats - reach, prefix.nats + reach]


def _numbers(ids: Any) -> Int[np.ndarray, "n t"]:
    if ids is None:
        raise InputError(
            "z must come with its token ids, to name the tokens; it has none. Capture it "
            "with mi_probe.capture.extract."
        )
    return ids.cpu().numpy().astype(np.int64)


def _roles(z: HiddenStates) -> Int[np.ndarray, "n t"]:
    if z.roles is None:
        return np.where(z.mask.cpu().numpy(), int(Role.PROMPT), int(Role.PAD))
    return z.roles.cpu().numpy().astype(np.int64)
