"""The models inside wheels: found, checked, converted once, the same when truncated."""

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch

from mi_probe.backbones import embedded, embedded_folder, load_backbone
from mi_probe.errors import InputError


def wheel(alias: str):
    name = embedded.EMBEDDED[alias].distribution
    try:
        distribution(name)
    except PackageNotFoundError:
        return pytest.mark.skip(f"the wheel {name} is not installed")
    return pytest.mark.skipif(False, reason="")


needs_smollm2, needs_minilm = wheel("smollm2-135m"), wheel("minilm-l6")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MI_PROBE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick_conversion(cache, monkeypatch):
    """Conversion replaced by a small file; the rest (checks, folders) is as it is."""

    def convert(gguf: Path, out: Path) -> None:
        (out / "model.safetensors").write_text(gguf.name)

    monkeypatch.setattr(embedded, "_convert", convert)
    return cache


@needs_minilm
def test_minilm():
    backbone = load_backbone("minilm-l6")
    assert (backbone.kind, backbone.n_layers, backbone.hidden_size) == (
        "encoder",
        6,
        384,
    )
    assert backbone.name == "minilm-l6"


@needs_minilm
def test_minilm_must_be_the_published_one(monkeypatch):
    entry = replace(embedded.EMBEDDED["minilm-l6"], sha256="0" * 64)
    monkeypatch.setitem(embedded.EMBEDDED, "minilm-l6", entry)
    with pytest.raises(InputError, match="sha256 000000000000...; got sha256 53aa51172d14"):
        embedded_folder("minilm-l6")


def test_missing_wheel(monkeypatch):
    entry = replace(embedded.EMBEDDED["minilm-l6"], distribution="not-installed-here")
    monkeypatch.setitem(embedded.EMBEDDED, "minilm-l6", entry)
    with pytest.raises(InputError, match="make setup.*requirements-embedded.txt"):
        load_backbone("minilm-l6")


def test_unknown_alias():
    with pytest.raises(InputError, match="minilm-l6, smollm2-135m; got 'gpt5'"):
        embedded_folder("gpt5")


@needs_smollm2
def test_conversion_happens_once_and_leaves_no_debris(quick_conversion, monkeypatch):
    folder = embedded_folder("smollm2-135m")
    assert folder.parent == quick_conversion
    monkeypatch.setattr(embedded, "_convert", lambda *a: pytest.fail("converted twice"))
    assert embedded_folder("smollm2-135m") == folder
    assert list(quick_conversion.iterdir()) == [folder]
    assert os.stat(folder).st_mode & 0o444 == 0o444


@needs_smollm2
def test_a_conversion_that_fails_leaves_nothing(quick_conversion, monkeypatch):
    def fail(gguf, out):
        (out / "model.safetensors").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "_convert", fail)
    with pytest.raises(KeyboardInterrupt):
        embedded_folder("smollm2-135m")
    assert list(quick_conversion.iterdir()) == []


@needs_smollm2
def test_two_conversions_at_once(quick_conversion, monkeypatch):
    convert = embedded._convert
    inner: list[Path] = []

    def overtaken(gguf, out):
        # Another process starts later and finishes first.
        monkeypatch.setattr(embedded, "_convert", convert)
        inner.append(embedded_folder("smollm2-135m"))
        (inner[0] / "model.safetensors").write_text("the first one's")
        convert(gguf, out)

    monkeypatch.setattr(embedded, "_convert", overtaken)
    assert embedded_folder("smollm2-135m") == inner[0]
    assert (inner[0] / "model.safetensors").read_text() == "the first one's"
    assert list(quick_conversion.iterdir()) == inner


@needs_smollm2
def test_old_debris_is_removed_and_new_is_left(quick_conversion):
    quick_conversion.mkdir()
    old, new = quick_conversion / "x.part-old", quick_conversion / "x.part-new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, 0))
    embedded_folder("smollm2-135m")
    assert (old.exists(), new.exists()) == (False, True)


@needs_smollm2
def test_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MI_PROBE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="Set MI_PROBE_CACHE"):
        embedded_folder("smollm2-135m")


@needs_smollm2
def test_full_disk(quick_conversion, monkeypatch):
    def full(gguf, out):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedded, "_convert", full)
    with pytest.raises(InputError, match="room for 600 MB.*No space left"):
        embedded_folder("smollm2-135m")


@needs_smollm2
def test_truncated_smollm2_has_the_full_models_first_layers():
    full, cut = load_backbone("smollm2-135m"), load_backbone("smollm2-135m:4")
    assert (full.n_layers, cut.n_layers, full.hidden_size) == (30, 4, 576)
    inputs = full.tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        long = full.base(**inputs, output_hidden_states=True).hidden_states
        short = cut.base(**inputs, output_hidden_states=True).hidden_states
    assert all(torch.equal(long[i], short[i]) for i in range(4))
    assert not torch.equal(long[4], short[4])  # the last one is after the norm


@needs_smollm2
@pytest.mark.slow
def test_converted_weights_are_the_ggufs_own(cache):
    transformers = pytest.importorskip("transformers")
    gguf = embedded._checked_weights("smollm2-135m")
    source = transformers.LlamaForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    ).state_dict()
    folder = embedded_folder("smollm2-135m")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    converted = model.state_dict()
    assert converted.keys() == source.keys()
    assert all(torch.equal(source[name], converted[name]) for name in source)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    answer = model.generate(**prompt, max_new_tokens=2, do_sample=False)
    assert tokenizer.decode(answer[0]).endswith(" Paris.")
