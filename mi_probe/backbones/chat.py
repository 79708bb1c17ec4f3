"""A prompt as the user's turn of a chat, by the template that a tokenizer brings."""

import hashlib
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from mi_probe.errors import InputError


def has_chat_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer brings a chat template, as those of instruct models do."""
    return bool(getattr(tokenizer, "chat_template", None))


def chat_fingerprint(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """The hash of the chat template that prompts are put into.

    Raises:
        InputError: if the tokenizer brings none.
    """
    if not has_chat_template(tokenizer):
        raise InputError(
            "chat-template must be asked of a tokenizer that brings one, as those of "
            "instruct models do; this one has none. Leave the option out."
        )
    text = str(tokenizer.chat_template)
    return {"chat_template": hashlib.sha256(text.encode()).hexdigest()}


def chat_texts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[str]:
    """Each prompt as the user's turn, and the beginning of the assistant's after it.

    The template writes its own beginning-of-text token; tokenise without special tokens.

    Raises:
        InputError: if the template cannot take one turn of a user.
    """
    found = []
    for prompt in prompts:
        turn = [{"role": "user", "content": prompt}]
        try:
            text = tokenizer.apply_chat_template(
                turn, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # a template is a program of its own
            raise InputError(
                "chat-template must take one turn of a user; this one does not "
                f"({type(error).__name__}: {str(error).splitlines()[0][:80]})."
            ) from error
        found.append(str(text))
    return found
