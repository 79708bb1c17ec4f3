"""Tiny models in folders, and what they learn."""

import pytest
from planted_tasks import classes_file, scores_file
from tiny import save_tiny


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    return classes_file(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def scores(tmp_path_factory):
    return scores_file(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """`folder_of("llama")`: a tiny model that can write, made once for a family."""
    made: dict[str, str] = {}
    heads = {"bert": "MaskedLM", "t5": "Seq2SeqLM", "bart": "Seq2SeqLM"}

    def make(family: str) -> str:
        if family not in made:
            place = tmp_path_factory.mktemp("models") / family
            made[family] = str(save_tiny(place, family, head=heads.get(family, "CausalLM")))
        return made[family]

    return make
