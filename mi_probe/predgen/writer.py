"""The writer's loss: of the right answer's tokens, each after what was read before it."""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


class Read(NamedTuple):
    """What one pass over prompt and answer gives."""

    logits: Float[Tensor, "b m v"]
    """Those that predict each of the answer's tokens."""
    states: Float[Tensor, "b m h"] | None
    """Z[n:n+m]: the last states of the answer's own tokens."""
    prompt_logits: Float[Tensor, "b p v"] | None = None
    """Those that predict the prompt's tokens after the first, if that is trained."""
    answer_logits: Float[Tensor, "b m v"] | None = None
    """Those at the answer's own tokens, each of which has been read: they predict what
    comes after it. Where the published task adapter reads them."""


def writer_loss(
    read: Read,
    prompt_ids: Int[Tensor, "b n"],
    prompt_mask: Bool[Tensor, "b n"],
    answer_ids: Int[Tensor, "b m"],
    answer_mask: Bool[Tensor, "b m"],
    fed_mask: Bool[Tensor, "b k"],
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """The mean over tokens in nats, and how many tokens it is of.

    Of the answer's tokens; and of the prompt's, where `read` has their logits.
    """
    answer_ids, kept = comparable(answer_ids, answer_mask, fed_mask)
    of_answer, m = _cross_entropy(read.logits, answer_ids, kept), kept.sum()
    if read.prompt_logits is None:
        return of_answer, m
    kept = _prompt_tokens(prompt_mask)
    of_prompt, n = _cross_entropy(read.prompt_logits, prompt_ids[:, 1:], kept), kept.sum()
    return (n * of_prompt + m * of_answer) / (n + m), n + m


def writer_tokens(
    prompt_mask: Bool[Tensor, "b n"],
    answer_mask: Bool[Tensor, "b m"],
    fed_mask: Bool[Tensor, "b k"] | None = None,
    *,
    prompts: bool = False,
) -> Int[Tensor, ""]:
    """How many tokens `writer_loss` is of, without reading them.

    Args:
        prompt_mask: true at real tokens.
        answer_mask: of the right answers.
        fed_mask: of the answers that are read; None: the right ones.
        prompts: count the prompts' tokens, too.
    """
    fed_mask = answer_mask if fed_mask is None else fed_mask
    found = comparable(answer_mask.long(), answer_mask, fed_mask)[1].sum()
    return found + _prompt_tokens(prompt_mask).sum() if prompts else found


def _prompt_tokens(mask: Tensor) -> Tensor:
    return mask[:, 1:] & mask[:, :-1]


def comparable(
    answer_ids: Int[Tensor, "b m"],
    answer_mask: Bool[Tensor, "b m"],
    fed_mask: Bool[Tensor, "b k"],
) -> tuple[Int[Tensor, "b k"], Bool[Tensor, "b k"]]:
    """The right answer beside one that was read, and where both have a token.

    Where the model itself stopped too early, nothing comes next; where it ran on, nothing
    should.
    """
    wide = max(0, fed_mask.shape[1] - answer_mask.shape[1])
    ids, mask = F.pad(answer_ids, (0, wide)), F.pad(answer_mask, (0, wide))
    m = fed_mask.shape[1]
    return ids[:, :m], mask[:, :m] & fed_mask


def _cross_entropy(logits: Tensor, tokens: Tensor, kept: Tensor) -> Tensor:
    """The mean over the tokens that are kept."""
    return F.cross_entropy(logits[kept].float(), tokens[kept])
