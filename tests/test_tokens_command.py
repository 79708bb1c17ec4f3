"""The command: tables of tokens, resumption, and one clear line with exit code 2."""

import json

import numpy as np
import pandas as pd
import pytest
from tiny import save_tiny, tiny_tokenizer

from mi_probe.analysis.tokens.files import TokenTables, read_about, read_tables
from mi_probe.analysis.tokens.measuring import discrete_labels
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import read_config
from mi_probe.predgen.settings import preset
from mi_probe.predgen.training import train
from mi_probe.tasks import read_table
from mi_probe.token_jobs import UNREAD
from mi_probe.tokens import main

FILLERS = ["a", "film", "the", "plot", "is", "really", "not", "at", "all", "and", "of"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(120):
        words = list(rng.choice(FILLERS, size=rng.integers(4, 8)))
        label = ("bad", "good")[int(rng.integers(2))]
        words.insert(int(rng.integers(1, len(words))), label)
        rows.append({"id": f"r{i}", "text": " ".join(words), "label": f"is {label}"})
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def run(*arguments):
    return main([str(argument) for argument in arguments])


def refused(capsys, *arguments) -> str:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    lines = [x for x in captured.err.splitlines() if "\r" not in x and x.strip()]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("mi_probe.tokens: error: ")
    return lines[0]


def test_tables_of_a_site_and_a_second_call_computes_nothing(
    model, data, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    given = (model, "--data", data, "--sites", "0", "--threads", "1", "--out", out)
    assert run(*given) == 0
    printed = capsys.readouterr().out
    assert "add up to its i(y; z)" in printed
    assert "speak for 'is good', i(y; z_t) in nats: good" in printed
    assert f"Tables: {out / 'tokens'}" in printed
    (about_path,) = (out / "tokens").glob("*.json")
    stem = about_path.name.removesuffix(".json")
    assert sorted(p.name for p in (out / "tokens").iterdir()) == sorted(
        f"{stem}.{end}"
        for end in ("json", "tokens.parquet", "positions.csv", "types.csv", "words.csv")
    )
    assert not (out / "activations").is_dir() or not list((out / "activations").iterdir())
    about, tables = read_about(about_path), read_tables(about_path)
    tokens = tables["tokens"]
    assert about["site"] == "embed"
    assert about["layer"] == 0
    assert about["attention"] == "no block comes before the embeddings"
    assert about["n"] == tokens.row_id.nunique() == 120
    # What the label rests on is one word; at the embeddings nothing else knows it.
    shares = tokens.groupby(tokens.word_text.isin(["good", "bad"])).increment_nats.sum()
    assert shares[True] >= 0.95 * 120 * about["I_YZ_nats"]
    assert about["I_YZ_nats"] > 0.8 * about["H_Y_nats"]
    totals = tokens.groupby("row_id").increment_nats.sum()
    last = tokens[tokens.position_from_end == 0].set_index("row_id").cumulative_nats
    assert (totals - last).abs().max() < 1e-5
    assert tokens.gradient_x_input.notna().all()
    (record,) = json.loads((out / "provenance.json").read_text())["runs"]
    assert record["command"] == "python -m mi_probe.tokens"
    monkeypatch.setattr("mi_probe.parts.extract", lambda *_, **__: 1 / 0)
    assert run(*given) == 0
    assert "1 of 1 were finished before" in capsys.readouterr().out
    # Another seed is another table.
    with pytest.raises(ZeroDivisionError):
        run(*given, "--seed", "1")


def test_mistakes_are_one_line(model, data, tmp_path, capsys, monkeypatch):
    out = ("--out", tmp_path / "out")
    assert "checkpoints must name at least one model" in refused(capsys, *out)
    given = (model, "--data", data, *out)
    assert "sites must be 'all'" in refused(capsys, *given, "--sites", "99")
    assert "batch-size must be at least 1" in refused(capsys, *given, "--batch-size", "0")
    assert "one of task and data must be given" in refused(capsys, model, *out)
    line = refused(capsys, *given, "--blocks", "12")
    assert "blocks must be left out for tokens" in line
    assert "--group-column" in line
    assert "--nonsense" in refused(capsys, *given, "--nonsense", "1")
    assert "must have classes" in refused(
        capsys, *(model, "--data", _scores(tmp_path), *out)
    )
    # Scores of few values are classes by their values.
    few = tmp_path / "few.csv"
    rows = {"text": [f"film {i}" for i in range(30)], "label": [1.5, 2.5, 3.5] * 10}
    pd.DataFrame(rows).to_csv(few, index=False)
    index, names = discrete_labels(read_table(few, label_kind="scores"))
    assert index.tolist()[:3] == [0, 1, 2]
    assert names == ["1.5", "2.5", "3.5"]
    # Before the model is read, so that nobody waits for it.
    monkeypatch.setattr("mi_probe.runner.find_all", lambda *_: 1 / 0)
    assert "at least 10" in refused(capsys, *given, "--rows", "16")
    many = _classes(tmp_path, 65)
    assert "at most 64 classes" in refused(capsys, model, "--data", many, *out)
    assert not (tmp_path / "out").exists()


def _scores(folder):
    path = folder / "scores.csv"
    rows = {"text": [f"film {i}" for i in range(30)], "label": np.linspace(0, 1, 30)}
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def _classes(folder, count):
    path = folder / "classes.csv"
    names = [f"c{i % count}" for i in range(10 * count)]
    rows = {"text": [f"film {i}" for i in range(len(names))], "label": names}
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """A generator after a few steps, and reviews of which one word tells the verdict."""
    folder = tmp_path_factory.mktemp("trained")
    save_tiny(folder / "llama", "llama", head="CausalLM")
    rows = [
        {"text": f"the {('bad', 'good')[i % 2]} film {i}:", "label": ("no", "yes")[i % 2]}
        for i in range(400)
    ]
    pd.DataFrame(rows).to_csv(folder / "reviews.csv", index=False)
    settings = preset(
        "default",
        objective="generator",
        backbone=str(folder / "llama"),
        data=str(folder / "reviews.csv"),
        steps=8,
        checkpoint_every=8,
        validation_rows=4,
        learning_rate=1e-2,
        device="cpu",
    )
    train(settings, folder / "generator")
    return folder / "generator"


@pytest.mark.slow
def test_a_trained_system_brings_its_task_and_the_tokens_that_it_wrote(
    generator, tmp_path, capsys
):
    out = tmp_path / "out"
    assert run(generator, "--sites", "block.0", "--threads", "1", "--out", out) == 0
    assert "add up to its i(y; z)" in capsys.readouterr().out
    (path,) = (out / "tokens").glob("*.json")
    about, tables = read_about(path), read_tables(path)
    tokens = tables["tokens"]
    config = read_config(generator)
    assert about["objective"] == "generator"
    assert about["token_set"] == "all"
    assert about["scores"]["accuracy"] >= 0
    assert set(tokens.row_id) == set(map(str, config["reserved_ids"]))
    written = tokens[tokens.role == "generated"]
    assert set(written.row_id) == set(tokens.row_id)
    assert (written.groupby("row_id").position.min() > 1).all()
    assert set(tokens.predicted) <= {"no", "yes", UNREAD}
    # What the answer says is what the model predicted.
    texts = written[~written.special].groupby("row_id").token.agg("".join).str.strip()
    said = tokens.groupby("row_id").predicted.first()
    for row_id, text in texts.items():
        if text in ("no", "yes"):
            assert said[row_id] == text
    assert (path.parent / f"{path.stem}.generated.csv").is_file()
    assert len(tokens.groupby("row_id").increment_nats.sum()) == about["n"]


@pytest.mark.slow
def test_copies_are_one_group_and_random_labels_stand_beside_the_map(
    model, tmp_path, capsys
):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(FILLERS, size=7)) for _ in range(60)]
    labels = [("no", "yes")[i] for i in rng.integers(2, size=60)]
    # The second copy differs in a blank; both have the same random label.
    rows = pd.DataFrame({"text": texts + [f"{t} " for t in texts], "label": labels * 2})
    rows.to_csv(tmp_path / "copies.csv", index=False)
    given = (model, "--data", tmp_path / "copies.csv", "--sites", "block.0", "--threads")
    given = (*given, "1", "--no-compare", "--out", tmp_path / "out")
    assert run(*given, "--controls", "random_labels,control_task") == 0
    printed = capsys.readouterr().out
    assert "With random labels the same map adds up to" in printed
    (path,) = (tmp_path / "out" / "tokens").glob("*.json")
    about, tables = read_about(path), read_tables(path)
    tokens = tables["tokens"]
    assert tokens.group.nunique() <= 60
    assert (tokens.groupby("group").row_id.nunique() >= 2).all()
    low, high = about["I_YZ_ci"]
    assert abs(about["I_YZ_nats"]) <= high - about["I_YZ_nats"] + 1e-3
    assert low <= 1e-3
    assert {"random_pointwise_nats", "control_task_nats"} <= set(tokens)
    assert tokens.groupby("group").random_label.nunique().eq(1).all()
    for name in ("positions", "types", "words"):
        assert "random_nats" in tables[name]
    assert about["controls"]["control_task"]["types"] == len(FILLERS)
    assert "controls must be of" in refused(capsys, *given, "--controls", "some")


