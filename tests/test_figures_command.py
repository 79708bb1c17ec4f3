import json

import pandas as pd
import pytest
from result_rows import (
    gap_rows,
    generated_rows,
    grid,
    ladder_rows,
    position_rows,
    row,
    table,
    token_rows,
    type_rows,
    word_rows,
)

from mi_probe.figures import main
from mi_probe.gallery import KINDS
from mi_probe.plots import captions
from mi_probe.report.__main__ import main as report
from mi_probe.report.pictures import INTERACTIVE, QUESTIONS
from mi_probe.results import SCHEMA_VERSION
from tests.report.folder import write


@pytest.fixture
def results(tmp_path):
    """A folder with the table alone, as it is shared beside a paper."""

    def make(content=None, name="results"):
        folder = tmp_path / name
        folder.mkdir()
        content = grid() if content is None else content
        content.to_csv(folder / "results.csv", index=False)
        return str(folder)

    return make


def test_draws_all_that_the_rows_allow_and_reads_it(results, tmp_path, capsys):
    one = results(grid(model="lab/a"), "one")
    two = results(grid(model="lab/b"), "two")
    assert main([one, two, "--out", str(tmp_path / "f"), "--unit", "bits"]) == 0
    stems = {path.stem for path in (tmp_path / "f").iterdir()}
    assert stems == {"profile-a-reviews", "profile-b-reviews", "bars"}
    said = (tmp_path / "f" / "bars.txt").read_text()
    assert "not ordered by the data processing inequality" in said
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("wrote ") == len(stems)
    assert "a on reviews, mine, n = 1,234, 1 seed:\n  I(Y;Z) is largest" in out
    drawn = pd.read_csv(tmp_path / "f" / "bars.csv")
    assert set(drawn["unit"]) == {"bits"}
    assert drawn["x"].tolist() == [6, 6] * 2


def test_one_layer_is_no_profile(results, tmp_path, capsys):
    out = tmp_path / "f"
    assert main([results(grid(layers=(6,))), "--out", str(out), "--formats", "svg"]) == 0
    assert {path.stem for path in out.iterdir()} == {"bars"}
    assert "profile (no estimates at several layers of a model)" in capsys.readouterr().out


def test_only_and_layer_choose(results, tmp_path, capsys):
    out = tmp_path / "f"
    options = ["--out", str(out), "--only", "bars", "--layer", "block.2"]
    assert (
        main(
            [
                results(),
                *options,
                "--style",
                "icml",
                "--size",
                "page",
                "--no-titles",
                "--zoom",
            ]
        )
        == 0
    )
    assert sorted(p.name for p in out.iterdir()) == [
        *("bars.csv", "bars.pdf", "bars.png", "bars.txt")
    ]
    assert set(pd.read_csv(out / "bars.csv")["site"]) == {"block.2"}


