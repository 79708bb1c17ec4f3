"""Where hidden states are read: one name a site, the same for every family of models.

The rule: ``embed`` is what block 0 is given; ``block.i`` is what block i+1 is given, so
that a family which adds something between two blocks is read as it runs; the last block
is its own output; ``final_norm`` is what leaves the norm, projection or whatever else
stands behind the blocks, where anything does.

A site is believed when a `Trial` shows it: its module runs once, its states are one a
token and equal the entry of the model's own ``hidden_states``, and the last site equals
the model's own ``last_hidden_state``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from mi_probe.backbones.blocks import Stack, block_lists, stacks
from mi_probe.backbones.trial import TOKENS, Trial, same_states, try_model
from mi_probe.errors import InputError

Kind = Literal["decoder", "encoder", "encoder-decoder"]
Point = Literal["input", "output"]


@dataclass(frozen=True)
class Site:
    """One place in a backbone where hidden states are read."""

    name: str
    """``embed``, ``block.0`` ... ``block.L-1``, ``final_norm``, and inside blocks
    ``block.0.attn_out`` and the like; in an encoder-decoder with ``enc.`` or ``dec.`` in
    front."""
    index: int | None
    """The entry of Hugging Face's ``hidden_states`` (of that stack) that it equals;
    None where it equals none, as the last block before a final norm does."""
    module: str
    """Dotted path of the hooked module, on `Backbone.base`."""
    point: Point
    """Whether the state is the module's first input or its (first) output."""
    stack: Stack = ""
    """The stack of an encoder-decoder; empty for the others."""
    virtual: int = 0
    """Learned positions in front of each row here, which PEFT put there."""
    filled_up: bool = False
    """True where the model adds positions of its own behind a row, up to a multiple of
    some length (Longformer); they are cut off again."""
    rows_of: str = ""
    """Dotted path of a block that is given the same states by row, where they come here
    one after the other, (n * t, d), as inside OPT's."""


def resolve_sites(
    base: PreTrainedModel, runner: nn.Module | None = None, *, virtual: int = 0
) -> tuple[Site, ...]:
    """The sites of a backbone, from the embeddings up; the encoder's come first.

    A few tokens are run through the model, to prove each site.

    Args:
        base: a backbone, with or without adapters injected; no PEFT wrapper around it.
        runner: what is called: PEFT's wrapper, where that learns a prompt.
        virtual: positions that such a prompt may put in front of a row.

    Raises:
        InputError: if no list of blocks is found, the model does not run on token ids
            alone, or the states at a site are not what the model itself says.
    """
    found: list[tuple[Stack, nn.Module, list[nn.ModuleList]]] = [
        (stack, root, block_lists(root, base.config)) for stack, root in stacks(base)
    ]
    entries = {id(block) for _, _, lists in found for one in lists for block in one}
    inside = {
        id(part)
        for module in base.modules()
        if id(module) in entries
        for part in module.modules()
    }
    watched = [m for m in base.modules() if id(m) in entries or id(m) not in inside]
    trial = try_model(base, runner or base, watched)
    sites: list[Site] = []
    for stack, root, lists in found:
        reasons: list[str] = []
        for blocks in lists:
            try:
                sites += _Proof(base, stack, root, blocks, trial, virtual).sites()
                break
            except _NoSite as reason:
                reasons.append(str(reason))
        else:
            raise InputError(
                "sites must hold what the model itself calls its hidden states; in "
                f"{type(base).__name__} ({base.config.model_type}) {reasons[0]}. Its "
                "states cannot be captured."
            )
    return tuple(sites)


def kind_of(config: PreTrainedConfig) -> Kind:
    """Whether a model reads left to right, both ways, or is an encoder-decoder."""
    from transformers.models.auto import modeling_auto as auto

    if config.is_encoder_decoder:
        return "encoder-decoder"
    if getattr(config, "is_decoder", False):
        return "decoder"
    # BERT and its kin are in both tables; a masked LM reads both ways.
    if config.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "encoder"
    text = config.get_text_config().model_type
    causal = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return "decoder" if config.model_type in causal or text in causal else "encoder"


class _NoSite(Exception):
    """Why a list of modules is not the blocks of a stack."""


