"""What public objects print as: a line that says what they hold."""

import numpy as np
import pytest

from mi_probe import HiddenStates, dpi_gap, extract, mutual_information, read_table
from mi_probe.analysis import compare_estimates
from mi_probe.facts import amount
from mi_probe.synthetic import order

TEXTS = ["good", "bad", "fine", "poor"]


@pytest.fixture(scope="module")
def known():
    return order(120, t=4, d=3, vary=False, seed=0)


def test_a_task_says_its_rows_groups_and_y():
    table = {"text": TEXTS, "label": ["pos", "neg"] * 2, "who": ["a", "a", "b", "b"]}
    said = "Task('table', 4 rows{}, Y: column 'label' of the table, 2 classes)"
    assert repr(read_table(table)) == said.format("")
    assert repr(read_table(table, group_column="who")) == said.format(", 2 groups")
    scores = read_table((TEXTS, [0.1, 0.25, 1.5, 2.0]))
    assert repr(scores).endswith("scores)")


def test_states_say_their_size(tiny_backbone):
    z = HiddenStates(np.zeros((2, 3, 4), np.float32), np.ones((2, 3)), site="block.0")
    assert repr(z) == "HiddenStates(n=2, t=3, d=4, float32, block.0)"
    states = extract(tiny_backbone(), TEXTS, views=("mean", "last"), progress=False)
    assert repr(states) == (
        "Activations(4 rows, 5 sites: embed, block.0, block.1, block.2, ...; "
        "views: mean, last)"
    )


def test_an_estimate_says_value_interval_ceiling_and_status(known):
    found = mutual_information(known.x.values.mean(1), known.y, estimator="lda")
    said = repr(found)
    assert said.startswith(f"Estimate({amount(found.nats, found.ci)}, ")
    assert f"H(Y) {found.entropy_y:.3f}, lower bound, {found.status}; lda, 120 r" in said
    other = mutual_information(known.x.values.mean(1), known.y, estimator="linear")
    difference = compare_estimates(found, other)
    assert repr(difference).startswith(f"PairedDifference({difference.words}; ")
    assert repr(difference).endswith("120 rows, 120 units)")


def test_gaps_say_what_is_given_and_whether_it_was_tested(known):
    gaps = dpi_gap(known.x, known.y, pooling=["mean", "last"], n_draws=0)
    assert repr(gaps["mean"]).startswith("Gap(given Z_mean: ")
    assert repr(gaps["mean"]).endswith(", not tested)")
    assert repr(gaps) == f"Gaps({gaps['mean']!r}, {gaps['last']!r})"
