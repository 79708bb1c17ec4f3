"""Measuring: cells, rows, and refusals before anything long is started."""

import dataclasses
from dataclasses import dataclass, replace

import numpy as np
import pytest
from fakes import ANYTHING, estimate_of

from mi_probe.analysis.cells import cells, subject_of
from mi_probe.analysis.measuring import check_task, measure
from mi_probe.analysis.profiles import choose_estimators, profile
from mi_probe.capture import extract
from mi_probe.contents import digest
from mi_probe.errors import InputError
from mi_probe.estimators import Estimate
from mi_probe.hidden import HiddenStates
from mi_probe.results import COLUMNS, read_results
from mi_probe.tasks import Task

SEEN: list[tuple] = []


@dataclass(frozen=True)
class Fake:
    """Instant: remembers what it was given, and says how many dimensions that had."""

    name = "fake"
    nature = ANYTHING
    strength: float = 1.0

    def estimate(self, x, y, *, groups=None, seed=0):
        SEEN.append((x, y, seed))
        n = len(y)
        classes = not np.issubdtype(np.asarray(y).dtype, np.floating)
        return Estimate(
            nats=float(seed),
            stderr=0.1,
            ci=(seed - 0.2, seed + 0.2),
            pointwise=np.full(n, float(seed)),
            entropy_y=float(np.log(2)) if classes else None,
            status="ok",
            bound="lower bound",
            estimator=self,
            seed=seed,
        )


@pytest.fixture(autouse=True)
def _forget():
    SEEN.clear()


def make_task(n=12, scores=False):
    words = ["good", "bad", "fine film", "poor and long plot"]
    return Task(
        name="t",
        prompts=tuple(f"{words[i % 4]} {i}" for i in range(n)),
        answers=tuple(" a" for _ in range(n)),
        labels=np.arange(n) / 3 if scores else np.arange(n) % 2,
        label_names=None if scores else ("no", "yes"),
        target="parity",
        ids=tuple(f"row{i}" for i in range(n)),
    )


FAKES = {"fake": Fake(), "strong": Fake(2.0)}


def test_one_row_a_site_view_estimator_and_seed(tiny_backbone):
    backbone, task = tiny_backbone("llama"), make_task()
    states = extract(
        backbone, task, sites="0,block.1", views=("full", "mean"), progress=False
    )
    found = list(
        measure(states, task, subject=subject_of(backbone), estimators=FAKES, seeds=(0, 3))
    )
    rows = [m.row for m in found]
    assert [(r.site, r.view, r.estimator, r.seed) for r in rows] == [
        (site, view, name, seed)
        for site in ("embed", "block.1")
        for view in ("full", "mean")
        for name in FAKES
        for seed in (0, 3)
    ]
    assert {r.quantity for r in rows if r.view == "full"} == {"I_YZ"}
    assert {r.quantity for r in rows if r.view == "mean"} == {"I_YZp"}
    assert [r.layer for r in rows][::8] == [0, 2]
    assert {(r.n_layers, r.n, r.n_classes, r.y_kind) for r in rows} == {
        (3, 12, 2, "classes")
    }
    assert rows[1].value_nats == 3.0
    assert rows[1].ci_low == pytest.approx(2.8)
    assert len({r.row_id for r in rows}) == len(rows)
    for x, y, _ in SEEN:
        assert isinstance(x, HiddenStates) or x.shape == (12, 32)
        assert y.tolist() == task.labels.tolist()
    # The states are those of the site that the row names.
    full = next(x for x, _, _ in SEEN if isinstance(x, HiddenStates))
    assert full.site == "embed"
    assert digest(found[0].key) == rows[0].row_id


def test_a_row_id_says_what_defines_the_estimate(tiny_backbone):
    backbone, task = tiny_backbone("llama"), make_task()

    def ids(fingerprint, task=task, **changes):
        given = {
            "subject": subject_of(backbone),
            "estimators": {"fake": Fake()},
            "sites": ["embed"],
            "views": ["mean"],
        }
        return [c.id for c in cells(fingerprint, task, **{**given, **changes})]

    states = {"model.model": "abc", "settings.sites": ["embed"], "schema": "1"}
    (one,) = ids(states)
    # Other sites in the same capture change nothing; all that follows does.
    assert ids({**states, "settings.sites": ["embed", "block.0"]}) == [one]
    others = [
        ids({**states, "model.model": "abd"}),
        ids(states, make_task(10)),
        ids(states, replace(task, labels=1 - task.labels)),
        ids(states, replace(task, ids=tuple(f"x{i}" for i in range(12)))),
        ids(states, sites=["block.0"]),
        ids(states, views=["full"]),
        ids(states, seeds=[1]),
        ids(states, n_permutations=2),
        ids(states, estimators={"fake": Fake(2.0)}),
        ids(states, estimators={"other": Fake()}),
        ids(states, token_set="all"),
    ]
    assert len({one, *[i for (i,) in others]}) == len(others) + 1


