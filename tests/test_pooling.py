import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_probe.backbones import wrap_backbone
from mi_probe.backbones.head import head_positions, head_rule
from mi_probe.capture import extract
from mi_probe.errors import InputError
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import POOLINGS, pool
from tests.capture.models import tiny_backbone
from tests.tiny import tiny_model, tiny_tokenizer


def states(n=4, t=6, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, t, d, generator=generator)
    lengths = torch.randint(1, t + 1, (n, 1), generator=generator)
    return HiddenStates(values=values, mask=torch.arange(t) < lengths)


def test_poolings_against_loops():
    z = states()
    rows = [v[m] for v, m in zip(z.values, z.mask, strict=True)]
    expected = {
        "mean": [row.mean(0) for row in rows],
        "last": [row[-1] for row in rows],
        "first": [row[0] for row in rows],
        "max": [row.amax(0) for row in rows],
    }
    assert set(expected) == set(POOLINGS)
    for name, vectors in expected.items():
        torch.testing.assert_close(pool(z, name), torch.stack(vectors))


def test_masked_prefix_is_not_read():
    """`first` and `last` follow the mask where it starts late, as after `keep`."""
    values = torch.arange(10.0).reshape(1, 5, 2)
    z = HiddenStates(values=values, mask=torch.tensor([[0, 0, 1, 1, 0]]).bool())
    assert pool(z, "first").tolist() == [[4.0, 5.0]]
    assert pool(z, "last").tolist() == [[6.0, 7.0]]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    extra=st.integers(1, 9),
    filler=st.sampled_from([0.0, 1e30, torch.inf, torch.nan]),
)
def test_pads_are_never_read(seed, extra, filler):
    z = states(seed=seed)
    longer = HiddenStates(
        values=torch.nn.functional.pad(
            z.values.masked_fill(~z.mask.unsqueeze(-1), filler),
            (0, 0, 0, extra),
            value=filler,
        ),
        mask=torch.nn.functional.pad(z.mask, (0, extra)),
    )
    for name in POOLINGS:
        torch.testing.assert_close(pool(longer, name), pool(z, name))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_pooled_in_float32(dtype):
    values = torch.full((1, 4096, 2), 1.0, dtype=dtype)
    values[0, 0] = 100.0
    z = HiddenStates(values=values, mask=torch.ones(1, 4096).bool())
    for name in POOLINGS:
        assert pool(z, name).dtype == torch.float32
    # bfloat16 would stop counting at 256, float16 overflow at 65 504.
    torch.testing.assert_close(pool(z, "mean")[0, 0].item(), 1 + 99 / 4096)


def test_errors_name_what_came():
    z = states()
    with pytest.raises(InputError, match="mean, last, first, max, head; got 'median'"):
        pool(z, "median")
    with pytest.raises(InputError, match="head_positions"):
        pool(z, "head")
    with pytest.raises(InputError, match="2 of 4 examples"):
        pool(z, "head", positions=torch.tensor([0, -1, 1, -1]))
    empty = HiddenStates(values=z.values, mask=torch.zeros(4, 6).bool())
    with pytest.raises(InputError, match="4 of 4 examples have none"):
        pool(empty, "mean")


# The last text ends with </s>, whose id is also the pad's in one of the cases.
TEXTS = ("a pretty good movie</s>", "bad</s>", "the plot is really bad, no</s>")


def read_by_head(model, tokenizer):
    """The vectors that enter the classification head's first linear layer."""
    batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt", padding_side="right")
    taken = []
    if hasattr(model, "score"):  # the head scores every token; the pooling comes after
        model.score = torch.nn.Identity()
        with torch.no_grad():
            return model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).logits
    head = model.classifier if hasattr(model, "classifier") else None
    dense = {
        "bert": lambda: model.bert.pooler,
        "roberta": lambda: head,
        "electra": lambda: head,
        "deberta_v2": lambda: model.pooler,
        "distilbert": lambda: model.pre_classifier,
        "modernbert": lambda: model.head,
    }
    key = model.config.model_type.replace("-", "_")
    module = dense[key]() if key in dense else model.classification_head
    handle = module.register_forward_pre_hook(lambda _m, args: taken.append(args[0]))
    with handle, torch.no_grad():
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    (vectors,) = taken
    return vectors[:, 0] if vectors.ndim == 3 else vectors


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("llama", {"pad_token_id": 2}),
        ("gpt2", {"pad_token_id": 2}),
        ("mistral", {}),
        ("gpt_neox", {"pad_token_id": 2}),
        ("opt", {}),
        ("phi", {}),
        ("bert", {}),
        ("roberta", {}),
        ("deberta_v2", {}),
        ("distilbert", {}),
        ("electra", {}),
        ("modernbert", {}),
        ("t5", {}),
        ("bart", {}),
    ],
)
def test_head_reads_what_hugging_face_reads(family, changes):
    model = tiny_model(family, head="SequenceClassification", **changes)
    tokenizer = tiny_tokenizer(pad=not changes)
    backbone = wrap_backbone(model, tokenizer)
    found = extract(backbone, TEXTS, views=("full", "head"), progress=False)
    expected = read_by_head(model, backbone.tokenizer)
    site = found.sites[-1]
    torch.testing.assert_close(found.pooled(site, "head"), expected)
    if changes:
        # pad == eos and a real eos at the end: the head reads the token before it.
        assert not torch.allclose(found.pooled(site, "last"), expected, atol=1e-3)


def test_head_positions_of_odd_rows():
    llama = tiny_backbone("llama")
    assert head_rule(llama) == "last_not_pad"
    assert head_positions(llama, [[5, 6, 0], [0, 0], [0, 7, 0, 0]]).tolist() == [
        1,
        0,
        1,
    ]
    bart = tiny_backbone("bart")
    assert head_positions(bart, [[5, 2, 6], [5, 6]]).tolist() == [1, -1]
    with pytest.raises(InputError, match="1 rows have none: '1'"):
        extract(bart, ["good</s>", "bad"], views=("head",), progress=False)
    assert head_rule(tiny_backbone("prompt_tuning")) == "none"
    averaging = wrap_backbone(
        tiny_model("modernbert", classifier_pooling="mean"), tiny_tokenizer()
    )
    assert head_positions(averaging, [[5, 6]]).tolist() == [-1]
