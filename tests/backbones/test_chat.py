"""Prompts in a chat template: one beginning of a text, in the fingerprint, or a note."""

import pytest
from tiny import tiny_model, tiny_tokenizer

from mi_probe.backbones import load_backbone, wrap_backbone
from mi_probe.capture import plan
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import load_checkpoint
from mi_probe.predgen.encoding import encode
from mi_probe.predgen.settings import preset
from mi_probe.predgen.training import train
from mi_probe.tasks.files import read_table

CHAT = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
)
TEXTS = ["a good film", "the plot is bad"]


def chatting():
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT
    return tokenizer


def test_prompts_become_a_users_turn_with_one_beginning():
    tokenizer = chatting()
    plain = wrap_backbone(tiny_model("llama"), tokenizer)
    chat = wrap_backbone(tiny_model("llama"), tokenizer, chat_template=True)
    assert chat.prompt_texts(TEXTS)[0] == "<s>[user] a good film\n[assistant] "
    for ids, text in zip(plan(chat, TEXTS).data.input_ids, TEXTS, strict=True):
        turn = [{"role": "user", "content": text}]
        own = tokenizer.apply_chat_template(turn, add_generation_prompt=True)
        assert list(ids) == list(own["input_ids"] if hasattr(own, "keys") else own)
        assert list(ids).count(tokenizer.bos_token_id) == 1
    assert plan(chat, TEXTS).notes == ()
    assert any("--chat-template" in note for note in plan(plain, TEXTS).notes)
    assert "chat_template" not in plain.fingerprint
    assert plan(chat, TEXTS).fingerprint["model.chat_template"]
    tokenizer.chat_template = CHAT.replace("[", "<")
    other = wrap_backbone(tiny_model("llama"), tokenizer, chat_template=True)
    assert other.fingerprint["chat_template"] != chat.fingerprint["chat_template"]


def test_a_tokenizer_without_a_template_or_with_another_kind_is_refused():
    with pytest.raises(InputError, match="chat-template must be asked of a tokenizer"):
        wrap_backbone(tiny_model("llama"), tiny_tokenizer(), chat_template=True)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('only documents') }}"
    backbone = wrap_backbone(tiny_model("llama"), tokenizer, chat_template=True)
    with pytest.raises(InputError, match="must take one turn of a user"):
        plan(backbone, TEXTS)


def test_a_training_in_a_chat_is_measured_in_it(tmp_path):
    model = tiny_model("llama", head="CausalLM")
    model.save_pretrained(tmp_path / "llama")
    chatting().save_pretrained(tmp_path / "llama")
    rows = "\n".join(
        f"the {'good' if i % 2 else 'bad'} film {i},{i % 2}" for i in range(80)
    )
    (tmp_path / "mine.csv").write_text(f"text,label\n{rows}\n")
    settings = preset(
        "default",
        objective="generator",
        backbone=str(tmp_path / "llama"),
        data=str(tmp_path / "mine.csv"),
        chat_template=True,
        steps=1,
        validation_rows=4,
        device="cpu",
    )
    train(settings, tmp_path / "out")
    backbone = load_checkpoint(tmp_path / "out").backbone
    assert backbone.chat_template
    task = read_table(tmp_path / "mine.csv")
    row = encode(backbone, task).rows[1]
    decoded = backbone.tokenizer.decode([*row.prompt, *row.answer])
    assert decoded == "<s>[user] the good film 1\n[assistant] 1</s>"
    asked = load_backbone(str(tmp_path / "llama"), chat_template=True)
    assert asked.tokenise(["x"]) == backbone.tokenise(["x"])