def test_what_is_done_is_left_out(tiny_backbone):
    backbone, task = tiny_backbone("llama"), make_task()
    states = extract(backbone, task, sites="0", views=("mean",), progress=False)
    settings = {"subject": subject_of(backbone), "estimators": FAKES}
    first = next(measure(states, task, **settings))
    SEEN.clear()
    rest = list(measure(states, task, done={first.row.row_id}, **settings))
    assert [m.row.estimator for m in rest] == ["strong"]
    assert len(SEEN) == 1


def test_permutations_give_a_null(tiny_backbone):
    backbone, task = tiny_backbone("llama"), make_task()
    states = extract(backbone, task, sites="0", views=("mean",), progress=False)
    (found,) = measure(
        states,
        task,
        subject=subject_of(backbone),
        estimators={"fake": Fake()},
        n_permutations=4,
    )
    assert len(found.estimate.null) == 4
    assert found.row.n_permutations == 4
    assert found.row.null_high is not None
    assert found.row.p_value is not None
    # Y was shuffled, not changed.
    assert all(sorted(y) == sorted(task.labels) for _, y, _ in SEEN)
    assert any(list(y) != list(task.labels) for _, y, _ in SEEN)


def test_profile_gives_the_tidy_table_and_keeps_it(tiny_backbone, tmp_path):
    backbone, task = tiny_backbone("gpt2"), make_task(scores=True)
    given = {"sites": "0,2", "views": ("last",), "progress": False, "controls": ()}
    table = profile(backbone, task, estimators={"fake": Fake()}, **given)
    assert list(table.columns) == list(COLUMNS)
    assert table.site.tolist() == ["embed", "block.1"]
    assert table.y_kind.unique().tolist() == ["scores"]
    assert table.H_Y_nats.isna().all()
    out = str(tmp_path / "out")
    SEEN.clear()
    kept = profile(backbone, task, estimators={"fake": Fake()}, out=out, **given)
    again = profile(backbone, task, estimators={"fake": Fake()}, out=out, **given)
    assert len(SEEN) == 2  # the second call computed nothing
    assert kept.row_id.tolist() == again.row_id.tolist() == table.row_id.tolist()
    assert read_results(out).row_id.tolist() == kept.row_id.tolist()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (replace(make_task(), labels=np.zeros(12, dtype=int)), "all its 12 rows.*'no'"),
        (make_task().rows([3]), "at least two classes.*its one row has 'yes'"),
        (replace(make_task(scores=True), labels=np.ones(12)), "two different scores"),
        (replace(make_task(scores=True), labels=np.full(12, np.nan)), "finite; 12 of"),
    ],
)
def test_labels_that_carry_nothing_are_refused_before_the_capture(
    task, message, tiny_backbone, monkeypatch
):
    def never(*_, **__):
        raise AssertionError("captured")

    monkeypatch.setattr("mi_probe.analysis.profiles.extract", never)
    with pytest.raises(InputError, match=message):
        profile(tiny_backbone("llama"), task, estimators={"fake": Fake()})
    with pytest.raises(InputError, match=message):
        check_task(task)


def test_scores_are_refused_by_an_estimator_of_classes():
    class ClassesOnly(Fake):
        nature = dataclasses.replace(ANYTHING, takes=frozenset({"classes"}))

    with pytest.raises(InputError, match="estimator 'strict' takes classes"):
        check_task(make_task(scores=True), {"strict": ClassesOnly()})
    check_task(make_task(), {"strict": ClassesOnly()})


