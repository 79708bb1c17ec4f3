"""What a model says of each label: the same as its log probabilities, token by token."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_model, tiny_tokenizer

from mi_probe.backbones import wrap_backbone
from mi_probe.errors import InputError
from mi_probe.predgen.build import build_system
from mi_probe.predgen.design import design_for
from mi_probe.predgen.encoding import encode
from mi_probe.predgen.inference import answer
from mi_probe.predgen.label_probabilities import (
    answer_log_probabilities,
    own_posterior,
    system_posterior,
)
from mi_probe.tasks import Task
from mi_probe.tasks.answers import OptionText, Words

TASK = Task(
    name="mine",
    prompts=("a charming journey of a film, not at all funny:", "bad:", "good but:"),
    answers=(" yes", " no", " yes"),
    labels=np.array([1, 0, 1]),
    label_names=("no", "yes"),
    target="verdict",
    ids=("a", "b", "c"),
)
LONG = replace(TASK, form=Words(("no way at all", "certainly")))


def backbone_of(family):
    head = "Seq2SeqLM" if family in ("t5", "bart") else "CausalLM"
    return wrap_backbone(tiny_model(family, head=head), tiny_tokenizer(), name=family)


def by_hand(backbone, task, words):
    """Of a decoder: each text whole, alone and without padding."""
    found = []
    for prompt in task.prompts:
        scores = [unnormalised(backbone, prompt, word) for word in words]
        total = np.logaddexp.reduce(scores)
        found.append([score - total for score in scores])
    return np.array(found)


def unnormalised(backbone, prompt, text):
    """The log probability of a text after a prompt."""
    tokens = backbone.tokenizer
    read = tokens(prompt)["input_ids"]
    ids = torch.tensor([tokens(prompt + text)["input_ids"]])
    with torch.no_grad():
        log_p = backbone.model(input_ids=ids).logits[0].double().log_softmax(-1)
    places = range(len(read), ids.shape[1])
    return sum(float(log_p[t - 1, ids[0, t]]) for t in places)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(
    ("task", "words"),
    [(TASK, (" no", " yes")), (LONG, (" no way at all", " certainly"))],
)
def test_they_are_the_products_of_the_tokens(family, task, words):
    backbone = backbone_of(family)
    found = answer_log_probabilities(backbone, task, batch_size=2, progress=False)
    assert found == pytest.approx(by_hand(backbone, task, words), abs=2e-4)
    assert np.exp(found).sum(1) == pytest.approx(np.ones(3))
    alone = answer_log_probabilities(backbone, task, batch_size=1, progress=False)
    assert found == pytest.approx(alone, abs=2e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_text_s_likelihood_is_the_product_of_its_tokens_after_the_label(family):
    backbone = backbone_of(family)
    told = {"asked": "text", "progress": False}
    found = answer_log_probabilities(backbone, LONG, batch_size=2, **told)
    # Turned round: two prompts, the labels, and each text after both.
    turned = replace(LONG, prompts=("no way at all\n", "certainly\n"))
    for row, prompt in enumerate(LONG.prompts):
        scores = [unnormalised(backbone, label, prompt) for label in turned.prompts]
        assert found[row] == pytest.approx(scores - np.logaddexp.reduce(scores), abs=5e-4)
    alone = answer_log_probabilities(backbone, LONG, batch_size=1, **told)
    assert found == pytest.approx(alone, abs=5e-4)


def test_an_encoder_decoder_says_them_too():
    found = answer_log_probabilities(backbone_of("t5"), LONG, progress=False)
    assert np.exp(found).sum(1) == pytest.approx(np.ones(3))
    assert found.std(0).min() > 0


def test_an_option_that_a_row_lacks_has_no_probability():
    options = (("a hat", "a cat", "a bat"), ("one", "two"), ("x y", "z"))
    names = ("first", "second", "third")
    task = replace(TASK, options=options, label_names=names, form=OptionText())
    found = np.exp(answer_log_probabilities(backbone_of("llama"), task, progress=False))
    assert found.shape == (3, 3)
    assert found[1:, 2].tolist() == [0, 0]
    assert found.sum(1) == pytest.approx(np.ones(3))
    assert found[0].min() > 0


def test_scores_and_bare_models_have_none():
    scores = replace(TASK, labels=np.array([0.1, 0.2, 0.3]), label_names=None)
    backbone = backbone_of("llama")
    with pytest.raises(InputError, match="must have classes for a model"):
        answer_log_probabilities(backbone, scores)
    assert own_posterior(backbone, scores, max_tokens=64) is None
    bare = wrap_backbone(tiny_model("llama"), tiny_tokenizer())
    assert own_posterior(bare, TASK, max_tokens=64) is None
    with pytest.raises(InputError, match="language model's head"):
        answer_log_probabilities(bare, TASK)


def test_a_trained_head_says_what_it_predicts():
    backbone = backbone_of("llama")
    system = build_system(backbone, design_for(TASK, "predictor"), seed=1).eval()
    rows = encode(backbone, TASK, max_tokens=64)
    found = system_posterior(system, TASK, rows, None, {"a": 1}, max_tokens=64)
    assert found is not None
    said = found.log_probabilities()
    assert np.exp(said).sum(1) == pytest.approx(np.ones(3))
    assert said.argmax(1).tolist() == answer(system, TASK, rows).values.tolist()
    # PredGen's reads what it has written, which must be known.
    predgen = build_system(backbone, design_for(TASK, "predgen"), seed=1).eval()
    told = predgen, TASK, rows
    assert system_posterior(*told, None, {}, max_tokens=64) is None
    written = answer(predgen, TASK, rows)
    found = system_posterior(*told, written, {}, max_tokens=64)
    assert found is not None
    assert found.log_probabilities().argmax(1).tolist() == written.values.tolist()
