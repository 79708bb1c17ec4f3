"""Sites inside blocks: what attention and MLP add to the residual stream, and between.

    block.i.attn_out   what self-attention adds: behind its own norm, where it has one
    block.i.mid        the stream after that
    block.i.cross_out  what cross-attention adds, in the decoder of an encoder-decoder
    block.i.mlp_out    what the MLP, or the mixture of experts, adds

No place is taken by its name. In a `Trial` modules are looked for whose outputs add up
from what a block is given, x, to what it puts out, y: x + attn_out = mid and
mid + mlp_out = y; where norms stand behind the sums (BERT), norm(x + attn_out) = mid and
norm(mid + mlp_out) = y. Where attention and MLP read the same input (GPT-J, Phi),
x + attn_out + mlp_out = y, and nothing is between them.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mi_probe.backbones.sites import Point, Site
from mi_probe.backbones.trial import TOKENS, Watched, try_model

KINDS = ("attn_out", "mid", "cross_out", "mlp_out")
"""In the order in which they come to be."""
_ROUNDING = 4
"""Units in the last place, of the sum of sizes, by which a sum may be off."""
_GLANCE = 64
_MOST_IN_LIST = 8
"""Longer lists inside a block hold experts, of which each sees a part of the tokens."""


@dataclass(frozen=True)
class Inside:
    """What a trial showed of the inside of a backbone's blocks."""

    sites: tuple[Site, ...]
    """Every place inside a block that adds up, in the order of the network."""
    missing: Mapping[str, str]
    """Why a block does not have a site, by the site's name."""
    modules: Mapping[str, str]
    """The site whose states a module puts out, by the module's path on the base; with
    ``.input`` behind the path, whose states it is given."""
    normed: frozenset[str]
    """The blocks, as ``block.3``, whose norms stand behind the sums."""


def resolve_inside(
    base: PreTrainedModel, runner: nn.Module, sites: Sequence[Site]
) -> Inside:
    """Look for the sites inside blocks, by a few tokens through the model.

    Args:
        base: the backbone.
        runner: what is called, as in `resolve_sites`.
        sites: what that found.

    Raises:
        InputError: if the model does not run.
    """
    watched = {
        path: module for path, module in base.named_modules() if not _of_experts(path, base)
    }
    trial = try_model(base, runner, [*watched.values()])
    seen = {path: trial.modules[id(module)] for path, module in watched.items()}
    found: list[Site] = []
    missing: dict[str, str] = {}
    normed = set()
    for name, path, virtual in _blocks(sites):
        block = _Block(path, seen)
        stack = sites[0].stack if name.startswith("block") else name.partition(".")[0]
        for kind in KINDS:
            place = block.places.get(kind)
            if place is None:
                missing[f"{name}.{kind}"] = block.reason(kind, type(base).__name__)
                continue
            length = TOKENS[stack] + virtual  # pyright: ignore[reportArgumentType]
            found.append(
                Site(
                    name=f"{name}.{kind}",
                    index=None,
                    module=place.path,
                    point=place.point,
                    stack=stack,  # pyright: ignore[reportArgumentType]
                    virtual=virtual,
                    filled_up=block.length > length,
                    rows_of=path if place.flat else "",
                )
            )
        if block.normed:
            normed.add(name)
    return Inside(
        tuple(found), missing, _modules([*sites, *found], seen), frozenset(normed)
    )


def in_order(sites: Sequence[Site], inside: Sequence[Site]) -> tuple[Site, ...]:
    """All sites in the order of the network: those inside a block before its own."""
    own: dict[str, list[Site]] = {}
    for site in inside:
        own.setdefault(site.name.rpartition(".")[0], []).append(site)
    return tuple(one for site in sites for one in (*own.get(site.name, ()), site))


