"""Capture: from texts and a model to hidden states Z, pooled or whole."""

from mi_probe.capture.activations import VIEWS, Activations
from mi_probe.capture.extract import extract
from mi_probe.capture.forecast import forecast
from mi_probe.capture.hooks import capture
from mi_probe.capture.imported import import_states
from mi_probe.capture.padding import check_padding
from mi_probe.capture.plan import Plan, plan
from mi_probe.capture.sequences import Sequences
from mi_probe.capture.store import fingerprint_id, load_activations

__all__ = [
    "VIEWS",
    "Activations",
    "Plan",
    "Sequences",
    "capture",
    "check_padding",
    "extract",
    "fingerprint_id",
    "forecast",
    "import_states",
    "load_activations",
    "plan",
]
