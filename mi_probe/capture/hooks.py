"""Hooks on a model's sites: put in, taken out again whatever happens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Size, Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedTokenizerBase

from mi_probe.backbones import Backbone, Site
from mi_probe.backbones.backbone import backbone_module, find_sites
from mi_probe.backbones.sites import kind_of
from mi_probe.backbones.trial import states_given, states_in
from mi_probe.errors import InputError

Receive = Callable[[Site, Tensor], None]


class StopForward(Exception):
    """Raised by the hook of the deepest site: what lies above need not run."""


@contextmanager
def capture(
    model: Backbone | nn.Module, sites: str | Sequence[int | str] = "all"
) -> Iterator[dict[str, list[Tensor]]]:
    """Keep the hidden states of every forward pass inside the block, for a notebook.

    Call the model yourself, ``generate`` included: a step of generation is a forward
    of its own, so each list then holds one tensor a step. States come as the model
    made them: padded, virtual positions of prompt tuning included, nothing masked.

    Args:
        model: a `Backbone`, or any transformers or PEFT model; of these the sites are
            found anew, by a forward over a few tokens.
        sites: what ``Backbone.select`` takes.

    Yields:
        For each site's name a list of tensors (n, t, d), one a forward pass: detached
        copies, on the model's device.

    Raises:
        InputError: on a site that the model does not have.
    """
    backbone = model if isinstance(model, Backbone) else _bare(model)
    chosen = backbone.select(sites)
    states: dict[str, list[Tensor]] = {site.name: [] for site in chosen}

    def keep(site: Site, values: Tensor) -> None:
        # A copy: a view would change with in-place arithmetic further up the model.
        states[site.name].append(values.detach().clone())

    with tapped(backbone, chosen, keep):
        yield states


@contextmanager
def tapped(
    backbone: Backbone,
    sites: Sequence[Site],
    receive: Receive,
    *,
    stop_at: Site | None = None,
) -> Iterator[None]:
    """Hand each site's states to ``receive`` while the block lasts.

    Args:
        backbone: the model.
        sites: the sites wanted.
        receive: called with the site and its tensor, in the order of the forward.
        stop_at: the site after which the forward is broken off with `StopForward`.
    """
    handles: list[RemovableHandle] = []
    shapes: dict[str, Size] = {}

    def note(path: str, payload: Any) -> None:
        shapes[path] = payload.shape

    def tap(site: Site, payload: Any) -> None:
        receive(site, _tensor(payload, site, shapes.get(site.rows_of)))
        if site is stop_at:
            raise StopForward

    try:
        for path in {site.rows_of for site in sites} - {""}:
            block = backbone.base.get_submodule(path)
            handles.append(_before(block, partial(note, path)))
        for site in sites:
            module = backbone.base.get_submodule(site.module)
            handles.append(_hook(module, site, tap))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _bare(model: nn.Module) -> Backbone:
    """A backbone for its sites only: nothing is hashed, and the mode stays as it is."""
    base = backbone_module(model)
    return Backbone(
        name="model",
        model=model,
        base=base,
        tokenizer=PreTrainedTokenizerBase(),
        sites=find_sites(model),
        kind=kind_of(base.config),
        adapter=None,
        revision=None,
        step=None,
        told_positions=False,
        fingerprint={},
    )


def _hook(
    module: nn.Module, site: Site, tap: Callable[[Site, Any], None]
) -> RemovableHandle:
    """A hook that only reads: it returns None, so nothing in the model changes."""
    if site.point == "output":
        return module.register_forward_hook(
            lambda _module, _args, output: tap(site, output)
        )
    return _before(module, partial(tap, site))


def _before(module: nn.Module, tap: Callable[[Any], None]) -> RemovableHandle:
    return module.register_forward_pre_hook(
        lambda _module, args, kwargs: tap(states_given(args, kwargs)),
        with_kwargs=True,
    )


def _tensor(payload: Any, site: Site, shape: Size | None) -> Tensor:
    found = states_in(payload, flat=shape is not None)
    if found is None:
        raise InputError(
            f"site '{site.name}' must pass hidden states of shape (n, t, d); its "
            f"module '{site.module}' passed {type(payload).__name__}. Leave it out."
        )
    return found if found.ndim == 3 or shape is None else found.view(*shape[:2], -1)