def _of_experts(path: str, base: PreTrainedModel) -> bool:
    parts = path.split(".")
    depths = [i for i, part in enumerate(parts) if part.isdecimal()]
    return any(
        len([*base.get_submodule(".".join(parts[:i])).children()]) > _MOST_IN_LIST
        for i in depths[1:]
    )


def _blocks(sites: Sequence[Site]) -> Iterator[tuple[str, str, int]]:
    """The name and the path of each block, and the learned positions in it."""
    blocks = [site for site in sites if "block." in site.name]
    last = {site.stack: site for site in blocks}
    for site in blocks:
        # Of each stack's last block alone the output is read.
        holder = last[site.stack].module.rpartition(".")[0]
        yield site.name, f"{holder}.{site.name.rpartition('.')[2]}", site.virtual


def _modules(sites: Sequence[Site], seen: Mapping[str, Watched]) -> dict[str, str]:
    names: dict[str, str] = {}
    for site in sites:
        held = seen[site.module]
        states = held.given if site.point == "input" else held.gave
        if states is not None:
            names.setdefault(_bits(states), site.name)
    found = {}
    for path, held in seen.items():
        for states, end in ((held.gave, ""), (held.given, ".input")):
            if held.calls == 1 and states is not None and (key := _bits(states)) in names:
                found[path + end] = names[key]
    return found


def _bits(states: Tensor) -> str:
    content = states.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, eq=False)
class _Place:
    """Where something as large as the stream was seen."""

    path: str
    point: Point
    states: Tensor
    """In float64, one after the other."""
    flat: bool
    """Whether the model had them so too, without rows."""
    ended: int


@dataclass(frozen=True, eq=False)
class _Step:
    """One sum of a block."""

    added: _Place
    stream: _Place | None
    """Where the new stream is; None after the last sum."""
    normed: bool
    """Whether a norm stands behind the sum."""


