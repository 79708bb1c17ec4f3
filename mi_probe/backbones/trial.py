"""A trial: a few tokens through a model, watched from outside.

What the modules took and gave is compared with what the model itself says that its
hidden states are, and so no name of a module has to be believed.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mi_probe.backbones.blocks import Stack, stacks
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.errors import InputError

ROWS = 2
TOKENS: Mapping[Stack, int] = {"": 7, "enc": 7, "dec": 5}
"""Tokens a row: an odd number, so that a model which fills a text up to a multiple of
something shows it; another one in the decoder, so that stacks cannot be confused."""
_TOLERANCE = 1e-3
"""Relative; other states than those looked for are off by 0.1 and more."""


@dataclass(eq=False)
class Watched:
    """What one module did."""

    calls: int = 0
    given: Tensor | None = None
    """The states (n, t, d), or (n * t, d), in its first argument, as capture reads them."""
    beside: list[Tensor] = field(default_factory=list)
    """Every tensor (n, t, d) among its arguments."""
    gave: Tensor | None = None
    """The states (n, t, d), or (n * t, d), in its output, as capture reads them."""
    ended: int = 0
    """Its place in the order in which modules came to their end."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What a model did with `ROWS` rows of `TOKENS` tokens."""

    modules: Mapping[int, Watched]
    """By the module's ``id``; the watched ones, also where they never ran."""
    last: Mapping[Stack, Tensor | None]
    """What the model calls each stack's last hidden state; None: it does not say."""
    hidden: Mapping[Stack, tuple[Tensor | None, ...]]
    """``output_hidden_states`` of each stack; empty where the model gives none, and None
    in the place of an entry that is not (n, t, d)."""