def test_spans_of_a_chat_add_up_and_the_template_is_recorded(model, data, tmp_path, capsys):
    given = (model, "--data", data, "--sites", "0", "--threads", "1", "--no-compare")
    given = (*given, "--rows", "60", "--controls", "none", "--out", tmp_path / "out")
    line = refused(capsys, *given, "--chat-template")
    assert "chat-template must be asked of a tokenizer that brings one" in line
    assert "spans must be some of" in refused(capsys, *given, "--spans", "some")
    assert "spans of 'turns' must be found" in refused(capsys, *given, "--spans", "turns")
    chatting = tmp_path / "chatting"
    save_tiny(chatting, "llama")
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "<s>user: {{ messages[0]['content'] }}\nassistant:"
    tokenizer.save_pretrained(chatting)
    more = ("--chat-template", "--spans", "turns,regex:verdict=good|bad")
    assert run(chatting, *given[1:], *more) == 0
    printed = capsys.readouterr().out
    assert "increments by turns, nats: (rest) " in printed
    (path,) = (tmp_path / "out" / "tokens").glob("*.json")
    about, tables = read_about(path), read_tables(path)
    assert about["settings"]["chat_template"] is True
    assert not any("--chat-template" in note for note in about["notes"])
    spans = tables["spans"]
    names = spans[spans.number == 0].set_index(["kind", "span"]).value_nats
    for kind in ("turns", "verdict"):
        assert names[kind].sum() == pytest.approx(about["I_YZ_nats"], abs=1e-9)
    # All that is known of the label stands in one word.
    assert names["verdict"]["verdict"] > 0.9 * about["I_YZ_nats"] > 0.3
    assert names["turns"]["user"] > 0.9 * about["I_YZ_nats"]
    tokens = tables["tokens"]
    assert set(tokens[tokens.template].word_text) == {"", "user", ":", "assistant"}
    assert set(tokens[tokens.span_verdict != "(rest)"].word_text) == {"good", "bad"}
    assert "random_pointwise_nats" not in tokens