class _Block:
    """One block in the light of a trial."""

    def __init__(self, path: str, seen: Mapping[str, Watched]):
        self._path, whole = path, seen[path]
        x, y = whole.given, whole.gave
        assert x is not None  # `resolve_sites` has seen to both
        assert y is not None
        self.length = x.shape[1]
        self._eps = torch.finfo(y.dtype).eps
        self._own = {p: w for p, w in seen.items() if p.startswith(f"{path}.") and w.calls}
        self._inputs: list[_Place] = []
        self._outputs: list[_Place] = []
        for name, one in self._own.items():
            if one.calls != 1:  # of a dropout that runs twice, hooks would see both
                continue
            if (states := _fitting(one.given, x)) is not None:
                self._inputs.append(_Place(name, "input", *states, one.ended))
            if (states := _fitting(one.gave, x)) is not None:
                self._outputs.append(_Place(name, "output", *states, one.ended))
        # The outermost first, so that what users hook is what is named.
        for some in (self._inputs, self._outputs):
            some.sort(key=lambda place: (place.path.count("."), place.ended))
        start, self._end = _flat(x), _flat(y)
        self._parts = _distinct(self._outputs)
        self._steps = self._sums(start, 0, 3)
        self._pair = None if self._steps and len(self._steps) > 1 else self._beside(start)
        self.places = self._named()

    @property
    def normed(self) -> bool:
        """Whether norms stand behind the sums."""
        return bool(self.places) and any(step.normed for step in self._steps or ())

    def reason(self, kind: str, model: str) -> str:
        """Why it does not have a site."""
        if self.places and kind == "mid":
            return (
                f"{model} runs attention and MLP side by side, on the same input: there is "
                "no stream between them"
            )
        if self.places:
            return f"{model} has no cross-attention there"
        return (
            f"in {model} no outputs of attention and MLP add up from what the block is "
            "given to what it puts out"
        )

    def _named(self) -> dict[str, _Place]:
        if self._pair is not None:
            return dict(zip(("attn_out", "mlp_out"), self._pair, strict=True))
        steps = self._steps or []
        if len(steps) < 2 or not self._attends(0, steps[0].added.ended):
            return {}
        added = [step.added for step in steps]
        assert steps[0].stream is not None
        found = {"attn_out": added[0], "mid": steps[0].stream, "mlp_out": added[-1]}
        return found | ({"cross_out": added[1]} if len(added) == 3 else {})

    def _attends(self, after: int, until: int) -> bool:
        """Whether an attention ran meanwhile; sums alone cannot tell it from a filter."""
        ran = [p for p, one in self._own.items() if after < one.ended <= until]
        return any("att" in path[len(self._path) :].lower() for path in ran)

    def _sums(self, stream: Tensor, after: int, most: int) -> list[_Step] | None:
        """The sums from a stream to the end of the block; None if there are none."""
        added = [
            (part, total)
            for part in self._parts
            if part.ended > after and (total := self._sum(stream, part.states)) is not None
        ]
        for part, (total, room) in added:
            if _near(total, self._end, room):
                return [_Step(part, None, False)]
            for gave in self._through(total, room):
                if torch.equal(self._end, gave.states):
                    return [_Step(part, None, True)]
        for part, (total, room) in added if most > 1 else ():
            for place in (*self._outputs, *self._inputs):
                if _near(total, place.states, room):
                    rest = self._sums(place.states, part.ended, most - 1)
                    if rest is not None:
                        return [_Step(part, place, False), *rest]
                    break  # another place holds the same
            for gave in self._through(total, room):
                rest = self._sums(gave.states, part.ended, most - 1)
                if rest is not None:
                    return [_Step(part, gave, True), *rest]
        return None

    def _through(self, total: Tensor, room: Tensor) -> Iterator[_Place]:
        """What the norms that are given a sum make of it: modules without parts."""
        outputs = {place.path: place for place in self._outputs}
        for path in [*outputs]:
            if any(other.startswith(f"{path}.") for other in self._own):
                del outputs[path]
        for given in self._inputs:
            if given.path in outputs and _near(total, given.states, room):
                yield outputs[given.path]

    def _beside(self, start: Tensor) -> tuple[_Place, _Place] | None:
        """Attention and MLP that read the same input."""
        for one, two in combinations(self._parts, 2):
            size = start.abs() + one.states.abs() + two.states.abs()
            room = _ROUNDING * self._eps * size
            if _near(start + one.states + two.states, self._end, room):
                pair = sorted((one, two), key=self._is_attention, reverse=True)
                if [self._is_attention(place) for place in pair] == [True, False]:
                    return pair[0], pair[1]
        return None

    def _is_attention(self, place: _Place) -> bool:
        return "att" in place.path[len(self._path) :].lower()

    def _sum(self, stream: Tensor, part: Tensor) -> tuple[Tensor, Tensor] | None:
        """A sum and how far it may be off; None where the part is lost in rounding."""
        room = _ROUNDING * self._eps * (stream.abs() + part.abs())
        if bool((part.abs() > room).float().mean() < 0.5):
            return None
        return stream + part, room


def _fitting(states: Tensor | None, x: Tensor) -> tuple[Tensor, bool] | None:
    """States as large as a block's, and whether they come without rows."""
    if states is None or states.numel() != x.numel() or not states.is_floating_point():
        return None
    return _flat(states), states.ndim == 2


def _flat(states: Tensor) -> Tensor:
    return states.detach().cpu().double().flatten()


def _near(one: Tensor, two: Tensor, room: Tensor) -> bool:
    if not bool(((one - two).abs()[:_GLANCE] <= room[:_GLANCE]).all()):
        return False
    return bool(((one - two).abs() <= room).all())


def _distinct(places: Sequence[_Place]) -> list[_Place]:
    """One of those with the same states, the outermost; in the order of the forward."""
    found: dict[bytes, _Place] = {}
    for place in places:
        found.setdefault(place.states.numpy().tobytes(), place)
    return sorted(found.values(), key=lambda place: place.ended)
