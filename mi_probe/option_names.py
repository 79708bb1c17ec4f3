"""Options under the names that people bring: ``_`` for ``-``, and those of lm-eval.

    mi-probe estimate --model hf --model_args pretrained=X,dtype=float16 --limit 100

is read as ``X --dtype float16 --rows 100``.
"""

from collections.abc import Collection, Iterator, Sequence

from mi_probe.errors import InputError

SAME = {
    "limit": "rows",
    "output-path": "out",
    "output-dir": "out",
    "apply-chat-template": "chat-template",
    "tasks": "task",
    "model-name-or-path": "model",
    "per-device-eval-batch-size": "batch-size",
    "per-device-train-batch-size": "batch-size",
    "max-length": "max-tokens",
    "max-steps": "steps",
    "num-train-epochs": "epochs",
    "base-model": "backbone",
}
"""What others call an option of ours."""
_KINDS_OF_MODEL = ("hf", "hf-auto", "huggingface")
"""What lm-eval's ``--model`` may be here: its name of what loads the model."""
_KEPT = ("--print_config",)


def our_names(
    arguments: Sequence[str], options: Collection[str], *, models: bool
) -> list[str]:
    """The command line with our names for what has other ones.

    An option of the command's own stays what it is.

    Args:
        arguments: as the shell gave them.
        options: the command's, without ``--``.
        models: whether its bare arguments are models.

    Raises:
        InputError: for a kind of model, or an argument of one, that there is not here.

    Examples:
        >>> our_names(["--limit=100", "--out", "a_b"], ["rows", "out"], models=True)
        ['--rows=100', '--out', 'a_b']
        >>> our_names(["--model_args", "pretrained=org/name"], [], models=True)
        ['org/name']
    """
    found: list[str] = []
    taken = iter(arguments)
    for argument in taken:
        if argument == "--":
            return [*found, argument, *taken]
        if not argument.startswith("--") or argument in _KEPT:
            found.append(argument)
            continue
        given, equals, value = argument[2:].partition("=")
        name = given.replace("_", "-")
        if name not in options and SAME.get(name, "") in {*options, "model"}:
            name = SAME[name]
        if models and name in ("model", "model-args") and name not in options:
            value = value if equals else next(taken, "")
            found += _model(value) if name == "model" else _model_arguments(value, options)
        else:
            found.append(f"--{name}{equals}{value}")
    return found


def _model(value: str) -> list[str]:
    return [] if value in _KINDS_OF_MODEL else [value]


def _model_arguments(value: str, options: Collection[str]) -> Iterator[str]:
    """lm-eval's ``pretrained=X,dtype=Y``: a model, and options of its loading."""
    split = [part.partition("=") for part in value.split(",") if part]
    pairs = {key: one for key, _, one in split}
    # What is measured with an adapter is the adapter, which names its base itself.
    model = pairs.pop("peft", "") or pairs.get("pretrained", "")
    if not model:
        raise InputError(f"model-args must name the model, pretrained=...; got '{value}'.")
    pairs.pop("pretrained", None)
    yield model
    for key, one in pairs.items():
        name = SAME.get(key.replace("_", "-"), key.replace("_", "-"))
        if name not in options:
            raise InputError(
                f"model-args may hold pretrained, peft, and options of this command "
                f"(dtype, revision, max_length); got '{key}={one}'."
            )
        yield from (f"--{name}", one)
