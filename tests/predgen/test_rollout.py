"""Against the plainest reference: one row, no padding, no cache, all read again a token."""

import peft
import pytest
import torch
from tiny import DECODERS, ENCODER_DECODERS, VOCABULARY, tiny_adapted, tiny_model

from mi_probe.errors import InputError
from mi_probe.predgen.rollout import batch_coin, mix_tokens, predict_answer, roll_out

PAD, LONGEST = 0, 6
LENGTHS = (14, 4, 1, 9)
# Longer than the window of the families that have one, with the answer.
FAMILIES = (*DECODERS, *ENCODER_DECODERS)


def prompts(side: str = "left"):
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, VOCABULARY, (n,), generator=generator) for n in LENGTHS]
    ids = torch.full((len(rows), max(LENGTHS)), PAD)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        place = slice(len(row)) if side == "right" else slice(ids.shape[1] - len(row), None)
        ids[i, place], mask[i, place] = row, 1
    return rows, ids, mask


def model_of(family: str):
    head = {"encoder_decoder": None}.get(
        family, "Seq2SeqLM" if family in ENCODER_DECODERS else "CausalLM"
    )
    return tiny_model(family, head=head)


def logits_after(model, prompt, answer):
    """Logits of the next token, for one prompt and what was written so far."""
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = torch.tensor([model.config.decoder_start_token_id])
            written = torch.cat([start, answer])[None]
            return model(
                input_ids=prompt[None], decoder_input_ids=written, use_cache=False
            ).logits[0, -1]
        return model(torch.cat([prompt, answer])[None], use_cache=False).logits[0, -1]


def greedy(model, prompt, ends=()):
    answer = prompt[:0]
    while len(answer) < LONGEST and not (len(answer) and int(answer[-1]) in ends):
        token = logits_after(model, prompt, answer).argmax()
        answer = torch.cat([answer, token[None]])
    return answer.tolist()


