"""What a model itself says of each label: log p(label | prompt), before any critic.

A trained system with a head says it by its head. Any other language model is asked how
likely it is to write each label's own answer after the prompt (zero-shot),

    log q(y|x) = log p(text of y | x) - log sum_c p(text of c | x),

the product over the answer's tokens, renormalised over the labels. No end is asked for: a
label whose text another one begins with has the advantage of both.

The same model can be asked the other way round, as a generative classifier: how likely it
is to write the prompt after each label's answer, by Bayes' rule with equal priors

    log q(y|x) = log p(x | text of y) - log sum_c p(x | text of c).

References:
    Brown et al. 2020, Language Models are Few-Shot Learners, arXiv 2005.14165, section 2.4.
    Min et al. 2022, Noisy Channel Language Model Prompting for Few-Shot Text
    Classification, arXiv 2108.04106.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64
from scipy.special import log_softmax
from tqdm.auto import tqdm

from mi_probe.backbones import Backbone
from mi_probe.backbones.trial import evaluating
from mi_probe.errors import InputError
from mi_probe.predgen.design import design_for
from mi_probe.predgen.encoding import Rows, encode_parts
from mi_probe.predgen.inference import (
    Answers,
    batches,
    check_writes,
    head_outputs,
    padded_right,
)
from mi_probe.predgen.one_reading import ReadPrompt, can_read_once
from mi_probe.predgen.systems import System
from mi_probe.tasks import Task
from mi_probe.tasks.answers import Words

Asked: TypeAlias = Literal["label", "text"]
"""Whose probability is asked for, after the other: the label's, or the prompt's text."""
_IMPOSSIBLE = -1e4
"""The log probability of an option that a row does not have."""


@dataclass(frozen=True, eq=False)
class OwnPosterior:
    """A model's own q(y|x) on a task's rows: what it depends on, and how it is made."""

    key: Mapping[str, Any]
    """What identifies it; JSON-able."""
    log_probabilities: Callable[[], Float64[np.ndarray, "n c"]]
    """Makes them, in nats; may take long."""


def own_posterior(
    backbone: Backbone,
    task: Task,
    *,
    max_tokens: int,
    batch_size: int = 16,
    asked: Asked = "label",
) -> OwnPosterior | None:
    """A language model's `answer_log_probabilities`, to be made when wanted.

    None for what cannot say any: an encoder, a model that was loaded without its language
    model's head or that learned a prompt, and for scores.
    """
    if task.label_names is None:
        return None
    try:
        check_writes(backbone)
    except InputError:
        return None

    def make() -> Float64[np.ndarray, "n c"]:
        return answer_log_probabilities(
            backbone, task, max_tokens=max_tokens, batch_size=batch_size, asked=asked
        )

    texts = [list(one.answers[:1]) for one in _each_label(task)]
    key = {"model": backbone.fingerprint, "texts": texts, "max_tokens": max_tokens}
    return OwnPosterior(key if asked == "label" else {**key, "asked": asked}, make)


def system_posterior(
    system: System,
    task: Task,
    rows: Rows,
    answers: Answers | None,
    key: Mapping[str, Any],
    *,
    max_tokens: int,
    batch_size: int = 16,
) -> OwnPosterior | None:
    """What a trained system says of each label, to be made when wanted; None for scores.

    By the head of a Predictor, and by PredGen's task adapter on what it has written; a
    Generator is asked as any language model is.

    Args:
        system: the trained one.
        task: the rows.
        rows: the same, encoded.
        answers: what it has written; None where that is not known, and of a Predictor.
        key: what its answers depend on.
        max_tokens: of a prompt.
        batch_size: rows a forward pass.
    """
    if system.objective == "generator":
        return own_posterior(
            system.backbone, task, max_tokens=max_tokens, batch_size=batch_size
        )
    if task.label_names is None:
        return None
    written = None
    if system.objective == "predgen":
        if answers is None or answers.token_ids is None:
            return None
        written = answers.token_ids

    def make() -> Float64[np.ndarray, "n c"]:
        return log_softmax(head_outputs(system, rows, written, batch_size), axis=1)

    return OwnPosterior({**key, "by": "head"}, make)


def answer_log_probabilities(
    backbone: Backbone,
    task: Task,
    *,
    max_tokens: int = 512,
    batch_size: int = 16,
    asked: Asked = "label",
    progress: bool = True,
) -> Float64[np.ndarray, "n c"]:
    """Log probabilities (nats) that a language model gives each label, zero-shot.

    Of labels asked for, each prompt is read once where the model's memory allows it, and
    otherwise once a label; a text is read once a label. Not to be trusted as what the model
    *knows*: it is what it says of these very words, in this template; its states may hold
    far more. The likelihood of a text is a sum over all its tokens, so that the posterior
    is far too sure; calibrated it tells more.

    Args:
        backbone: loaded with its language model's head.
        task: classes, whose answers' texts are asked for.
        max_tokens: longer prompts lose their middle.
        batch_size: rows a forward pass.
        asked: ``label`` for p(label | prompt), ``text`` for p(prompt | label).
        progress: show a bar where stderr is a terminal.

    Returns:
        A row an example; the probabilities of its labels add up to 1.

    Raises:
        InputError: for scores, a model without a head that writes, or answers that leave a
            prompt no room.
    """
    if task.label_names is None:
        raise InputError(
            f"task '{task.name}' must have classes for a model to give them probabilities; "
            "its labels are scores. Leave out the controls 'answer' and 'likelihood'."
        )
    check_writes(backbone)
    system = System(backbone, design_for(task, "generator"))
    labels = _each_label(task)
    if asked == "text":
        labels = [_text_after_label(one) for one in labels]
    parts = {str(label): one for label, one in enumerate(labels)}
    encoded = encode_parts(backbone, parts, max_tokens=max_tokens, ends=False)
    scores = _scored(system, list(encoded.values()), batch_size, asked, progress)
    for row, options in enumerate(task.options):
        scores[row, len(options) :] = _IMPOSSIBLE
    return log_softmax(scores, axis=1)


def _each_label(task: Task) -> list[Task]:
    """The task once a label, as if that were every row's right answer."""
    assert task.label_names is not None
    form = task.form or Words(task.label_names)
    options = task.options or ((),) * len(task)
    found = []
    for label in range(len(task.label_names)):
        # Of an option that a row lacks the first is asked for, and not counted.
        texts = [form.write(label if label < len(o) or not o else 0, o) for o in options]
        found.append(replace(task, answers=tuple(texts)))
    return found


