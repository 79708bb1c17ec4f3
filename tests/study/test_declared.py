"""A study's file: the chains that it stands for, and one line for each mistake."""

import pytest

from mi_probe.errors import InputError
from mi_probe.study.declared import arguments, read_study, study_of

GOOD = {
    "study": "small",
    "train": {"backbone": "smollm2-135m", "steps": 4},
    "tasks": {"sst2": {"train_rows": 64}, "hutto_tweets": {}},
    "systems": {"predictor": {"objective": "predictor"}, "predgen": {}},
    "methods": {"lora": {"peft": "lora"}, "full": {"peft": "none"}},
    "trainings": [
        {"methods": ["lora"], "seeds": [0, 1]},
        {"tasks": ["sst2"], "systems": ["predgen"], "methods": ["full"]},
    ],
    "measure": [
        {"command": "estimate", "sites": ["final_norm"], "pooling": ["full", "mean"]},
        {"command": "tokens", "only": {"system": "predgen", "seed": 0}},
    ],
    "models": [
        {
            "model": "minilm-l6",
            "tasks": ["sst2"],
            "measure": [{"command": "gap", "pooling": ["mean"], "rows": 100}],
        }
    ],
    "comparisons": [
        {
            "name": "PredGen knows more",
            "primary": True,
            "a": {"system": "predgen"},
            "b": {"system": "predictor", "view": "mean"},
        }
    ],
}


def test_combinations_become_chains_of_commands():
    study = study_of(GOOD)
    names = [chain.name for chain in study.chains]
    # 2 tasks x 2 systems x 2 seeds, one more, and a model as it is.
    assert len(names) == len(set(names)) == 8 + 1 + 1
    chain = next(c for c in study.chains if c.name == names[0])
    assert names[0] == "smollm2-135m_sst2_lora_predictor_0"
    assert [step.command for step in chain.steps] == ["train", "estimate"]
    assert chain.steps[0].settings == {
        "task": "sst2",
        "backbone": "smollm2-135m",
        "steps": 4,
        "train_rows": 64,
        "peft": "lora",
        "objective": "predictor",
        "seed": 0,
    }
    by = {c.name: [step.command for step in c.steps] for c in study.chains}
    assert by["smollm2-135m_sst2_lora_predgen_0"] == ["train", "estimate", "tokens"]
    assert by["smollm2-135m_sst2_lora_predgen_1"] == ["train", "estimate"]
    assert by["minilm-l6_sst2_as-it-is"] == ["gap"]
    gap = study.chains[-1].steps[0]
    assert (gap.model, gap.settings["task"]) == ("minilm-l6", "sst2")
    assert study.comparisons[0].primary


def test_a_task_of_a_file_is_told_to_what_measures_too():
    changed = {**GOOD, "tasks": {"sst2": {"data": "a.csv", "label_kind": "classes"}}}
    changed["trainings"], changed["systems"] = [{}], GOOD["systems"]
    changed["methods"] = {"lora": {}}
    study = study_of(changed)
    for chain in (study.chains[0], study.chains[-1]):
        settings = chain.steps[0].settings
        assert settings["data"] == "a.csv"
        assert settings["label_kind"] == "classes"
        assert "task" not in settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tsks": {}}, "must have keys of study"),
        ({"trainings": [{"tasks": ["piqa"]}]}, "declared under 'tasks:'"),
        ({"trainings": [{"seed": [0]}]}, "number 1 must have keys of tasks"),
        ({"trainings": [], "models": []}, "must declare trainings or models"),
        ({"systems": {"predgen": {"objectiv": "predgen"}}}, "training 'smollm2-135m_sst2"),
        ({"train": {"steps": 4}}, "backbone must name a model"),
        ({"measure": [{"command": "plot"}]}, "command of measure must be one of"),
        ({"measure": [{"command": "estimate", "pooling": "medium"}]}, "pooling must be of"),
        ({"measure": "estimate"}, "measure must be a list"),
        ({"measure": [{"command": ["estimate"]}]}, "command of measure must be one of"),
        (
            {"measure": [{"command": "gap", "checkpoints": "x"}]},
            "must leave out checkpoints",
        ),
        ({"trainings": [{"seeds": 3}]}, "must be a list of whole numbers; got 3"),
        ({"trainings": [{"seeds": [0.5]}]}, "must be a list of whole numbers"),
        ({"train": {"backbone": "x", "steps": "many"}}, "steps: 'many'"),
        ({"tasks": ["sst3"]}, "tasks must be declared data sets"),
        (
            {"comparisons": [{"name": "x", "primary": "no", "a": {}, "b": {}}]},
            "must be true or false; got 'no'",
        ),
        (
            {"comparisons": [{"name": "x", "a": {"colour": "words"}, "b": {}}]},
            "must have keys of backbone",
        ),
        *(
            (
                {
                    "measure": [{"command": "estimate", "series": False, "rows": 90}],
                    "comparisons": [{"name": "x", "a": side, "b": {}}],
                },
                "must be of something that the study trains and measures",
            )
            for side in ({"step": 50}, {"rows": 80}, {"token_set": "gold"})
        ),
        (
            {"comparisons": [{"name": "x", "a": {"control": "embeddings"}, "b": {}}]},
            "must be of something that the study trains and measures",
        ),
        (
            {"comparisons": [{"name": "x", "a": {"view": "max"}, "b": {}}]},
            "trains and measures; nothing has {'view': 'max'",
        ),
        (
            {"comparisons": [{"name": "x", "a": {"site": "block.3"}, "b": {}}]},
            "'site': 'block.3'",
        ),
        ({"comparisons": [{"name": "x", "a": {}}]}, "at least the keys name, a and b"),
        (
            {"comparisons": [{"name": "x", "a": {"system": "none"}, "b": {}}]},
            "'system': 'none'",
        ),
        (
            {"comparisons": [{"name": "x", "of": "speed", "a": {}, "b": {}}]},
            "of, in comparison 'x'",
        ),
        (
            {"trainings": [{"seeds": [0]}, {"seeds": [0], "measure": []}]},
            "declared twice with other settings",
        ),
    ],
)
def test_a_mistake_is_named_before_anything_is_run(change, said):
    with pytest.raises(InputError) as caught:
        study_of({**GOOD, **change})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [("a: [", "must be YAML"), ("- 1", "settings by name"), ("a: &x 1\nb: *x", "alias")],
)
def test_a_file_that_is_no_study(tmp_path, content, said):
    path = tmp_path / "study.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_study(path)
    with pytest.raises(InputError, match="must be a file that exists"):
        read_study(tmp_path / "none.yaml")


def test_settings_as_a_command_line():
    given = {"pooling": ["full", "mean"], "series": False, "sites": [8], "rows": None}
    assert arguments(given) == ["--pooling", "full,mean", "--no-series", "--sites", "8"]


def test_the_user_s_folder_of_files_goes_over_the_study_s():
    tasks = {"sst2": {"data_folder": "data"}, "hutto_tweets": {}}
    study = study_of({**GOOD, "tasks": tasks}, data_folder="elsewhere")
    found = {c.factors["task"]: c.steps[0].settings for c in study.chains}
    assert found["sst2"]["data_folder"] == "elsewhere"
    assert "data_folder" not in found["hutto_tweets"]


@pytest.mark.parametrize("name", ["small", "cpu", "gpu"])
def test_the_repository_s_own_studies_can_be_run(name, request):
    study = read_study(request.config.rootpath / "studies" / f"{name}.yaml")
    assert any(one.primary for one in study.comparisons)
