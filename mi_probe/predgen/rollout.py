"""The model's own answers in training: written from the prompt, or mixed into gold.

Two ways to let a model read its own tokens in place of gold ones:

- *Whole answers*, as in PredGen's published code: one coin a batch (`batch_coin`), and
  where it says so `roll_out` writes the answer from the prompt.
- *Single tokens in two passes*, after Mihaylova and Martins 2019,
  https://arxiv.org/abs/1906.07651: `predict_answer` gives the model's token at every place
  of the answer, each after the gold tokens before it, and `mix_tokens` replaces some of the
  gold ones by them. One more forward, whatever the answer's length; but the token put in
  at place t followed gold, not the tokens put in before t.

Neither keeps a graph, changes the model's mode or draws from the global generator. Both
move the padding of prompts to where the model bears it, so it may come on either side.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from mi_probe.backbones.trial import evaluating
from mi_probe.predgen.reader import Draw, Reader, Writing

AnyMask = Bool[Tensor, "b t"] | Int[Tensor, "b t"]


def roll_out(
    model: nn.Module,
    input_ids: Int[Tensor, "b t"],
    attention_mask: AnyMask,
    *,
    max_new_tokens: int,
    eos_id: int | Sequence[int] | None,
    pad_id: int,
    sample: bool = False,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    decoder_start: int | None = None,
) -> tuple[Int[Tensor, "b m"], Bool[Tensor, "b m"]]:
    """Answers that the model writes by itself, with its key-value cache.

    The model's ``generation_config`` is not read: no penalty, no forced token, no beam.
    Every rank that shares a model must make the same number of forwards under FSDP or
    ZeRO-3: give ``eos_id=None`` there, which writes ``max_new_tokens`` tokens always.

    Args:
        model: a causal language model or an encoder-decoder with its language-model head,
            of Hugging Face, wrapped by PEFT or not.
        input_ids: the prompts.
        attention_mask: True or 1 at their real tokens.
        max_new_tokens: tokens an answer at most.
        eos_id: the token, or tokens, that end an answer; None never to stop.
        pad_id: what follows the end.
        sample: draw each token instead of taking the most probable one.
        temperature: of the draw; 1 is the model's own distribution.
        generator: for the draws, on any device.
        decoder_start: the token with which an encoder-decoder begins to write; None for
            its configuration's.

    Returns:
        The tokens, the end token included, and True where there is one. As many columns as
        the longest answer has.

    Raises:
        InputError: on a prompt without a token, no token to write, a draw without a
            generator or at a temperature that is not above 0, or an encoder-decoder
            without a start token.
    """
    writing = Writing(max_new_tokens, eos_id, pad_id, Draw(sample, temperature, generator))
    with torch.no_grad(), evaluating(model):
        reader = Reader(model, input_ids, attention_mask, decoder_start)
        return writing.written(reader, reader.open())


def predict_answer(
    model: nn.Module,
    input_ids: Int[Tensor, "b t"],
    attention_mask: AnyMask,
    answer_ids: Int[Tensor, "b m"],
    answer_mask: Bool[Tensor, "b m"] | Int[Tensor, "b m"],
    *,
    sample: bool = False,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    decoder_start: int | None = None,
) -> Int[Tensor, "b m"]:
    """The model's token at each place of a gold answer, after the gold tokens before it.

    The first pass of mixing by tokens. Place t of the result stands for place t of the
    answer: it is read off the logits one position earlier.

    Args:
        model: as for `roll_out`.
        input_ids: the prompts.
        attention_mask: True or 1 at their real tokens.
        answer_ids: the gold answers, padded on the right.
        answer_mask: True or 1 at their real tokens.
        sample: draw each token instead of taking the most probable one.
        temperature: of the draw.
        generator: for the draws.
        decoder_start: as for `roll_out`.

    Returns:
        The tokens; at padding, what the answers hold there.

    Raises:
        InputError: as `roll_out`.
    """
    draw = Draw(sample, temperature, generator)
    answer_mask = answer_mask.bool()
    with torch.no_grad(), evaluating(model):
        reader = Reader(model, input_ids, attention_mask, decoder_start)
        logits = reader.along(answer_ids, answer_mask)
    return torch.where(answer_mask, draw(logits), answer_ids)


def mix_tokens(
    gold: Int[Tensor, "b m"],
    own: Int[Tensor, "b m"],
    mask: Bool[Tensor, "b m"] | Int[Tensor, "b m"],
    probability: float,
    generator: torch.Generator,
) -> Int[Tensor, "b m"]:
    """Gold answers in which each real token is the model's own with a probability.

    Args:
        gold: the answers.
        own: what `predict_answer` gave for them.
        mask: True or 1 at the answers' real tokens; nothing else is replaced.
        probability: of the model's own token, each on its own coin.
        generator: for the coins, on any device.
    """
    coins = torch.rand(gold.shape, generator=generator, device=generator.device)
    return torch.where(mask.bool() & (coins < probability).to(gold.device), own, gold)


def batch_coin(probability: float, step: int, seed: int) -> bool:
    """True with a probability: the model's own answers in this step.

    A function of the optimiser's step and the seed, so that every rank, and every
    micro-batch of the step, and a resumed training, sees the same side.
    """
    draw = np.random.default_rng(np.random.SeedSequence([seed, step])).random()
    return bool(draw < probability)