def _text_after_label(task: Task) -> Task:
    """The task turned round: each answer is the prompt of what was its prompt."""
    labels = tuple(f"{answer.strip()}\n" for answer in task.answers)
    return replace(task, prompts=labels, answers=task.prompts)


def _scored(
    system: System,
    parts: Sequence[Rows],
    batch_size: int,
    asked: Asked,
    progress: bool,
) -> Float64[np.ndarray, "n c"]:
    """The sum over what is asked for of its tokens' log probabilities, a column a label."""
    backbone, numbered = system.backbone, list(enumerate(parts))
    # Labels are asked for after one prompt, texts after a label's each.
    sets = [numbered] if asked == "label" else [[one] for one in numbered]
    scores = np.zeros((len(parts[0]), len(parts)))
    total = len(sets) * len(parts[0])
    bar = tqdm(total=total, unit="row", desc="answers", disable=None if progress else True)
    with torch.no_grad(), evaluating(system), bar:
        once = asked == "label" and can_read_once(system.model, training=False)
        for labels in sets:
            for index, batch in batches(backbone, labels[0][1], batch_size):
                read = batch["prompt_ids"], batch["prompt_mask"]
                prompt = ReadPrompt(system.model, *read) if once else None
                for label, rows in labels:
                    ids, mask = padded_right(backbone, [rows[i].answer for i in index])
                    if prompt is not None and ids.shape[1] == 1:
                        logits = prompt.first[:, None]  # its own reading has said it
                    else:
                        logits = system.read(*read, ids, mask, prompt).logits
                    log_p = logits.float().log_softmax(-1)
                    of_token = log_p.gather(2, ids[:, :, None])[..., 0]
                    scores[index, label] = (of_token * mask).double().sum(1).cpu().numpy()
                bar.update(len(index))
    return scores
