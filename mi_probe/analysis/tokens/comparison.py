r"""What other methods say of a sentence's tokens: gradient x input, and attention.

Neither is information; both stand beside it so that a reader sees where they differ.

- ``gradient_x_input``: with e_t the state at the bottom of the stack (the embedding of
  token t) and s(z) = w_y . mean_t z_t the linear log-odds of the row's class at the site,
  by a fit that never saw the row: :math:`\sum_d e_{td} \, \partial s / \partial e_{td}`.
  It has no unit and depends on where the embeddings' origin lies.
- ``attention``: of the block whose output the site is, heads averaged: from the last
  token to each in a model that reads left to right, from all tokens on average in one that
  reads both ways. It says where the block looked, not what for.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mi_probe.backbones import Backbone, Site
from mi_probe.backbones.blocks import resolve_blocks
from mi_probe.backbones.trial import evaluating
from mi_probe.capture import Sequences
from mi_probe.capture.forward import make_batch, run
from mi_probe.estimators.prefixes.linear import MeanReadout


@dataclass(frozen=True)
class Column:
    """A value for each token, or why there is none."""

    values: Float[np.ndarray, "n t"]
    """NaN where a row has no token, or everywhere."""
    reason: str = ""
    """Why there are no values; empty where there are."""


def gradient_x_input(
    backbone: Backbone,
    data: Sequences,
    site: str,
    readout: MeanReadout,
    y: Int[np.ndarray, " n"],
    *,
    batch_size: int = 16,
) -> Column:
    """How the class's log-odds at a site change with each token's embedding.

    Args:
        backbone: the model.
        data: what it reads.
        site: where the log-odds are read.
        readout: the linear log-odds.
        y: the class of each row.
        batch_size: rows a forward pass.
    """
    deepest = _site(backbone, site)
    shape = _shape(backbone, data, deepest)
    if backbone.n_virtual_tokens:
        return _none(shape, "a learned prompt stands before the tokens")
    bottom = next(s for s in backbone.sites if s.stack == deepest.stack)
    found = np.full(shape, np.nan)
    with evaluating(backbone.model), _tracked(backbone, bottom.stack):
        for rows in _batches(data, batch_size):
            batch = make_batch(backbone, data, rows)
            held: dict[str, Tensor] = {}

            def receive(at: Site, values: Tensor, held: dict[str, Tensor] = held) -> None:
                held[at.name] = values

            wanted = [bottom] if bottom is deepest else [bottom, deepest]
            run(backbone, batch, wanted, receive, gradients=True)
            z, e = held[deepest.name], held[bottom.name]
            mask = batch.streams[deepest.stack].mask.to(z.device)
            w = torch.stack([readout.weights_of(r, int(y[r])) for r in rows]).to(z.device)
            mean = (z.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            [slope] = torch.autograd.grad((mean * w).sum(), [e])
            product = (slope.float() * e.detach().float()).sum(2)
            _put(found, rows, product.cpu(), mask.cpu())
    return Column(found)


def attention_received(
    backbone: Backbone, data: Sequences, site: str, *, batch_size: int = 16
) -> Column:
    """The attention that each token receives in the block that writes a site.

    The model is set to the ``eager`` implementation for this, and back: no other gives
    its weights.

    Args:
        backbone: the model.
        data: what it reads.
        site: whose block is asked.
        batch_size: rows a forward pass.
    """
    wanted = _site(backbone, site)
    shape = _shape(backbone, data, wanted)
    if wanted.name.endswith("embed"):
        return _none(shape, "no block comes before the embeddings")
    if backbone.n_virtual_tokens:
        return _none(shape, "a learned prompt stands before the tokens")
    blocks = resolve_blocks(backbone.base)[backbone.stacks.index(wanted.stack)]
    own = re.search(r"block\.(\d+)", wanted.name)
    number = len(blocks) - 1 if own is None else int(own[1])
    causal = backbone.kind == "decoder" or wanted.stack == "dec"
    found = np.full(shape, np.nan)
    try:
        with _eager(backbone), evaluating(backbone.model):
            for rows in _batches(data, batch_size):
                batch = make_batch(backbone, data, rows)
                mask = batch.streams[wanted.stack].mask
                with _weights(blocks[number], mask.shape[1]) as seen:
                    run(backbone, batch, [wanted], lambda *_: None)
                if not seen:
                    return _none(shape, "the block shows no attention weights")
                weights = seen[0].float().mean(1).cpu()
                last = (mask.sum(1) - 1)[:, None, None].expand(-1, 1, mask.shape[1])
                asking = mask[..., None] / mask.sum(1)[:, None, None]
                received = (
                    weights.gather(1, last)[:, 0] if causal else (weights * asking).sum(1)
                )
                _put(found, rows, received, mask)
    except (ValueError, NotImplementedError) as error:
        return _none(shape, f"eager attention cannot be had: {str(error).splitlines()[0]}")
    return Column(found)


def _site(backbone: Backbone, name: str) -> Site:
    return backbone.select([name])[0]


def _shape(backbone: Backbone, data: Sequences, site: Site) -> tuple[int, int]:
    if site.stack != "dec":
        return len(data), max(map(len, data.input_ids))
    decoder = data.decoder_ids
    return len(data), 1 if decoder is None else max(map(len, decoder))


def _none(shape: tuple[int, int], reason: str) -> Column:
    return Column(np.full(shape, np.nan), reason)


def _batches(data: Sequences, size: int) -> Iterator[list[int]]:
    """Rows of about one length together."""
    order = sorted(range(len(data)), key=lambda row: -len(data.input_ids[row]))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _put(found: np.ndarray, rows: Sequence[int], values: Tensor, mask: Tensor) -> None:
    """Batches are padded on the right, as `found` is."""
    width = min(found.shape[1], values.shape[1])
    kept = np.where(mask, values.numpy(), np.nan)
    found[rows, :width] = kept[:, :width]


@contextmanager
def _tracked(backbone: Backbone, stack: str) -> Iterator[None]:
    """Derivatives by the embeddings alone: no weight's are kept."""
    before = [(w, w.requires_grad) for w in backbone.model.parameters()]
    part: Any = backbone.base
    if stack == "enc":
        part = backbone.base.get_encoder()
    elif stack == "dec":
        part = backbone.base.get_decoder()
    embedding = part.get_input_embeddings()
    try:
        for w, _ in before:
            w.requires_grad_(False)
        for w in embedding.parameters():
            w.requires_grad_(True)
        yield
    finally:
        for w, needed in before:
            w.requires_grad_(needed)


@contextmanager
def _eager(backbone: Backbone) -> Iterator[None]:
    base = backbone.base
    before = base.config._attn_implementation  # the only place where it is kept
    base.set_attn_implementation("eager")
    try:
        yield
    finally:
        if before is not None:
            base.set_attn_implementation(before)


@contextmanager
def _weights(block: nn.Module, length: int) -> Iterator[list[Tensor]]:
    """Weights (n, heads, t, t) that a part of the block returns, the first ones first."""
    seen: list[Tensor] = []

    def look(_module: nn.Module, _args: Any, output: Any) -> None:
        for part in output if isinstance(output, tuple) else ():
            if (
                isinstance(part, Tensor)
                and part.ndim == 4
                and part.shape[2:] == (length, length)
                # Position biases have this shape too, but are no shares.
                and bool((part[:, :, -1].sum(-1) - 1).abs().max() < 1e-2)
            ):
                seen.append(part.detach())

    handles = [module.register_forward_hook(look) for module in block.modules()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
