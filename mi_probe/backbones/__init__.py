"""Models to be measured: loading them, and naming the places where states are read."""

from mi_probe.backbones.backbone import Backbone, as_backbone, wrap_backbone
from mi_probe.backbones.embedded import EMBEDDED, embedded_folder
from mi_probe.backbones.folders import expand_checkpoints
from mi_probe.backbones.loading import load_backbone
from mi_probe.backbones.random_twin import random_twin
from mi_probe.backbones.sites import Site

__all__ = [
    "EMBEDDED",
    "Backbone",
    "Site",
    "as_backbone",
    "embedded_folder",
    "expand_checkpoints",
    "load_backbone",
    "random_twin",
    "wrap_backbone",
]