def test_names_equal_as_files_do_not_overwrite_each_other(results, tmp_path):
    content = pd.concat([grid(model="a?b"), grid(model="a*b")])
    out = tmp_path / "f"
    assert main([results(content), "--out", str(out), "--only", "profile"]) == 0
    assert len(list(out.glob("*.pdf"))) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--style", "cvpr"], "style must be one of acl, icml, neurips, iclr"),
        (["--size", "A0"], "size must be one of column, page, slide"),
        (["--palette", "mauve"], "palette must be grey, or a name"),
        (["--formats", "gif"], "formats must be of pdf, png, svg; got 'gif'"),
        (["--unit", "bananas"], "unit must be one of nats, bits"),
        (["--only", "pie"], "only must be of profile, bars,"),
        (["--layer", "99"], "measured: embed, block.2, final_norm"),
        (["--fonts", "none.ttf"], "fonts must be TrueType files"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    results, tmp_path, capsys, options, words
):
    assert main([results(), "--out", str(tmp_path / "f"), *options]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "exists"),
        ("", "has no rows/"),
        ("row_id,seed\n", "has none"),
        ("row_id,seed\na,0\n", "it lacks 46 of its columns, the first 'control'"),
        ("row_id,seed\na,x\n", "must be whole tables"),
        ("row_id,seed\na,1\nb", "is none (its last line is cut off)"),
        ("row_id,view\na,mean\nb,\n", "view must be filled in every row"),
        (
            "row_id,schema_version\na,7\n",
            f"schema_version must be {SCHEMA_VERSION}, this program's",
        ),
    ],
)
def test_a_folder_that_is_no_result_is_one_line(tmp_path, capsys, content, words):
    folder = tmp_path / "results"
    if content is not None:
        folder.mkdir()
        if content:
            (folder / "results.csv").write_text(content)
    assert main([str(folder), "--out", str(tmp_path / "f")]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


BROKEN = {
    "gaps.csv": lambda text: text.replace("0.12,", "x,"),
    "capacity.csv": lambda text: text[: len(text) // 2],
    "tokens/block.2.types.csv": lambda text: "a\n1\n",
    "tokens/block.2.words.csv": lambda text: "word\nfunny\n",
    "tokens/block.2.generated.csv": lambda text: "n\n1\n",
    "tokens/block.2.json": lambda text: '{"schema": "mi_probe.tokens/1"}',
    "tokens/final_norm.json": lambda text: "[]",
    "tokens/block.2.tokens.parquet": lambda text: "PAR1",
}


@pytest.mark.parametrize("command", [main, report])
@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_broken_or_newer_is_named(name, command, tmp_path, capsys):
    folder = write(tmp_path / "results")
    path = tmp_path / "results" / name
    path.write_text(BROKEN[name](path.read_text(encoding="latin-1")))
    options = ["--out", str(tmp_path / "f.html")]
    if command is main:
        kind = {"gaps.csv": "gaps", "capacity.csv": "capacity"}.get(name, "types")
        options += ["--only", kind]
    assert command([folder, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert path.name in line
    assert not list(tmp_path.glob("f.html*/*"))


@pytest.mark.parametrize("command", [main, report])
def test_rows_of_a_newer_version_are_said(command, tmp_path, capsys):
    rows = tmp_path / "results" / "rows"
    rows.mkdir(parents=True)
    options = [str(tmp_path / "results"), "--out", str(tmp_path / "f.html")]
    (rows / "a.json").write_text('{"schema_version": 9, "rows": []}')
    assert command(options) == 2
    assert (
        f"schema_version must be {SCHEMA_VERSION}, this program's"
        in capsys.readouterr().err
    )
    (rows / "a.json").write_text(f'{{"schema_version": {SCHEMA_VERSION}, "row"')
    assert command(options) == 2
    assert (
        "a.json must be a result row as it was written; it is damaged"
        in capsys.readouterr().err
    )


def test_no_folder_and_no_row_of_the_kind_are_one_line(results, tmp_path, capsys):
    assert main([]) == 2
    assert "at least one folder" in capsys.readouterr().err
    content = table(row(0.3, layer=float("nan"), site="elsewhere"))
    assert main([results(content), "--out", str(tmp_path / "f")]) == 2
    err = capsys.readouterr().err
    assert "must allow a figure; not drawn: profile (no estimates" in err


def test_gaps_and_ladders_are_drawn_from_their_own_tables(tmp_path, capsys):
    folder = tmp_path / "results"
    folder.mkdir()
    gap_rows().to_csv(folder / "gaps.csv", index=False)
    ladder_rows("capacity").to_csv(folder / "capacity.csv", index=False)
    ladder_rows("noise").to_csv(folder / "noise.csv", index=False)
    out = tmp_path / "f"
    assert main([str(folder), "--out", str(out), "--formats", "png,svg"]) == 0
    stems = {"gaps", "capacity-tiny-reviews-block.2", "noise-tiny-reviews-block.2"}
    assert {p.name for p in out.iterdir()} == {
        f"{stem}.{ending}" for stem in stems for ending in ("png", "svg", "csv", "txt")
    }
    said = capsys.readouterr().out
    assert "not drawn: profile (no estimates" in said
    drawn = pd.read_csv(out / "gaps.csv")
    assert drawn["gap"].tolist() == gap_rows()["gap_nats"].tolist()


@pytest.mark.parametrize("steps", [(10, 20), (10, 20, 40)])
def test_systems_are_drawn_and_curves_of_three_steps(steps, results, tmp_path):
    content = table(
        *(
            row(
                0.1 + step / 100,
                objective=objective,
                model=f"runs/{objective}/checkpoint-{step}",
                checkpoint_step=step,
                metric="accuracy",
                metric_value=0.5 + step / 100,
            )
            for objective in ("predictor", "predgen")
            for step in steps
        )
    )
    out = tmp_path / "f"
    kinds = "bars,systems,training,accuracy"
    assert main([results(content), "--out", str(out), "--only", kinds]) == 0
    stems = {path.stem for path in out.iterdir()}
    curves = {"training-reviews", "accuracy-reviews"} if len(steps) > 2 else set()
    assert stems == {"systems"} | curves
    assert pd.read_csv(out / "systems.csv")["checkpoint_step"].tolist() == [steps[-1]] * 2
    for name in curves:
        assert len(pd.read_csv(out / f"{name}.csv")) == 6


def test_token_sets_are_no_figures_of_their_own(results, tmp_path):
    content = pd.concat([grid(token_set=tokens) for tokens in ("prompt", "all")])
    out = tmp_path / "f"
    assert main([results(content), "--out", str(out), "--formats", "svg"]) == 0
    assert {path.stem for path in out.iterdir()} == {"profile-tiny-reviews", "bars"}
    assert set(pd.read_csv(out / "bars.csv")["token_set"]) == {"prompt", "all"}


def test_tables_of_two_seeds_are_not_mixed_by_layer(tmp_path):
    tokens = tmp_path / "results" / "tokens"
    tokens.mkdir(parents=True)
    for layer in (0, 6):
        for seed in (0, 1):
            stem = f"tiny-{layer}-{seed}"
            token_rows().to_parquet(tokens / f"{stem}.tokens.parquet")
            position_rows().to_csv(tokens / f"{stem}.positions.csv", index=False)
            about = {"subject": "lab/tiny", "layer": layer}
            about |= {"key": {"site": f"block.{layer}", "seed": seed}}
            (tokens / f"{stem}.json").write_text(json.dumps(about))
    out = tmp_path / "f"
    given = [str(tmp_path / "results"), "--out", str(out), "--formats", "svg"]
    # A second time the same folder: its tables are the same ones.
    assert main([*given, given[0], "--only", "positions"]) == 0
    maps = {p.name for p in out.glob("positions-layers-*.csv")}
    assert maps == {"positions-layers-tiny.csv", "positions-layers-tiny-2.csv"}
    for name in maps:
        assert pd.read_csv(out / name).groupby("layer").size().tolist() == [12, 12]


def test_token_tables_become_strips_maps_positions_types_and_words(tmp_path, capsys):
    tokens = tmp_path / "results" / "tokens"
    tokens.mkdir(parents=True)
    for layer in (0, 6):
        stem = f"tiny-reviews-{layer}"
        table = token_rows().assign(role="prompt")
        table.loc[table["token"].isin([".", " end"]), "role"] = "generated"
        table.to_parquet(tokens / f"{stem}.tokens.parquet")
        generated_rows().to_csv(tokens / f"{stem}.generated.csv", index=False)
        position_rows().to_csv(tokens / f"{stem}.positions.csv", index=False)
        type_rows().to_csv(tokens / f"{stem}.types.csv", index=False)
        word_rows().to_csv(tokens / f"{stem}.words.csv", index=False)
        about = {"subject": "lab/tiny", "task": "reviews", "layer": layer, "n": 1234}
        about |= {"key": {"site": f"block.{layer}", "seed": 0}}
        (tokens / f"{stem}.json").write_text(json.dumps(about))
    out = tmp_path / "f"
    options = ["--out", str(out), "--sentences", "1", "--formats", "svg"]
    assert main([str(tmp_path / "results"), *options]) == 0
    stems = {path.stem for path in out.iterdir()}
    # Of a subject's layers the deepest; by layer what is of all of them.
    kinds = ("strip-pointwise", "strip-increment", "positions", "positions-layers")
    kinds += ("types", "words", "generated")
    name = "tiny-reviews"
    assert stems == {f"{kind}-{name}" for kind in kinds} | {f"tokens-{name}-r-1"}
    drawn = pd.read_csv(out / f"strip-pointwise-{name}.csv")
    rows = token_rows().query("row_id == 'r-1'")
    pd.testing.assert_series_equal(
        drawn["pointwise"], rows["pointwise_nats"], check_names=False, check_index=False
    )
    said = capsys.readouterr().out
    assert "not drawn: profile" in said
    assert "no font here draws \u4e2d (U+4E2D): drawn as code points" in said
    assert "--fonts FILE" in said
    drawn = pd.read_csv(out / f"generated-{name}.csv")
    assert drawn["value"].tolist() == generated_rows()["value_nats"].tolist()
    assert set(drawn["written"].dropna()) == {" end"}


def test_every_kind_has_a_caption_and_a_question():
    assert set(captions.KINDS) == set(KINDS)
    assert set(QUESTIONS) | set(INTERACTIVE) == set(KINDS)


def test_paths_of_this_machine_are_not_in_a_figures_table(results, tmp_path):
    both = [grid(model=f"/home/me/{name}/trained") for name in ("one", "two")]
    out = tmp_path / "f"
    assert main([results(pd.concat(both)), "--out", str(out), "--formats", "svg"]) == 0
    assert {path.stem for path in out.iterdir()} == {
        *("bars", "profile-one-reviews", "profile-two-reviews")
    }
    for path in out.glob("*.csv"):
        # The rows' names of this test hold their models; those of results are hashes.
        drawn = pd.read_csv(path).drop(columns="row_ids")
        assert "/home/me" not in drawn.to_csv()
        assert set(drawn["model"]) == {"trained"}
