"""The same architecture with random weights: what a network knows before it has learned."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from mi_probe.backbones.backbone import Backbone, assemble
from mi_probe.backbones.fingerprint import fingerprint_model
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.backbones.trial import is_spread


def random_twin(backbone: Backbone) -> Callable[[int], Backbone]:
    """A maker of networks like this one with other weights: drawn as its class draws them.

    Configuration, precision, device and tokenizer are the backbone's own, so the twin reads
    the same tokens at the same sites; that of a model over several devices is on the CPU.
    An adapter is left out, since on random weights it means nothing. The maker does not
    hold the backbone, which may be let go of; the global random state is not touched.

    Args:
        backbone: whose twins are wanted.

    Returns:
        From a seed to the twin of that seed, the same each time.

    References:
        Zhang and Bowman 2018, Language Modeling Teaches You More than Translation Does,
        arXiv 1809.10040 (random weights as a baseline of probes).
    """
    kind: Any = type(backbone.base)
    config = copy.deepcopy(backbone.base.config)
    dtype = next(backbone.base.parameters()).dtype
    spread, tokenizer = is_spread(backbone.base), backbone.tokenizer
    device = torch.device("cpu") if spread else backbone.device
    name, revision, step = backbone.name, backbone.revision, backbone.step
    chat_template = backbone.chat_template

    def make(seed: int) -> Backbone:
        with quiet_transformers(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # A model writes into its configuration; each twin has its own.
            model = kind(copy.deepcopy(config)).eval()
        model = model.to(device=device, dtype=dtype)
        hashes = fingerprint_model(model) | {"random_weights": str(seed)}
        return assemble(
            model,
            tokenizer,
            name=name,
            hashes=hashes,
            revision=revision,
            step=step,
            chat_template=chat_template,
        )

    return make
