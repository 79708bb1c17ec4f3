"""What a capture will do, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mi_probe.backbones import Backbone, Site
from mi_probe.backbones.head import head_positions
from mi_probe.capture.activations import VIEWS
from mi_probe.capture.sequences import Sequences, as_sequences, listed
from mi_probe.capture.store import SCHEMA
from mi_probe.errors import InputError, check_known
from mi_probe.hidden import Role
from mi_probe.tasks.task import Task

StoreDtype = Literal["captured", "bfloat16"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a capture will do: validated, tokenised, fingerprinted; nothing run yet."""

    backbone: Backbone
    data: Sequences
    sites: tuple[Site, ...]
    views: tuple[str, ...]
    store_dtype: StoreDtype
    fingerprint: Mapping[str, object]

    @property
    def stacks(self) -> dict[str, str]:
        """The stack of each site, as it is named in shards."""
        return {site.name: site.stack or "text" for site in self.sites}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        virtual = self.backbone.n_virtual_tokens
        return self.data.notes + (
            (f"{virtual} virtual positions a row dropped",) if virtual else ()
        )


def plan(
    backbone: Backbone,
    source: Task | Sequences | Any,
    *,
    sites: str | int | Sequence[int | str] = "all",
    views: str | Sequence[str] = ("full",),
    max_tokens: int = 512,
    store_dtype: StoreDtype = "captured",
) -> Plan:
    """Check and tokenise; arguments and errors are those of `extract`."""
    if not views:
        raise InputError(f"views must be some of {', '.join(VIEWS)}; got none.")
    views = (views,) if isinstance(views, str) else tuple(views)
    check_known("views", views, VIEWS)
    if max_tokens < 1:
        raise InputError(f"max_tokens must be at least 1; got {max_tokens}.")
    ordered = tuple(view for view in VIEWS if view in views)
    # In the model's own order: the last one is where the forward may stop.
    in_order = backbone.select(sites)
    data = as_sequences(
        backbone, source, max_tokens=max_tokens, shift_into_decoder="head" in views
    )
    if "head" in views:
        lost = (head_positions(backbone, data.input_ids) < 0).nonzero().flatten()
        if len(lost):
            raise InputError(
                "view 'head' must find the position that the architecture's classifier "
                f"reads; {len(lost)} rows have none: "
                f"{listed([data.ids[int(i)] for i in lost])}. Use another view."
            )
        if data.kept is not None and Role.PROMPT not in data.kept:
            raise InputError(
                "view 'head' must find the prompt, which the architecture's classifier "
                "reads; these sequences keep other states. Use another view."
            )
    for stack in {site.stack or "text": site for site in in_order}:
        if 0 in (lengths := data.kept_lengths(stack)):
            raise InputError(
                f"sites must hold a position that is kept in each row; in stack '{stack}' "
                f"{lengths.count(0)} of {len(data)} rows have none. Name other sites."
            )
    fingerprint: dict[str, object] = {
        "schema": SCHEMA,
        **{f"model.{key}": value for key, value in backbone.fingerprint.items()},
        **data.sha256(),
        "settings.sites": [site.name for site in in_order],
        "settings.views": list(ordered),
        "settings.max_tokens": max_tokens,
        "settings.store_dtype": store_dtype,
    }
    return Plan(backbone, data, in_order, ordered, store_dtype, fingerprint)
