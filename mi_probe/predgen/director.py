r"""The director: a head on the generated answer's tokens, and its losses.

The answer's m tokens were written after n prompt tokens; their hidden states are Z[n:n+m].
`TaskAdapter` reads those, as the paper has it. `LogitsAdapter` reads the logits over the
vocabulary at the same places, as the published code has it: those that the model gives
*after* each of the answer's tokens, the last one included. Both give (b, n_outputs):
logits of classes, or numbers. `DIRECTORS` turns them and the labels into one loss.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mi_probe.errors import InputError

Director = Callable[[Tensor, Tensor], Tensor]


class TaskAdapter(nn.Module):
    r"""Hidden states of an answer's tokens to a prediction, T(Z[n:n+m]).

    The normed states are averaged with learned weights, and a small network reads the
    average:

    .. math::
        u_t = \mathrm{norm}(z_t), \quad w = \mathrm{softmax}_t(q^\top u_t), \quad
        T = W_2\,\mathrm{gelu}(W_1 \sum_t w_t u_t + b_1) + b_2

    Padding is never read. q, W_2 and b_2 start at 0, so the first prediction is 0 for
    every answer and the first weights are those of the mean. An answer without a token
    gets what an average of 0 gives.

    Where gold tokens were fed, their states hold the label itself, and the director learns
    to copy it: only with the model's own tokens does its loss tell how well it predicts.
    """

    def __init__(
        self,
        hidden_size: int,
        n_outputs: int,
        *,
        width: int = 256,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make an adapter.

        Args:
            hidden_size: units of a hidden state.
            n_outputs: classes, or numbers to predict.
            width: units of the hidden layer.
            dropout: of the hidden layer.
            seed: of the weights.
        """
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.query = nn.Linear(hidden_size, 1, bias=False)
            self.hidden = nn.Linear(hidden_size, width)
            self.output = nn.Linear(width, n_outputs)
        for parameter in (self.query.weight, self.output.weight, self.output.bias):
            nn.init.zeros_(parameter)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, states: Float[Tensor, "b m h"], mask: Bool[Tensor, "b m"]
    ) -> Float[Tensor, "b c"]:
        """The predictions, in the precision of the adapter's weights."""
        u = self.norm(_clean(states, mask, self.hidden.weight.dtype))
        # Autocast scores in 16 bits what came in 32: their own least number, not u's.
        scores = self.query(u)
        scores = scores.masked_fill(~mask[..., None], torch.finfo(scores.dtype).min)
        weights = scores.softmax(1) * mask[..., None]
        found = functional.gelu(self.hidden((weights * u).sum(1)))
        return self.output(self.dropout(found))


class LogitsAdapter(nn.Module):
    r"""The published code's form: logits over the vocabulary, W_2 mean_t(W_1 l_t).

    No hidden state and no non-linearity: one linear map of rank r (10 in the code) of the
    answer's average logits. Its W_1 has vocabulary times r weights. It averages over
    tokens, which is the pooling that the paper argues against; the code takes the last two
    positions, whatever the answer's length, and this takes the answer's own. The logits
    at an answer's token do not predict that token, which the model has read by then, but
    the next one.
    """

    def __init__(
        self, vocab_size: int, n_outputs: int, *, rank: int = 10, seed: int = 0
    ) -> None:
        """Make an adapter.

        Args:
            vocab_size: columns of the logits.
            n_outputs: classes, or numbers to predict.
            rank: of the map.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.hidden = nn.Linear(vocab_size, rank, bias=False)
            self.output = nn.Linear(rank, n_outputs, bias=False)

    def forward(
        self, logits: Float[Tensor, "b m v"], mask: Bool[Tensor, "b m"]
    ) -> Float[Tensor, "b c"]:
        """The predictions, in the precision of the adapter's weights."""
        found = self.hidden(_clean(logits, mask, self.hidden.weight.dtype))
        return self.output(found.sum(1) / mask.sum(1, keepdim=True).clamp(min=1))


def _clean(values: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
    """In the weights' precision, 0 at padding, which may hold anything: 0 * NaN is NaN."""
    return values.to(dtype).masked_fill(~mask[..., None], 0.0)


def cross_entropy(
    outputs: Float[Tensor, "b c"],
    labels: Int[Tensor, " b"],
    weights: Float[Tensor, " c"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of classes, in nats.

    Args:
        outputs: logits.
        labels: a class an example.
        weights: of the classes; the sum is divided by the rows, and not by their weights,
            so that batches of any size add up.
    """
    labels = labels.long()
    if weights is None:
        return functional.cross_entropy(outputs.float(), labels)
    nats = functional.cross_entropy(outputs.float(), labels, reduction="none")
    return (weights.to(labels.device)[labels] * nats).mean()


def bce(
    outputs: Float[Tensor, "b c"], labels: Float[Tensor, "b ..."] | Int[Tensor, "b ..."]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of each output on its own, in nats.

    Args:
        outputs: logits.
        labels: with one output, 0 or 1 (or a probability) an example; with several,
            a class an example, or a number for each output.
    """
    if labels.ndim == 1 and outputs.shape[1] > 1:
        labels = functional.one_hot(labels.long(), outputs.shape[1])
    return functional.binary_cross_entropy_with_logits(*_paired(outputs, labels))


def mse(
    outputs: Float[Tensor, "b c"], labels: Float[Tensor, "b ..."] | Int[Tensor, "b ..."]
) -> Float[Tensor, ""]:
    """Mean squared error, in the labels' unit squared."""
    return functional.mse_loss(*_paired(outputs, labels))


def mae(
    outputs: Float[Tensor, "b c"], labels: Float[Tensor, "b ..."] | Int[Tensor, "b ..."]
) -> Float[Tensor, ""]:
    """Mean absolute error, in the labels' unit."""
    return functional.l1_loss(*_paired(outputs, labels))


def huber(
    outputs: Float[Tensor, "b c"], labels: Float[Tensor, "b ..."] | Int[Tensor, "b ..."]
) -> Float[Tensor, ""]:
    """Half the squared error within 1 of the label, and linear beyond.

    Where labels lie within 0 ... 1 it is half of `mse`.
    """
    return functional.huber_loss(*_paired(outputs, labels))


def _paired(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (b, c) floats: (b, 1) against (b,) would spread to (b, b) unnoticed."""
    labels = labels.float()
    if labels.ndim == 1:
        labels = labels[:, None]
    if labels.shape != outputs.shape:
        raise InputError(
            "labels must hold a number for each output, "
            f"{tuple(outputs.shape)}; got {tuple(labels.shape)}."
        )
    return outputs.float(), labels


DIRECTORS: dict[str, Director] = {
    "cross_entropy": cross_entropy,
    "bce": bce,
    "mse": mse,
    "mae": mae,
    "huber": huber,
}
"""Name to the mean loss of a batch, from (outputs, labels)."""
