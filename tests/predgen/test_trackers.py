"""What measuring reports: the table's values, to a tracker that Accelerate drives."""

import pandas as pd
import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from mi_probe.errors import InputError
from mi_probe.predgen import trackers
from mi_probe.predgen.trackers import MEASURING, TRAINING, check_trackers, report


class Kept(GeneralTracker):
    """Keeps what it is told."""

    name = "wandb"
    requires_logging_directory = True
    told: list = []

    def __init__(self, run_name, logging_dir):
        super().__init__(_blank=True)
        self.told.append(("run", run_name, logging_dir))

    @property
    def tracker(self):
        return self

    def store_init_configuration(self, values):
        self.told.append(("config", values))

    def log(self, values, step=None, **_):
        self.told.append((step, values))

    def finish(self):
        self.told.append("finished")


def test_values_go_out_in_the_order_of_layers_with_their_intervals(tmp_path, monkeypatch):
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "wandb", Kept)
    monkeypatch.setattr(Kept, "told", [])
    rows = {
        "task": ["reviews"] * 3,
        "model": ["lab/tiny"] * 3,
        "view": ["full", "full", "mean"],
        "layer": pd.array([6, 2, 6], dtype="Int64"),
        "value_nats": [0.4, 0.3, None],
        "ci_low": [0.35, None, None],
        "ci_high": [0.45, None, None],
    }
    folder = tmp_path / "mine"
    report(["wandb"], folder, pd.DataFrame(rows), "value_nats", {"seeds": 3})
    name = "reviews/lab-tiny/full"
    assert Kept.told == [
        ("run", "mine", str(folder / "trackers")),
        ("config", {"seeds": "3"}),
        (2, {f"{name}/nats": 0.3}),
        (6, {f"{name}/nats": 0.4, f"{name}/low": 0.35, f"{name}/high": 0.45}),
        "finished",
    ]


def test_trackers_that_are_unknown_or_not_installed_are_refused(monkeypatch):
    assert {"wandb", "tensorboard"} <= set(MEASURING) <= set(TRAINING)
    with pytest.raises(InputError, match="report_to must be of .*; got 'notebook'"):
        check_trackers(["notebook"], MEASURING)

    def none(_):
        def missing():
            raise RuntimeError("requires wandb to be installed")

        return [missing]

    monkeypatch.setattr(trackers, "get_reporting_integration_callbacks", none)
    with pytest.raises(InputError, match="must name a tracker that is installed"):
        check_trackers(["wandb"], MEASURING)
    check_trackers([], MEASURING)
