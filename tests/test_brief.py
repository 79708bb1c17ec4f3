import pandas as pd
import pytest
from result_rows import grid, row, table

from mi_probe.brief import brief, brief_html
from mi_probe.errors import InputError


def test_it_holds_what_is_read_first():
    shown = brief(table(row(0.25, layer=3), row(0.1, layer=0, view="mean")))
    first = shown.iloc[0]
    assert first["estimate (nats)"] == "0.250"
    assert first["95 % interval"] == "[0.230, 0.270]"
    assert first["H(Y) (nats)"] == "0.693"
    assert first["n \N{RIGHTWARDS ARROW} \N{INFINITY}"] == "0.280"
    assert shown["status"].tolist() == ["ok", "ok"]


def test_what_is_claimed_from_below_is_shown_as_at_least():
    below = row(0.25, extrapolated_claim="at_least", extrapolated_high=None)
    shown = brief(table(below, row(0.1, view="mean")))
    assert shown.iloc[:, 8].tolist() == ["\N{GREATER-THAN OR EQUAL TO} 0.260", "0.130"]


def test_rows_of_one_model_are_told_apart():
    shown = brief(table(row(0.1, checkpoint_step=15), row(0.2, checkpoint_step=30)))
    assert shown["step"].tolist() == [15, 30]
    assert not {"seed", "tokens"} & set(shown)
    shown = brief(table(row(0.1), row(0.2, seed=1, token_set="generated")))
    assert shown["seed"].tolist() == [0, 1]
    assert shown["tokens"].tolist() == ["prompt", "generated"]
    assert "step" not in shown


def test_what_has_no_value_is_empty():
    flagged = row(
        float("nan"),
        ci_low=None,
        H_Y_nats=None,
        null_high=None,
        p_value=None,
        extrapolated_nats=None,
        extrapolated_claim=None,
        status="diverged",
    )
    shown = brief(table(flagged)).iloc[0]
    assert list(shown[6:12]) == [""] * 6
    assert shown["status"] == "diverged"


def test_html_is_escaped_and_says_how_many():
    html = brief_html(pd.concat([grid(model="<script>alert(1)</script>")] * 10), most=20)
    assert "<script" not in html
    assert html.count("<tr>") < 30
    assert "60 estimates, in nats" in html


def test_another_table_is_refused():
    with pytest.raises(InputError, match="columns of a result table; model, task"):
        brief(pd.DataFrame({"a": [1]}))


def test_rows_of_the_states_have_no_controls_name():
    shown = brief(table(row(0.1), row(0.2, control="words")))
    assert shown["control"].tolist() == ["", "words"]