def as_lists(tokens, mask):
    return [row[m].tolist() for row, m in zip(tokens, mask, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_cached_answers_are_those_without_cache_or_padding(family, side):
    model, (rows, ids, mask) = model_of(family), prompts(side)
    seen = []
    # The logits too: a tiny random model often repeats a token, whatever its position.
    handle = model.register_forward_hook(
        lambda _, args, output: seen.append(output.logits[:, -1])
    )
    tokens, _ = roll_out(model, ids, mask, max_new_tokens=LONGEST, eos_id=None, pad_id=PAD)
    handle.remove()
    assert len(seen) == LONGEST
    for step, logits in enumerate(seen):
        expected = [
            logits_after(model, row, answer[:step])
            for row, answer in zip(rows, tokens, strict=True)
        ]
        assert torch.allclose(logits, torch.stack(expected), atol=1e-5, rtol=1e-5)
        assert torch.equal(tokens[:, step], torch.stack(expected).argmax(1))


@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_answers_end_with_the_end_token(family):
    model, (rows, ids, mask) = model_of(family), prompts()
    free = [greedy(model, row) for row in rows]
    # Ends one row in the middle, at the latest; a second end token may end others.
    ends = [free[0][2], free[3][1]]
    expected = [greedy(model, row, ends) for row in rows]
    assert len({len(row) for row in expected}) > 1
    tokens, real = roll_out(
        model, ids, mask, max_new_tokens=LONGEST, eos_id=ends, pad_id=PAD
    )
    assert as_lists(tokens, real) == expected
    assert tokens.shape[1] == max(map(len, expected))
    assert (tokens[~real] == PAD).all()


def test_stops_once_every_answer_has_ended():
    model, (rows, ids, mask) = model_of("llama"), prompts()
    end = greedy(model, rows[0])[0]
    calls = []
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    tokens, real = roll_out(
        model, ids[:1], mask[:1], max_new_tokens=LONGEST, eos_id=end, pad_id=PAD
    )
    assert (tokens.tolist(), real.tolist(), len(calls)) == ([[end]], [[True]], 1)
    calls.clear()
    roll_out(model, ids, mask, max_new_tokens=3, eos_id=None, pad_id=PAD)
    handle.remove()
    assert len(calls) == 3


def test_cache_is_used_and_only_one_token_is_read_at_a_time():
    model, (_, ids, mask) = model_of("llama"), prompts()
    widths = []
    model.model.layers[0].register_forward_pre_hook(
        lambda _, args: widths.append(args[0].shape[1])
    )
    roll_out(model, ids, mask, max_new_tokens=4, eos_id=None, pad_id=PAD)
    assert widths == [max(LENGTHS), 1, 1, 1]


@pytest.mark.parametrize("family", ["llama", "gpt2", "bart"])
@pytest.mark.parametrize("way", ["roll_out", "predict_answer"])
def test_leaves_no_trace(family, way):
    model, (_, ids, mask) = model_of(family), prompts()
    model.train()
    list(model.children())[0].eval()
    modes = [module.training for module in model.modules()]
    model.config.attention_dropout = 0.5
    before = torch.random.get_rng_state()
    if way == "roll_out":
        found, _ = roll_out(model, ids, mask, max_new_tokens=3, eos_id=2, pad_id=PAD)
    else:
        found = predict_answer(model, ids, mask, ids[:, -3:], mask[:, -3:])
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not found.requires_grad
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_mode_is_restored_after_an_error():
    model, (_, ids, mask) = model_of("llama").train(), prompts()
    with pytest.raises(IndexError):
        roll_out(model, ids + VOCABULARY, mask, max_new_tokens=2, eos_id=2, pad_id=PAD)
    assert model.training


def test_dropout_is_off():
    model, (_, ids, mask) = tiny_model("gpt2", head="CausalLM"), prompts()
    given = {"max_new_tokens": LONGEST, "eos_id": None, "pad_id": PAD}
    expected = roll_out(model, ids, mask, **given)[0]
    assert torch.equal(roll_out(model.train(), ids, mask, **given)[0], expected)


def test_gradients_after_a_roll_out_under_autocast_are_whole():
    # Autocast keeps the weights that it cast; those cast without a graph must not stay.
    gradients = []
    for rolled in (False, True):
        model, (_, ids, mask) = tiny_model("llama", head="CausalLM"), prompts()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if rolled:
                roll_out(model, ids, mask, max_new_tokens=2, eos_id=2, pad_id=PAD)
            model(ids, attention_mask=mask).logits.float().square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for without, after in zip(*gradients, strict=True):
        assert torch.equal(without, after)


def test_an_adapter_is_read_through():
    plain, (rows, ids, mask) = model_of("llama"), prompts()
    before = [greedy(plain, row) for row in rows]
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    model = tiny_adapted(plain, config)
    for name, weight in model.named_parameters():
        weight.data.mul_(8 if "lora" in name else 1)
    found = roll_out(model, ids, mask, max_new_tokens=LONGEST, eos_id=None, pad_id=PAD)
    expected = [greedy(model, row) for row in rows]
    assert as_lists(*found) == expected != before


@pytest.mark.parametrize("family", ["llama", "bart"])
def test_draws_follow_the_models_distribution_and_the_generator(family):
    model, (rows, ids, mask) = model_of(family), prompts()
    many = 800

    def drawn(seed: int, temperature: float):
        return roll_out(
            model,
            *(x[2:3].expand(many, -1) for x in (ids, mask)),
            max_new_tokens=1,
            eos_id=None,
            pad_id=PAD,
            sample=True,
            temperature=temperature,
            generator=torch.Generator().manual_seed(seed),
        )[0]

    once = drawn(0, 0.4)
    assert torch.equal(once, drawn(0, 0.4))
    assert not torch.equal(once, drawn(1, 0.4))
    for temperature in (0.4, 1.0):
        p = (logits_after(model, rows[2], rows[2][:0]) / temperature).softmax(0)
        found = drawn(0, temperature).flatten().bincount(minlength=VOCABULARY) / many
        spread = (p * (1 - p) / many).sqrt()
        assert ((found - p).abs() < 5 * spread + 2 / many).all()


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "t5", "bart"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_first_pass_gives_the_token_after_each_gold_prefix(family, side):
    model, (rows, ids, mask) = model_of(family), prompts(side)
    gold = torch.randint(5, VOCABULARY, (4, 5), generator=torch.Generator().manual_seed(1))
    real = torch.arange(5) < torch.tensor([[5], [2], [3], [1]])
    own = predict_answer(model, ids, mask, gold, real)
    for i, row in enumerate(rows):
        for t in range(int(real[i].sum())):
            assert own[i, t] == logits_after(model, row, gold[i, :t]).argmax()
    assert torch.equal(own[~real], gold[~real])
    assert not torch.equal(own, gold)


def test_first_pass_may_draw():
    model, (_, ids, mask) = model_of("llama"), prompts()
    gold, real = ids[:, -3:], torch.ones(4, 3, dtype=torch.bool)
    found = [
        predict_answer(
            *(model, ids, mask, gold, real),
            sample=True,
            temperature=3.0,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (0, 0, 1)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_mixing_replaces_the_wanted_share_of_real_tokens_only():
    gold, own = torch.zeros(50, 40, dtype=torch.long), torch.ones(50, 40, dtype=torch.long)
    real = torch.arange(40) < 30

    def mixed(p: float, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        return mix_tokens(gold, own, real.expand(50, -1), p, generator)

    assert torch.equal(mixed(0.0), gold)
    assert torch.equal(mixed(1.0), real.long().expand(50, -1))
    half = mixed(0.3)
    assert torch.equal(half, mixed(0.3))
    assert not torch.equal(half, mixed(0.3, seed=1))
    assert half[:, 30:].sum() == 0
    assert float(half[:, :30].float().mean()) == pytest.approx(0.3, abs=0.05)
    # A coin a token, not a row.
    assert 0 < half[:, :30].float().mean(1).std() < 0.2


def test_coin_is_a_function_of_step_and_seed_with_the_right_share():
    tosses = [batch_coin(0.3, step, seed=7) for step in range(2000)]
    assert tosses == [batch_coin(0.3, step, seed=7) for step in range(2000)]
    assert tosses != [batch_coin(0.3, step, seed=8) for step in range(2000)]
    assert sum(tosses) / 2000 == pytest.approx(0.3, abs=0.04)
    assert not any(batch_coin(0.0, step, 0) for step in range(100))
    assert all(batch_coin(1.0, step, 0) for step in range(100))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be 1 or more; got 0"),
        ({"sample": True}, "a generator must be given"),
        (
            {"sample": True, "temperature": 0.0, "generator": torch.Generator()},
            "temperature must be above 0; got 0.0",
        ),
    ],
)
def test_wrong_settings_are_refused(changes, said):
    model, (_, ids, mask) = model_of("llama"), prompts()
    given = {"max_new_tokens": 2, "eos_id": 2, "pad_id": PAD, **changes}
    with pytest.raises(InputError, match=said):
        roll_out(model, ids, mask, **given)


def test_a_prompt_without_a_token_is_refused():
    model, (_, ids, mask) = model_of("llama"), prompts()
    mask[2] = 0
    with pytest.raises(InputError, match="1 of 4 prompts have none"):
        roll_out(model, ids, mask, max_new_tokens=2, eos_id=2, pad_id=PAD)


def test_start_token_of_an_encoder_decoder():
    model, (_, ids, mask) = model_of("bart"), prompts()
    given = {"max_new_tokens": LONGEST, "eos_id": None, "pad_id": PAD}
    configured = roll_out(model, ids, mask, **given)[0]
    same = roll_out(model, ids, mask, decoder_start=2, **given)[0]
    other = roll_out(model, ids, mask, decoder_start=9, **given)[0]
    assert torch.equal(configured, same)
    assert not torch.equal(configured, other)
    model.config.decoder_start_token_id = None
    with pytest.raises(InputError, match="decoder_start must be given"):
        roll_out(model, ids, mask, **given)
