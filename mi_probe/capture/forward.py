"""One batch through the model, padded right, masked and with positions.

The forward goes no further up than the deepest site wanted.
"""

import inspect
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mi_probe.backbones import Backbone, Site
from mi_probe.backbones.head import head_positions
from mi_probe.capture.hooks import Receive, StopForward, tapped
from mi_probe.capture.sequences import Sequences, decoder_start
from mi_probe.errors import InputError
from mi_probe.hidden import Role


@dataclass(frozen=True)
class Stream:
    """What one stack of the model reads in one batch; axes n, t."""

    token_ids: Tensor
    mask: Tensor
    roles: Tensor
    head: Tensor
    """Where the architecture's classifier reads (n,); -1 where nowhere."""

    @property
    def lengths(self) -> Tensor:
        """Real tokens an example."""
        return self.mask.sum(1)


@dataclass(frozen=True)
class Batch:
    """Some rows of the data, for each stack: ``""``, or ``enc`` and ``dec``."""

    ids: tuple[str, ...]
    streams: dict[str, Stream]


def make_batch(
    backbone: Backbone, data: Sequences, rows: Sequence[int], *, extra: int = 0
) -> Batch:
    """The rows as right-padded tensors on the CPU.

    Args:
        backbone: whose pad token fills the gaps.
        data: the sequences.
        rows: which of them.
        extra: columns of padding beyond the longest row.
    """
    inputs = [data.input_ids[r] for r in rows]
    roles = None if data.roles is None else [data.roles[r] for r in rows]
    head = head_positions(backbone, inputs)
    if backbone.kind != "encoder-decoder":
        return Batch(
            tuple(data.ids[r] for r in rows),
            {"": _stream(backbone, inputs, roles, head, extra)},
        )
    if data.decoder_ids is None:
        decoder = [[decoder_start(backbone)]] * len(rows)
    else:
        decoder = [data.decoder_ids[r] for r in rows]
    decoder_roles = (
        None if data.decoder_roles is None else [data.decoder_roles[r] for r in rows]
    )
    # The head's rule holds in a decoder that reads the prompt, shifted; only there.
    reads_prompt = [
        [*ids[1:]] == [*prompt[:-1]] and len(ids) == len(prompt)
        for ids, prompt in zip(decoder, inputs, strict=True)
    ]
    decoder_head = head.masked_fill(~torch.tensor(reads_prompt), -1)
    return Batch(
        tuple(data.ids[r] for r in rows),
        {
            "enc": _stream(backbone, inputs, roles, head, extra),
            "dec": _stream(backbone, decoder, decoder_roles, decoder_head, extra),
        },
    )


def run(
    backbone: Backbone,
    batch: Batch,
    sites: Sequence[Site],
    receive: Receive,
    *,
    positions: bool = True,
    gradients: bool = False,
) -> None:
    """One forward pass that ends at the deepest of the sites.

    Args:
        backbone: the model.
        batch: what it reads.
        sites: the sites wanted, in the model's own order.
        receive: called with each site and its states (n, t, d): without the virtual
            positions, and without those that the model itself filled the rows up with.
        positions: give position ids; False leaves them to the model, which is right
            for one row without padding.
        gradients: keep the graph, so that ``receive`` may ask for derivatives.

    Raises:
        InputError: if a site never ran, ran twice, or has not one state a token.
    """
    seen: set[str] = set()

    def own_positions(site: Site, values: Tensor) -> None:
        length = batch.streams[site.stack].token_ids.shape[1]
        beyond = values.shape[1] - site.virtual - length
        if site.name in seen or beyond < 0 or (beyond and not site.filled_up):
            raise InputError(
                f"site '{site.name}' must run once, with a state for each of {length} "
                f"tokens, as it did for a few; it came "
                f"{'twice' if site.name in seen else f'with {values.shape[1]}'}. This "
                "model cannot be captured at this length."
            )
        seen.add(site.name)
        # A slice of everything would be another tensor, which the graph does not hold.
        whole = not site.virtual and not beyond
        receive(site, values if whole else values[:, site.virtual :][:, :length])

    inputs = _inputs(backbone, batch, positions)
    with (
        torch.enable_grad() if gradients else torch.inference_mode(),
        tapped(backbone, sites, own_positions, stop_at=sites[-1]),
        suppress(StopForward),
    ):
        # The base, into which adapters are injected; where a prompt is learned, the
        # wrapper, which puts it in front. Its LM head stays out all the same: the
        # forward stops below it.
        backbone.runner(**inputs)
    missed = [site.name for site in sites if site.name not in seen]
    if missed:
        raise InputError(
            f"each site must run in a forward pass; {', '.join(missed)} did not. "
            "Leave them out."
        )


def _stream(
    backbone: Backbone,
    ids: Sequence[Sequence[int]],
    roles: Sequence[Sequence[int]] | None,
    head: Tensor,
    extra: int,
) -> Stream:
    shape = (len(ids), max(map(len, ids)) + extra)
    token_ids = torch.full(shape, _filler(backbone))
    present = torch.full(shape, int(Role.PAD), dtype=torch.int8)
    for i, row in enumerate(ids):
        token_ids[i, : len(row)] = torch.as_tensor(row)
        present[i, : len(row)] = (
            int(Role.PROMPT)
            if roles is None
            else torch.as_tensor(roles[i], dtype=torch.int8)
        )
    mask = torch.arange(shape[1]) < torch.tensor([[len(row)] for row in ids])
    # A classifier that would read a gold answer's token has no position that may be
    # pooled: the vector would hide the leak.
    read = present.gather(1, head.clamp(min=0).unsqueeze(1)).squeeze(1)
    head = head.masked_fill(read == Role.GOLD, -1)
    return Stream(token_ids=token_ids, mask=mask, roles=present, head=head)


def _filler(backbone: Backbone) -> int:
    """The id at pads: the config's, from which models derive positions and heads."""
    for holder in (backbone.base.config.get_text_config(), backbone.tokenizer):
        token = getattr(holder, "pad_token_id", None)
        if token is not None and token >= 0:
            return int(token)
    return 0


def _inputs(backbone: Backbone, batch: Batch, positions: bool) -> dict[str, Any]:
    device = backbone.device
    main = batch.streams.get("") or batch.streams["enc"]
    known = inspect.signature(backbone.base.forward).parameters
    inputs: dict[str, Any] = {
        "input_ids": main.token_ids.to(device),
        "attention_mask": main.mask.long().to(device),
    }
    if "use_cache" in known:
        inputs["use_cache"] = False
    if "dec" in batch.streams:
        decoder = batch.streams["dec"]
        inputs["decoder_input_ids"] = decoder.token_ids.to(device)
        inputs["decoder_attention_mask"] = decoder.mask.long().to(device)
    if positions and backbone.told_positions:
        # The last real position is repeated at pads: within the table for any length.
        steps = main.mask.long().cumsum(1) - 1
        inputs["position_ids"] = steps.clamp(min=0).to(device)
    return inputs
