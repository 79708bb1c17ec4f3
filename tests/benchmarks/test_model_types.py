"""Every text model type of the installed transformers: equal, or refused by name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize(
    ("model_type", "outcome"),
    [
        ("llama", "equal"),
        ("mamba", "equal"),
        ("longformer", "equal"),
        ("convbert", "equal alone"),
        ("flaubert", "refused"),
        ("xlnet", "refused"),
    ],
)
def test_a_few(model_type, outcome):
    from model_types import judge

    assert judge(model_type).outcome == outcome


def test_another_model_than_was_measured_is_called_wrong(monkeypatch):
    import model_types

    real = model_types.extract

    def disturbed(*args, **settings):
        found = real(*args, **settings)
        for shard in found.shards:
            shard.tensors["full/block.0"].mul_(1.01)
        return found

    monkeypatch.setattr(model_types, "extract", disturbed)
    verdict = model_types.judge("llama")
    assert verdict.outcome == "WRONG"
    assert verdict.said == "block.0 differs by 0.01"


@pytest.mark.slow
def test_every_type_is_equal_or_refused_by_name():
    from model_types import judge, model_types

    verdicts = [judge(name) for name in model_types()]
    wrong = [v for v in verdicts if v.outcome == "WRONG"]
    assert not wrong
    for verdict in verdicts:
        if verdict.outcome == "refused":
            # One line that says what is wrong, and not what a library raised.
            assert re.search(r"must |cannot be captured", verdict.said), verdict
    # Most run; the table of docs says what the others said.
    outcomes = [v.outcome for v in verdicts]
    assert outcomes.count("equal") > 150
    assert outcomes.count("not built") < 25
    page = (ROOT / "docs" / "model-types.md").read_text()
    for verdict in verdicts:
        assert f"| {verdict.model_type} | {verdict.outcome} |" in page
