"""States made elsewhere: the same as our own, or what is wrong with them by name."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tiny import save_tiny, tiny_model, tiny_tokenizer

from mi_probe import ingest
from mi_probe.analysis.profiles import profile
from mi_probe.backbones import wrap_backbone
from mi_probe.capture import Sequences, extract, load_activations
from mi_probe.capture.imported import import_states
from mi_probe.capture.sequences import as_sequences
from mi_probe.errors import InputError
from mi_probe.tasks import read_table

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "the", "dog", "run"]
TEXTS = [" ".join(WORDS[: 3 + i % 7]) + f" {i}" for i in range(12)]
SITES = ["embed", "block.0", "block.1", "final_norm"]


@pytest.fixture(scope="module")
def backbone(tiny_backbone):
    return tiny_backbone("llama")


@pytest.fixture(scope="module")
def task():
    return read_table((TEXTS, ["neg", "pos"] * 6))


@pytest.fixture(scope="module")
def own(backbone, task):
    found = extract(backbone, task, sites="all", progress=False)
    return {site: found.hidden(site) for site in found.sites}


def requests(own, sites=SITES, *, rows=range(12), dtype=torch.float32):
    """What a serving engine writes: tokens and states of each request."""
    for i in rows:
        real = own[sites[0]].mask[i]
        states = torch.stack([own[site].values[i][real] for site in sites], 1)
        yield {
            "token_ids": own[sites[0]].token_ids[i][real],
            "hidden_states": states.to(dtype),
        }


def written(folder, tensors, names=None):
    folder.mkdir(exist_ok=True)
    for i, one in enumerate(tensors):
        one = {name: value.contiguous() for name, value in one.items()}
        save_file(one, folder / f"{i if names is None else names[i]}.safetensors")
    return folder


def taken(folder, task, backbone, tmp_path, **told):
    told = {"sites": SITES, "n_checked": 12} | told
    return import_states(folder, task, backbone=backbone, out=tmp_path / "store", **told)


def test_requests_become_a_store_that_equals_a_capture(own, backbone, task, tmp_path):
    folder = written(tmp_path / "made", requests(own))
    states, certificate = taken(folder, task, backbone, tmp_path)
    assert certificate.status == "equal"
    assert len(certificate.rows) == 12
    assert "12 rows run again: equal" in states.notes[0]
    for site in SITES:
        z = load_activations(tmp_path / "store").hidden(site)
        assert torch.equal(z.mask, own[site].mask)
        assert torch.equal(z.values[z.mask], own[site].values[own[site].mask])
    indices = import_states(
        folder, task, sites=[0, 1, "block.1", -1], backbone=backbone, out=tmp_path / "b"
    )[0]
    assert indices.sites == tuple(SITES)


def test_ids_with_slashes_are_files_in_folders(own, backbone, tmp_path):
    names = [f"doc-{i % 3}/{i}" for i in range(12)]
    for name in names:
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
    folder = written(tmp_path / "made", requests(own), names)
    table = pd.DataFrame({"text": TEXTS, "label": ["neg", "pos"] * 6, "id": names})
    named = read_table(table, id_column="id")
    states, certificate = taken(folder, named, backbone, tmp_path)
    assert states.ids == tuple(names)
    assert certificate.status == "equal"


def test_half_precision_is_close_and_said(own, backbone, task, tmp_path):
    folder = written(tmp_path / "made", requests(own, dtype=torch.bfloat16))
    states, certificate = taken(folder, task, backbone, tmp_path)
    assert certificate.status == "close"
    assert 1e-3 < max(certificate.differences.values()) < 0.03
    assert states.hidden("block.1").values.dtype == torch.bfloat16


@pytest.mark.parametrize("ending", ["npz", "safetensors", "npy"])
def test_whole_files(own, backbone, task, tmp_path, ending):
    values = torch.stack([own[site].values for site in SITES], 2)
    mask = own["embed"].mask
    arrays = {"hidden_states": values, "lengths": mask.sum(1)}
    path = tmp_path / f"made.{ending}"
    if ending == "npz":
        np.savez(path, **{name: one.numpy() for name, one in arrays.items()})
    elif ending == "safetensors":
        by_site = {site: own[site].values.contiguous() for site in SITES}
        save_file({**by_site, "mask": mask.to(torch.uint8)}, path)
    else:
        long = own["embed"].mask.sum(1) == mask.sum(1).max()
        rows = [i for i in range(12) if long[i]]
        np.save(path, values[rows].numpy())
        task, SAME = task.rows(rows), rows  # a bare array has no mask: rows of one length
        assert len(SAME) >= 1
    sites = None if ending == "safetensors" else SITES
    states, certificate = taken(path, task, backbone, tmp_path, sites=sites)
    assert certificate.status == "equal"
    assert states.sites == tuple(SITES)


def test_without_the_model_it_is_unchecked(own, task, tmp_path):
    folder = written(tmp_path / "made", requests(own))
    states, certificate = taken(folder, task, None, tmp_path)
    assert certificate.status == "unchecked"
    assert "unchecked" in states.notes[0]


def _swapped(own):
    made = list(requests(own))
    one, two = 0, 7  # of one length
    made[one]["hidden_states"], made[two]["hidden_states"] = (
        made[two]["hidden_states"],
        made[one]["hidden_states"],
    )
    return made


def _other_tokens(own):
    for one in requests(own):
        yield one | {"token_ids": one["token_ids"].flip(0) + 1}


def _begun(own):
    for one in requests(own):
        tokens, states = one["token_ids"], one["hidden_states"]
        yield {
            "token_ids": torch.cat([tokens[:1] * 0 + 1, tokens]),
            "hidden_states": torch.cat([states[:1], states]),
        }


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_swapped, r"rows '0' and '7' are exchanged"),
        (
            lambda own: requests(own, ["block.0", "block.0", "block.1", "final_norm"]),
            r"'embed' holds the states of 'block.0', 1 layer above",
        ),
        (
            lambda own: requests(own, ["embed", "block.0", "block.1", "block.2"]),
            r"'final_norm' holds 'block.2': the final norm was not applied",
        ),
        (_other_tokens, "another tokenizer"),
        (_begun, "a beginning of text that they add"),
        (
            lambda own: (
                one | {"hidden_states": torch.randn_like(one["hidden_states"])}
                for one in requests(own)
            ),
            "no states of this model",
        ),
        (
            lambda own: (
                one | {"hidden_states": one["hidden_states"] * 1e30 * 1e30}
                for one in requests(own)
            ),
            "NaN or infinity",
        ),
        (lambda own: requests(own, rows=range(11)), "have none: '11'"),
        (lambda own: requests(own, SITES[:3]), "sites must name the 3 layers"),
        (
            lambda own: (
                one | {"token_ids": one["token_ids"][:-1]} for one in requests(own)
            ),
            "a state a token",
        ),
        (
            lambda own: ({"states": one["hidden_states"]} for one in requests(own)),
            r"must hold token_ids \(t,\)",
        ),
    ],
)
def test_each_planted_fault_is_named(own, backbone, task, tmp_path, made, said):
    folder = written(tmp_path / "made", made(own))
    with pytest.raises(InputError, match=said):
        taken(folder, task, backbone, tmp_path)
    assert not (tmp_path / "store").exists()


def test_one_wrong_row_among_those_not_run_again_is_named(own, backbone, task, tmp_path):
    made = list(requests(own))
    made[5]["token_ids"] = made[5]["token_ids"] + 1
    folder = written(tmp_path / "made", made)
    with pytest.raises(InputError, match="of 12 rows: tokens of row '5'"):
        taken(folder, task, backbone, tmp_path, n_checked=1)


def test_half_of_an_exchange_is_named(own, backbone, task, tmp_path):
    made = list(requests(own))
    made[0]["hidden_states"] = made[7]["hidden_states"]
    folder = written(tmp_path / "made", made)
    with pytest.raises(InputError, match="rows '0' are of other rows .* 11 that"):
        taken(folder, task, backbone, tmp_path)


def test_float32_states_of_a_model_a_little_different_are_named(
    own, backbone, task, tmp_path
):

    made = [one | {"hidden_states": one["hidden_states"] * 1.01} for one in requests(own)]
    folder = written(tmp_path / "made", made)
    with pytest.raises(InputError, match="no states of this model"):
        taken(folder, task, backbone, tmp_path)
    assert taken(folder, task, backbone, tmp_path, tolerance=0.02)[1].status == "close"


def test_padding_left_in_is_named(own, backbone, task, tmp_path):
    np.savez(
        tmp_path / "made.npz",
        token_ids=own["embed"].token_ids.numpy(),
        **{site: own[site].values.numpy() for site in SITES},
    )
    with pytest.raises(InputError, match="positions of padding"):
        taken(tmp_path / "made.npz", task, backbone, tmp_path, sites=None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lengths": torch.full((12,), 99)}, "lengths .* at most"),
        ({"token_ids": torch.zeros(11, 12, dtype=torch.long)}, "'token_ids' has the shape"),
        ({"mask": torch.full((12, 10), -1e9)}, "must be 1 at real positions"),
    ],
)
def test_a_malformed_file_is_named(own, task, tmp_path, change, said):
    arrays = {"embed": own["embed"].values, **change}
    np.savez(tmp_path / "made.npz", **{name: one.numpy() for name, one in arrays.items()})
    with pytest.raises(InputError, match=said):
        taken(tmp_path / "made.npz", task, None, tmp_path, sites=None)


def test_the_same_states_are_gone_on_with(own, backbone, task, tmp_path):
    folder = written(tmp_path / "made", requests(own))
    first, _ = taken(folder, task, backbone, tmp_path, n_checked=4)
    again, _ = taken(folder, task, backbone, tmp_path, n_checked=8, seed=1)
    assert again.fingerprint == first.fingerprint


def test_a_model_of_other_weights_is_named(own, tiny_backbone, task, tmp_path, tokenizer):
    other = wrap_backbone(tiny_model("llama", seed=5), tokenizer)
    folder = written(tmp_path / "made", requests(own))
    with pytest.raises(InputError, match="no states of this model"):
        taken(folder, task, other, tmp_path)


def test_they_are_measured_as_a_capture_of_ours(own, backbone, task, tmp_path):
    folder = written(tmp_path / "made", requests(own))
    states, _ = taken(folder, task, backbone, tmp_path)
    asked = {"views": ("mean",), "estimators": ("lda",), "progress": False}
    table = profile(states, task, sites=["block.0", "block.1"], **asked)
    same = profile(backbone, task, sites=["block.0", "block.1"], controls=(), **asked)
    assert table["value_nats"].tolist() == same["value_nats"].tolist()
    assert table["layer"].tolist() == same["layer"].tolist()
    assert set(table["model"]) == {"llama"}
    assert table["notes"].str.contains("12 rows run again: equal").all()
    with pytest.raises(InputError, match="other ids"):
        profile(states, task.rows(range(11, -1, -1)), **asked)
    other = read_table(([f"{text} more" for text in TEXTS], ["neg", "pos"] * 6))
    with pytest.raises(InputError, match="of others, or of these in another order"):
        profile(states, other, **asked)
    with pytest.raises(InputError, match="controls must be left out"):
        profile(states, task, controls=("random_weights",), **asked)
    with pytest.raises(InputError, match="got 'block.9'. Did you mean 'block.1'"):
        profile(states, task, sites=["block.9"], **asked)


def test_the_command_says_what_it_found(own, tmp_path, capsys):
    save_tiny(tmp_path / "m")
    rows = [{"text": t, "label": "np"[i % 2]} for i, t in enumerate(TEXTS)]
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    found = extract(str(tmp_path / "m"), read_table(tmp_path / "rows.csv"), progress=False)
    own = {site: found.hidden(site) for site in found.sites}
    made = written(tmp_path / "made", requests(own, [*found.sites]))
    line = [str(made), "--data", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "s")]
    line += ["--sites", ",".join(found.sites)]
    assert ingest.main([*line, "--model", str(tmp_path / "m")]) == 0
    said = capsys.readouterr().out
    assert "8 rows run again: equal" in said
    assert len(load_activations(tmp_path / "s")) == 12
    wrong = [one.replace("block.0", "block.7") for one in line]
    assert ingest.main([*wrong, "--model", str(tmp_path / "m")]) == 2
    assert (
        "'block.7' is no site of the model; it holds 'block.0'" in capsys.readouterr().err
    )
    for more, told in (
        (["--dry-run"], "--dry-run"),
        (["--jobs", "2"], "--jobs"),
        (["--seed", "-1"], "seed must lie in"),
        (["--checked", "0"], "checked must be at least 1"),
    ):
        assert ingest.main([*line, *more]) == 2
        assert told in capsys.readouterr().err
    assert ingest.main([*line[1:]]) == 2
    assert "one folder or file" in capsys.readouterr().err


@pytest.mark.parametrize("stack", ["enc", "dec"])
def test_a_stack_of_an_encoder_decoder_has_its_certificate(stack, task, tmp_path):
    backbone = wrap_backbone(tiny_model("t5", head="Seq2SeqLM"), tiny_tokenizer())
    prompts = as_sequences(backbone, task, max_tokens=64).input_ids
    written_ids = [[0, *(5 + (i + k) % 90 for k in range(2 + i % 3))] for i in range(12)]
    data = Sequences(task.ids, prompts, decoder_ids=written_ids)
    found = extract(backbone, data, sites="all", progress=False)
    sites = [site for site in found.sites if site.startswith(stack)]
    own = {site: found.hidden(site) for site in sites}
    folder = written(tmp_path / "made", requests(own, sites))
    states, certificate = taken(folder, task, backbone, tmp_path, sites=sites)
    assert certificate.status == "equal"
    assert states.stacks == dict.fromkeys(sites, stack)
    z = states.hidden(sites[1])
    assert torch.equal(z.values[z.mask], own[sites[1]].values[own[sites[1]].mask])
    off = [*sites[1:], sites[0]]
    with pytest.raises(
        InputError, match=rf"holds the states of '{stack}.block.0', 1 layer"
    ):
        taken(folder, task, backbone, tmp_path / "off", sites=off)
    both = ["enc.block.0", "dec.block.0", *sites[2:]]
    with pytest.raises(InputError, match="sites must be of one stack"):
        taken(folder, task, backbone, tmp_path / "both", sites=both)


def test_parts_of_blocks_are_certified_by_name(backbone, task, tmp_path):
    sites = ["block.1.attn_out", "block.1.mid", "block.1"]
    found = extract(backbone, task, sites=sites, progress=False)
    own = {site: found.hidden(site) for site in found.sites}
    folder = written(tmp_path / "made", requests(own, sites))
    _, certificate = taken(folder, task, backbone, tmp_path, sites=sites)
    assert certificate.status == "equal"
    with pytest.raises(InputError, match=r"'block\.1\.mid' holds the states of 'block\.1'"):
        taken(
            *(folder, task, backbone, tmp_path / "off"),
            sites=["block.1.attn_out", "block.1", "block.1.mid"],
        )