@dataclass(frozen=True, eq=False)
class _Proof:
    """One stack, and one list that may be its blocks, in the light of a trial."""

    base: PreTrainedModel
    stack: Stack
    root: nn.Module
    blocks: nn.ModuleList
    trial: Trial
    virtual: int

    def sites(self) -> list[Site]:
        """The sites of this stack.

        Raises:
            _NoSite: at the first that is none.
        """
        n, blocks = len(self.blocks), self.blocks
        entries = len(self.trial.hidden[self.stack])
        if entries and not n <= entries <= n + 2:
            raise _NoSite(
                f"{self._path(blocks)} has {n} entries, and hidden_states {entries}"
            )
        for i, block in enumerate(blocks):
            if (calls := self.trial.modules[id(block)].calls) != 1:
                raise _NoSite(f"block {i} of {n} runs {calls} times in a forward pass")
        places: list[tuple[str, int | None, nn.Module, Point]] = []
        for i in range(n):
            name = f"block.{i - 1}" if i else "embed"
            before: Sequence[tuple[nn.Module, Point]] = [(blocks[i], "input")]
            if i:
                before = [*before, (blocks[i - 1], "output")]
            places.append((name, *self._place(name, i, before)))
        last, name = self._states(blocks[n - 1], "output"), f"block.{n - 1}"
        if last is None:
            raise _NoSite(f"{name} does not put out one state a token")
        hidden = range(len(self.trial.hidden[self.stack]))
        index = self._index(self._final, n, *hidden)
        if _equal(last, self._final):
            places.append((name, index, blocks[n - 1], "output"))
        else:
            # Only hidden_states that begin behind block 0 have an entry for it.
            own = self._index(last, n - 1) if places[0][1] is None else None
            places.append((name, own, blocks[n - 1], "output"))
            places.append(("final_norm", index, self._behind(last), "output"))
        return [self._site(*place) for place in places]

    @cached_property
    def _final(self) -> Tensor:
        """The model's own last hidden states of this stack, (n, t, d)."""
        hidden, tokens = self.trial.hidden[self.stack], TOKENS[self.stack]
        final = self.trial.last[self.stack]
        final = hidden[-1] if final is None and hidden else final
        if final is None:
            raise _NoSite("the model returns neither last_hidden_state nor hidden_states")
        lengths = {tokens, tokens + self.virtual}
        if final.ndim != 3 or final.shape[1] not in lengths:
            raise _NoSite(
                f"{tokens} tokens a row come out as states of shape {[*final.shape]}"
            )
        return final

    def _states(self, module: nn.Module, point: Point) -> Tensor | None:
        """What was at a place, one state a token; None if that is not what was there."""
        seen = self.trial.modules[id(module)]
        states = seen.given if point == "input" else seen.gave
        return self._cut(states)

    def _cut(self, states: Tensor | None) -> Tensor | None:
        if states is None:
            return None
        n, length = self._final.shape[:2]
        fits = states.ndim == 3 and len(states) == n and states.shape[1] >= length
        # Beyond the row lies what the model itself filled it up with.
        return states[:, :length] if fits else None

    def _index(self, states: Tensor, *likely: int) -> int | None:
        hidden = self.trial.hidden[self.stack]
        for i in likely:
            if 0 <= i < len(hidden) and _equal(states, self._cut(hidden[i])):
                return i
        return None

    def _place(
        self, name: str, expected: int, places: Sequence[tuple[nn.Module, Point]]
    ) -> tuple[int | None, nn.Module, Point]:
        """The first place that equals one of the model's ``hidden_states``."""
        for module, point in places:
            states = self._states(module, point)
            if states is None:
                continue
            # Mamba's own hidden_states begin behind block 0.
            index = self._index(states, expected, expected - 1)
            if index is not None or not self.trial.hidden[self.stack]:
                return index, module, point
        if self._states(*places[0]) is None:
            raise _NoSite(f"{name} does not hold one state a token")
        if expected == 0 and self._chained:
            return None, *places[0]
        raise _NoSite(f"{name} equals none of the model's hidden_states")

    @cached_property
    def _chained(self) -> bool:
        """Each block is given what the one before it put out."""
        pairs = zip(self.blocks, list(self.blocks)[1:], strict=False)
        linked = [
            _equal(self._states(one, "output"), self._states(two, "input"))
            for one, two in pairs
        ]
        return bool(linked) and all(linked)

    def _behind(self, last: Tensor) -> nn.Module:
        """The module behind the blocks from which the last hidden states come."""
        modules, block = self.trial.modules, self.blocks[-1]
        ended = modules[id(block)].ended
        behind = [
            module
            for module in self.root.modules()
            if id(module) in modules
            and modules[id(module)].calls == 1
            and modules[id(module)].ended > ended
            and not any(part is block for part in module.modules())
            and _equal(self._states(module, "output"), self._final)
        ]
        # The first: what follows it (dropout, off by now) hands the same on.
        behind.sort(key=lambda module: modules[id(module)].ended)
        for module in behind:
            if any(_equal(self._cut(x), last) for x in modules[id(module)].beside):
                return module
        # Attentions in a list of their own, say, lead on to no next entry and no end.
        module = behind[0] if behind else self.root
        own = _equal(self._states(module, "output"), self._final)
        if not (own and self._chained and last.shape == self._final.shape):
            raise _NoSite(
                f"what leaves the last entry of {self._path(self.blocks)} is neither the "
                "last hidden state nor what the model's last step is given"
            )
        return module

    def _site(self, name: str, index: int | None, module: nn.Module, point: Point) -> Site:
        length = self._final.shape[1]
        seen = self.trial.modules[id(module)]
        states = seen.given if point == "input" else seen.gave
        assert states is not None
        return Site(
            name=f"{self.stack}.{name}" if self.stack else name,
            index=index,
            module=self._path(module),
            point=point,
            stack=self.stack,
            virtual=length - TOKENS[self.stack],
            filled_up=states.shape[1] > length,
        )

    def _path(self, module: nn.Module) -> str:
        return next(path for path, m in self.base.named_modules() if m is module)


def _equal(one: Tensor | None, two: Tensor | None) -> bool:
    return one is not None and two is not None and same_states(one, two)
