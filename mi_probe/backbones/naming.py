"""What users call sites: our names, indices, and the names of other tools.

    block.3.attn_out               ours; attn_out alone means that of every block
    8, -1                          entries of Hugging Face's hidden_states
    blocks.3.hook_attn_out         TransformerLens: hook_resid_pre, hook_resid_mid,
                                   hook_resid_post, hook_attn_out, hook_mlp_out
    model.layers[3].self_attn      nnsight, and any module's path: what it puts out; with
                                   .input behind it what it is given

A module's path is understood where the module puts out a site's states to the bit, which
a trial shows, and refused where it does not. TransformerLens's own states differ from
these by what it folds into the weights; `fold_ln=False` and the like keep them.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mi_probe.backbones.inside import KINDS, in_order
from mi_probe.backbones.sites import Site
from mi_probe.errors import InputError, meant

if TYPE_CHECKING:
    from mi_probe.backbones.backbone import Backbone

_INSIDE = re.compile(rf"((?:enc|dec)\.)?block\.\d+\.({'|'.join(KINDS)})")
_HOOK = re.compile(r"blocks\.(\d+)\.hook_(\w+)")
_HOOKS = {
    "attn_out": "block.{}.attn_out",
    "mlp_out": "block.{}.mlp_out",
    "resid_mid": "block.{}.mid",
    "resid_post": "block.{}",
    "normalized_resid_mid": "block.{}.mid",
    "normalized_resid_post": "block.{}",
}
_OUTPUT = re.compile(r"\.output(\.0)?$")


def select(
    backbone: "Backbone", wanted: str | int | Sequence[int | str] = "all"
) -> tuple[Site, ...]:
    """The sites that a user asks for; see `Backbone.select`."""
    single = isinstance(wanted, str | int)
    items = str(wanted).split(",") if single else list(wanted)
    items = [str(item).strip() for item in items]
    if not items or items == [""]:
        raise InputError(f"sites must name at least one site{_rule(backbone)}; got none.")
    chosen: set[Site] = set()
    for item in items:
        chosen |= set(backbone.sites) if item == "all" else set(_sites(backbone, item))
    if chosen <= set(backbone.sites):
        return tuple(site for site in backbone.sites if site in chosen)
    whole = in_order(backbone.sites, backbone.inside.sites)
    return tuple(site for site in whole if site in chosen)


def _sites(backbone: "Backbone", item: str) -> Sequence[Site]:
    for site in backbone.sites:
        if site.name == item:
            return [site]
    if item.lstrip("-").isdecimal():
        if (indexed := _indexed(backbone, item)) is not None:
            return [indexed]
    elif item in KINDS:
        return _of_every_block(backbone, item)
    elif _INSIDE.fullmatch(item):
        return [_inside(backbone, item)]
    elif hook := _HOOK.fullmatch(item):
        return [_hooked(backbone, item, int(hook[1]), hook[2])]
    elif "." in item and not item.startswith(("block.", "enc.", "dec.")):
        return [_of_module(backbone, item)]
    near = meant(item, [*(site.name for site in backbone.sites), *KINDS])
    raise InputError(f"sites must be 'all'{_rule(backbone)}; got {item}.{near}")


def _indexed(backbone: "Backbone", item: str) -> Site | None:
    if len(backbone.stacks) > 1:
        raise InputError(
            f"sites must be named in an encoder-decoder, where index {item} "
            f"could be of either stack; choose among {_names(backbone)}."
        )
    indexed = {site.index: site for site in backbone.sites if site.index is not None}
    behind = 1 + max(indexed, default=-1)
    return indexed.get(int(item) + (behind if item.startswith("-") else 0))


def _of_every_block(backbone: "Backbone", kind: str) -> list[Site]:
    found = [s for s in backbone.inside.sites if s.name.endswith(f".{kind}")]
    if not found:
        reasons = [r for n, r in backbone.inside.missing.items() if n.endswith(f".{kind}")]
        raise InputError(f"sites must be there; '{kind}' is in no block: {reasons[0]}.")
    return found


def _inside(backbone: "Backbone", name: str) -> Site:
    for site in backbone.inside.sites:
        if site.name == name:
            return site
    if name in backbone.inside.missing:
        reason = backbone.inside.missing[name]
        raise InputError(f"sites must be there; '{name}' is not: {reason}.")
    raise InputError(f"sites must be 'all'{_rule(backbone)}; got {name}.")


def _hooked(backbone: "Backbone", item: str, block: int, hook: str) -> Site:
    """The site that TransformerLens calls so."""
    if len(backbone.stacks) > 1:
        raise InputError(
            f"sites must be named by stack in an encoder-decoder; got {item}. Choose among "
            f"{_names(backbone)}, or names such as 'dec.block.0.attn_out'."
        )
    if hook == "resid_pre":
        name = f"block.{block - 1}" if block else "embed"
    elif hook in _HOOKS:
        name = _HOOKS[hook].format(block)
        normed = f"block.{block}" in backbone.inside.normed
        if "resid" in hook and hook.startswith("normalized") != normed:
            other = "behind" if normed else "before"
            right = f"hook_{hook.removeprefix('normalized_')}"
            right = right.replace("hook_", "hook_normalized_") if normed else right
            raise InputError(
                f"sites must be states of the stream; {item} is not, in a model whose "
                f"norms stand {other} the sums. Name blocks.{block}.{right}, or '{name}'."
            )
    else:
        known = ("resid_pre", *_HOOKS)
        raise InputError(
            f"a site of TransformerLens must be hook_{', hook_'.join(known)} of a block; "
            f"got {item}.{meant(hook, known)}"
        )
    return _sites(backbone, name)[0]


def _of_module(backbone: "Backbone", item: str) -> Site:
    """The site whose states a module puts out, or is given."""
    path = _OUTPUT.sub("", re.sub(r"\[(\d+)\]", r".\1", item))
    parts = path.removesuffix(".input").split(".")
    # What holds the backbone: a head, or PEFT's wrapper.
    outer = {"model", "base_model", backbone.base.base_model_prefix}
    modules = dict(backbone.base.named_modules())
    while parts and ".".join(parts) not in modules and parts[0] in outer:
        parts.pop(0)
    own = ".".join(parts)
    if not own or own not in modules:
        raise InputError(
            f"sites must be 'all'{_rule(backbone)}, or a module's path; "
            f"{type(backbone.base).__name__} has no module '{item}'."
        )
    end = ".input" if path.endswith(".input") else ""
    if (name := backbone.inside.modules.get(own + end)) is None:
        does = "is given" if end else "puts out"
        raise InputError(
            f"a module named as a site must put out the states of one; what '{item}' "
            f"{does} is none{_near(backbone, own)}."
        )
    return next(
        site for site in (*backbone.sites, *backbone.inside.sites) if site.name == name
    )


def _near(backbone: "Backbone", path: str) -> str:
    """Which sites there are in the same block, and of which modules they are."""
    block = re.match(r"(.*?\.\d+)(\.|$)", path)
    if block is None:
        return ""
    own = {
        name: module
        for module, name in backbone.inside.modules.items()
        if module.startswith(f"{block[1]}.") and name.endswith(KINDS)
    }
    said = ", ".join(f"'{name}' ({module})" for name, module in own.items())
    return f"; its block has {said}" if said else ""


def _index(site: Site) -> int:
    return -1 if site.index is None else site.index


def _rule(backbone: "Backbone") -> str:
    indexed = [site for site in backbone.sites if site.index is not None]
    if len(backbone.stacks) > 1 or not indexed:
        return f" or names among {_names(backbone)}"
    first, last = min(indexed, key=_index), max(indexed, key=_index)
    spoken = {"embed": "embeddings", "final_norm": "after the final norm"}
    where = spoken.get(last.name, "last block")
    blocks = [site for site in backbone.sites if "block." in site.name]
    example = blocks[min(4, len(blocks) - 1)].name
    return (
        f", hidden_states indices {first.index} ({spoken.get(first.name, first.name)}) "
        f"... {last.index} ({where}) or names such as '{example}' and "
        f"'{example}.attn_out'"
    )


def _names(backbone: "Backbone") -> str:
    parts = []
    for stack in backbone.stacks:
        names = [site.name for site in backbone.sites if site.stack == stack]
        blocks = [name for name in names if "block." in name]
        others = [name for name in names if "block." not in name]
        spans = blocks if len(blocks) < 2 else [f"{blocks[0]} ... {blocks[-1]}"]
        parts += [*others[:1], *spans, *others[1:]]
    return ", ".join(parts)