def try_model(
    base: PreTrainedModel, runner: nn.Module, watched: Sequence[nn.Module] = ()
) -> Trial:
    """Run a few tokens, in evaluation mode and without gradients.

    Args:
        base: the backbone.
        runner: what is called: the backbone, or PEFT's wrapper with a learned prompt.
        watched: modules inside the backbone.

    Raises:
        InputError: if the model does not run on token ids alone, or if running changes
            what it is made of, so that its states depend on what it read before.
    """
    seen = {id(module): Watched() for module in watched}
    outputs: dict[int, Any] = {}
    roots = {id(module): module for module in (base, *(root for _, root in stacks(base)))}
    before = {path: type(module) for path, module in base.named_modules()}
    hooks = [
        root.register_forward_hook(
            lambda module, args, output: outputs.__setitem__(id(module), output)
        )
        for root in roots.values()
    ]
    order = count(1)
    try:
        for module in watched:
            hooks += _watch(module, seen[id(module)], order)
        with evaluating(runner):
            whole = _run(base, runner)
    finally:
        for hook in hooks:
            hook.remove()
    after = {path: type(module) for path, module in base.named_modules()}
    if before != after:
        path = next(p for p, kind in after.items() if before.get(p) is not kind)
        raise InputError(
            f"model must not change itself as it reads; a short text turned {path} of "
            f"{type(base).__name__} into {after[path].__name__} for good, and states "
            "would depend on what was read before. Set the kind of attention in its "
            "config.json to the one that is wanted (attention_type)."
        )
    return Trial(
        modules=seen,
        last={stack: _last(outputs.get(id(r)), r) for stack, r in stacks(base)},
        hidden={
            stack: _hidden(stack, (outputs.get(id(base)), whole), outputs.get(id(r)))
            for stack, r in stacks(base)
        },
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; every module's own mode back afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def states_given(args: tuple, kwargs: Mapping[str, Any]) -> Any:
    """Where hidden states are looked for among a module's arguments."""
    return args[0] if args else kwargs.get("hidden_states")


def states_in(payload: Any, *, flat: bool = False) -> Tensor | None:
    """The states (n, t, d) in what a module takes or gives: itself, or a first entry.

    Args:
        payload: what it takes or gives.
        flat: take states without rows (n * t, d) too, as OPT has them inside a block.
    """
    if hasattr(payload, "to_tuple"):
        payload = payload.to_tuple()
    if isinstance(payload, tuple | list) and payload:
        payload = payload[0]
    kinds = (2, 3) if flat else (3,)
    return payload if isinstance(payload, Tensor) and payload.ndim in kinds else None


def input_device(model: nn.Module) -> torch.device:
    """Where a model takes its inputs: of one over several devices, the first's."""
    for hook in _placed(model):
        return torch.device(hook.execution_device)
    return next(model.parameters()).device


def is_spread(model: nn.Module) -> bool:
    """Whether it is over several devices, or its weights are fetched as they are used."""
    return any(True for _ in _placed(model))


def _placed(model: nn.Module) -> Iterator[Any]:
    """What accelerate keeps on modules to bring inputs and weights together."""
    hooks = (getattr(module, "_hf_hook", None) for module in model.modules())
    return (h for h in hooks if getattr(h, "execution_device", None) is not None)


def embedding_rows(model: PreTrainedModel) -> int:
    """The number of token ids that the model (its encoder, if it has one) knows."""
    part = model.get_encoder() if model.config.is_encoder_decoder else model
    if not hasattr(part, "get_input_embeddings"):  # FSMT's encoder is a plain module
        part = model
    embedding = part.get_input_embeddings()
    # Where single tokens are trained, PEFT stands in front of the table.
    embedding = getattr(embedding, "original_module", embedding)
    return int(embedding.get_parameter("weight").shape[0])


def _watch(module: nn.Module, found: Watched, order: Iterator[int]) -> list[Any]:
    def enter(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        found.calls += 1
        taken = [states_given(args, kwargs), *args, *kwargs.values()]
        first = states_in(taken[0], flat=True)
        states = [first, *(x for x in taken if isinstance(x, Tensor))]
        # Copies: a model may go on to change them in place.
        found.given = None if first is None else first.clone()
        found.beside = [x.clone() for x in states if x is not None and x.ndim == 3]

    def leave(module: nn.Module, args: tuple, output: Any) -> None:
        states = states_in(output, flat=True)
        found.gave = None if states is None else states.clone()
        found.ended = next(order)

    return [
        module.register_forward_pre_hook(enter, with_kwargs=True),
        module.register_forward_hook(leave),
    ]


def counts_from_zero(base: PreTrainedModel) -> bool:
    """Whether positions 0, 1, 2, ... are those that the model itself would count.

    RoBERTa's kin begin at another number, and a model without ``position_ids`` is not to
    be told any.
    """
    if "position_ids" not in inspect.signature(base.forward).parameters:
        return False
    steps = torch.arange(TOKENS[""]).expand(ROWS, -1)
    with evaluating(base):
        own, told = (
            _last(_run(base, base, **more), base)
            for more in ({}, {"position_ids": steps.to(input_device(base))})
        )
    return own is not None and told is not None and same_states(own, told)


def same_states(one: Tensor, two: Tensor) -> bool:
    """Whether two states of the same tokens are one, but for copies and casts."""
    if one.shape != two.shape:
        return False
    one, two = one.float(), two.float().to(one.device)
    near = _TOLERANCE * two.nan_to_num(0, 0, 0).square().mean().sqrt()
    return torch.allclose(one, two, rtol=_TOLERANCE, atol=float(near), equal_nan=True)


def _run(base: PreTrainedModel, runner: nn.Module, **more: Tensor) -> Any:
    """The model's output, with its hidden states where it can give them."""
    device = input_device(base)
    known = inspect.signature(base.forward).parameters
    two_stacks = base.config.is_encoder_decoder
    fed = _tokens(base, TOKENS["enc" if two_stacks else ""])
    if two_stacks:
        ids, mask = _tokens(base, TOKENS["dec"]).values()
        fed |= {"decoder_input_ids": ids, "decoder_attention_mask": mask}
    fed: dict[str, Any] = {name: ids.to(device) for name, ids in fed.items()}
    if "use_cache" in known:
        fed["use_cache"] = False
    passed_on = any(p.kind is p.VAR_KEYWORD for p in known.values())
    asked = {
        name: True
        for name in ("output_hidden_states", "return_dict")
        if passed_on or name in known
    }
    devices = [device] if device.type == "cuda" else []
    try:
        with quiet_transformers(), torch.random.fork_rng(devices), torch.no_grad():
            return runner(**fed, **asked, **more)
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"model must read token ids and nothing else; {type(base).__name__} gave "
            f"{type(error).__name__}: {said}"
        ) from error


def _tokens(base: PreTrainedModel, length: int) -> dict[str, Tensor]:
    # Not from 0 on, where the special tokens usually are.
    ids = (torch.arange(ROWS * length).reshape(ROWS, length) + 5) % embedding_rows(base)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _last(output: Any, root: nn.Module) -> Tensor | None:
    last = getattr(output, "last_hidden_state", None)
    headless = isinstance(output, tuple | Tensor) and not _has_head(root)
    return states_in(output) if last is None and headless else last


def _has_head(root: nn.Module) -> bool:
    return isinstance(root, PreTrainedModel) and root.get_output_embeddings() is not None


def _hidden(stack: Stack, outer: Iterable[Any], own: Any) -> tuple[Tensor | None, ...]:
    name = {"enc": "encoder_hidden_states", "dec": "decoder_hidden_states"}.get(stack)
    asked = [(output, name or "hidden_states") for output in outer]
    for output, key in (*asked, (own, "hidden_states")):
        if (found := getattr(output, key, None)) is not None:
            # Pegasus-X has a pair in each place.
            return tuple(states_in(entry) for entry in found)
    return ()
