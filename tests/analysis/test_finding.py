from dataclasses import dataclass

import pandas as pd
from result_rows import grid, row, table

from mi_probe.analysis.finding import findings
from mi_probe.analysis.summaries import over_seeds


@dataclass
class Difference:
    difference: float
    ci: tuple[float, float]
    p_value: float = 0.001


def words(model="lab/tiny"):
    given = {"control": "words", "quantity": "I_YC", "view": "words", "model": model}
    return row(0.021, site="text", layer=None, **given)


def test_one_network_is_its_amount_controls_and_what_pooling_loses():
    points = over_seeds(pd.concat([grid(), table(words())], ignore_index=True))
    told = findings(points, lambda a, b: Difference(0.05, (0.02, 0.08)))
    assert told == [
        "On reviews, I(Y;Z) after the final norm is 0.400 nats [0.380, 0.420] (tiny), of "
        "H(Y) = 0.693; the words alone give 0.021. "
        "Paired over rows, that is +0.050 [0.020, 0.080] above I(Y;Z_mean).",
    ]
    assert findings(points) == [told[0].partition(" Paired")[0]]


def test_several_networks_are_a_range_and_none_is_chosen():
    both = [grid(model="a"), grid(model="b", task="reviews")]
    both[1]["value_nats"] -= 0.1
    points = over_seeds(pd.concat(both))
    ends = iter([Difference(0.05, (0.02, 0.08)), Difference(0.01, (-0.02, 0.04))])
    (told,) = findings(points, lambda a, b: next(ends))
    amount, _, lost = told.partition(". ")
    assert "is 0.300 to 0.400 nats in intervals within [" in amount
    assert "(2 networks)" in amount
    assert "no control stands beside it" in amount
    assert lost == (
        "Paired over rows, that is +0.010 to +0.050 above I(Y;Z_mean) (its interval above "
        "0 in 1 of 2)."
    )


def test_what_is_not_told_from_0_is_said_and_token_sets_are_named():
    sets = [grid(token_set=tokens) for tokens in ("prompt", "all")]
    points = over_seeds(pd.concat(sets)).assign(value=0.001, low=-0.002, high=0.004)
    one, two = findings(points)
    assert one.startswith("On reviews, tokens: prompt, I(Y;Z) after the final norm")
    assert two.startswith("On reviews, tokens: all")
    assert one.endswith("; it is not told from 0.")


def test_the_estimator_that_read_most_comes_first():
    less = grid(estimator="linear", views=("full",))
    points = over_seeds(pd.concat([less, grid()], ignore_index=True))
    assert ["by mine" in said for said in findings(points)] == [True, False]