def test_states_of_other_rows_are_refused(tiny_backbone):
    backbone = tiny_backbone("llama")
    states = extract(backbone, make_task(), sites="0", views=("mean",), progress=False)
    reordered = make_task().rows(np.arange(12)[::-1])
    with pytest.raises(InputError, match="in their order"):
        next(measure(states, reordered, subject=subject_of(backbone), estimators=FAKES))


def test_unknown_names():
    with pytest.raises(InputError, match="estimator must be one of .*'mime'"):
        choose_estimators(["mime"])
    with pytest.raises(InputError, match="task must be one of"):
        profile("anything", "sst3")


class Hinted(Fake):
    """Its history names its own site's number of dimensions and what it was told."""

    nature = dataclasses.replace(ANYTHING, hints=True)

    def estimate(self, x, y, *, groups=None, seed=0, hints=None):
        TOLD.append(hints)
        made = super().estimate(x, y, seed=seed)
        return replace(made, history=({"place": len(TOLD)},))


TOLD: list = []


def test_the_deepest_site_is_measured_first_and_narrows_the_search_at_the_others(
    tiny_backbone, tmp_path
):
    backbone, task = tiny_backbone("llama"), make_task()
    given = {"sites": [0, 2, "final_norm"], "views": ("mean",), "progress": False}
    given |= {"estimators": {"hinted": Hinted()}, "out": str(tmp_path / "out")}
    TOLD.clear()
    table = profile(backbone, task, controls=(), **given)
    assert TOLD == [None, ({"place": 1},), ({"place": 1},)]
    assert len(table) == 3
    # More sites: the anchor's history is read back, and only the new one is measured.
    TOLD.clear()
    more = profile(
        backbone, task, controls=(), **{**given, "sites": [0, 1, 2, "final_norm"]}
    )
    assert TOLD == [[{"place": 1}]]
    assert more.site.tolist() == ["embed", "block.0", "block.1", "final_norm"]


def test_an_anchor_that_is_not_measured_is_named(tiny_backbone):
    backbone, task = tiny_backbone("llama"), make_task()
    states = extract(backbone, task, sites=[0, 1], views=("mean",), progress=False)
    asked = measure(
        states,
        task,
        subject=subject_of(backbone),
        estimators={"hinted": Hinted()},
        sites=["embed"],
        anchor="block.0",
    )
    with pytest.raises(InputError, match=r"anchor must be measured .* 'block\.0'"):
        next(asked)


@dataclass(frozen=True)
class Noisy:
    """Terms that rise with the layer's first number, on rows that all layers share."""

    name = "noisy"
    nature = ANYTHING

    def estimate(self, x, y, *, groups=None, seed=0):
        rng = np.random.default_rng(seed)
        level = 0.3 if isinstance(x, HiddenStates) else 0.1
        return estimate_of(level + 0.1 * rng.standard_normal(len(y)), seed=seed)


@pytest.mark.parametrize("kept", [False, True])
def test_a_profile_tells_its_layers_together(tiny_backbone, tmp_path, kept):
    asked = {
        "sites": ["embed", "block.1", "final_norm"],
        "views": ("full", "mean"),
        "estimators": {"noisy": Noisy()},
        "progress": False,
        "out": str(tmp_path / "out") if kept else None,
    }
    backbone, task = tiny_backbone("llama"), make_task(60)
    table = profile(backbone, task, **asked)
    found = table.simultaneous()
    assert found.low.shape == (3,)
    assert found.best.tolist() == [0, 1, 2]
    assert found.best_estimate.nats == pytest.approx(0.3, abs=0.05)
    assert table.simultaneous(view="mean").best_estimate.nats < 0.15
    assert type(table[table["view"] == "full"]) is not type(table)
    with pytest.raises(InputError, match="view must be one of full, mean"):
        table.simultaneous(view="last")
    if kept:  # nothing is measured again, and it is the same
        again = profile(backbone, task, **asked).simultaneous()
        assert again.low.tolist() == found.low.tolist()


def test_a_profile_of_several_seeds_asks_which(tiny_backbone):
    table = profile(
        *(tiny_backbone("llama"), make_task(60)),
        sites=["embed"],
        views=("mean",),
        estimators={"noisy": Noisy()},
        seeds=(0, 1),
        progress=False,
    )
    with pytest.raises(InputError, match="seed must be one of 0, 1"):
        table.simultaneous(view="mean")
    assert len(table.simultaneous(view="mean", seed=1).low) == 1