def test_other_models_write_their_answers_where_they_are_wanted(model, data, tmp_path):
    out = tmp_path / "out"
    given = (model, "--data", data, "--sites", "0", "--threads", "1", "--no-compare")
    writer = tmp_path / "writer"
    save_tiny(writer, "llama", head="CausalLM")
    assert run(writer, *given[1:], "--token-set", "all", "--rows", "40", "--out", out) == 0
    (path,) = (out / "tokens").glob("*.json")
    about, tables = read_about(path), read_tables(path)
    assert "generated" in set(tables["tokens"].role)
    assert about["predicted_by"].startswith("the model, but no two answers")
    assert about["attention"] == about["gradient_x_input"] == "not asked for"
    assert tables["tokens"].attention.isna().all()


def test_an_interruption_keeps_the_sites_that_are_finished(
    model, data, tmp_path, capsys, monkeypatch
):
    done = []

    def fake(_backbone, task, _data, z, **_):
        if len(done) == 1 and not (tmp_path / "again").exists():
            raise KeyboardInterrupt
        done.append(z.site)
        words = pd.DataFrame({"predicted_word": [], "word": [], "value_nats": []})
        table = pd.DataFrame({"row_id": list(task.ids)})
        return TokenTables(table, table, table, words, None, None, {"reading": ["fine"]})

    monkeypatch.setattr("mi_probe.token_jobs.measure_tokens", fake)
    given = (model, "--data", data, "--sites", "0,1,2", "--out", tmp_path / "out")
    assert run(*given) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert done == ["embed"]
    (tmp_path / "again").touch()
    assert run(*given) == 0
    assert done == ["embed", "block.0", "block.1"]
    assert "1 of 3 were finished before" in capsys.readouterr().out
    assert len(list((tmp_path / "out" / "tokens").glob("*.json"))) == 3


def test_damaged_tables_are_named_and_made_again(
    model, data, tmp_path, capsys, monkeypatch
):
    def fake(_backbone, task, *_, **__):
        words = pd.DataFrame({"predicted_word": [], "word": [], "value_nats": []})
        table = pd.DataFrame({"row_id": list(task.ids)})
        return TokenTables(table, table, table, words, None, None, {"reading": ["fine"]})

    monkeypatch.setattr("mi_probe.token_jobs.measure_tokens", fake)
    given = (model, "--data", data, "--sites", "0", "--out", tmp_path / "out")
    assert run(*given) == 0
    (path,) = (tmp_path / "out" / "tokens").glob("*.json")
    words = path.with_name(f"{path.stem}.words.csv")
    for file, spoilt in ((path, b"{"), (words, b"more"), (path, b"[" * 10**5)):
        whole = file.read_bytes()
        file.write_bytes(spoilt)
        with pytest.raises(InputError, match="it is damaged"):
            read_about(path)
        capsys.readouterr()
        assert run(*given) == 0
        assert "They count as not there" in capsys.readouterr().err
        assert (file.read_bytes() == whole) == (file == words)  # the other has its date
        read_about(path)
