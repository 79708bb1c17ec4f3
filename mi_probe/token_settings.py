"""What ``python -m mi_probe.tokens`` is told, and what can be checked at once."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mi_probe import estimate_settings
from mi_probe.errors import InputError
from mi_probe.tasks import TASKS

PROGRAM = "python -m mi_probe.tokens"


def _about(text: str, default: Any = None) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TokenSettings:
    """What the command is told, by its options or by a file with the same names."""

    checkpoints: str | list[str] = field(
        default_factory=list,
        metadata={
            "help": "models: a Hugging Face id, a folder, an adapter, a training's folder "
            "or an embedded one; usually given bare"
        },
    )
    task: str | None = _about(f"a declared data set with classes, of {', '.join(TASKS)}")
    data_folder: str | None = _about("the folder, or a file, with its original files")
    split: str | None = _about("of the task; by default the one that papers report on")
    data: str | None = _about("your own .csv, .tsv, .jsonl, .json or .parquet file")
    text_column: str | None = _about("its column with the text ('text')")
    label_column: str = _about("its column with Y", "label")
    id_column: str | None = _about("its column with a unique name a row")
    label_kind: Literal["classes", "scores"] | None = _about(
        "what the labels are; by default read off them"
    )
    template: str | None = _about(r"the prompt, such as 'Review: {text}\nSentiment:'")
    rows: int | None = _about("how many rows to draw; all by default")
    rows_seed: int = _about("seed of that draw", 0)
    sites: int | str | list[int | str] = _about(
        "hidden_states indices as 0,8,16, names as block.4,final_norm, or 'all'; each "
        "takes a set of tables. By default the last one",
        "-1",
    )
    token_set: Literal["prompt", "all"] | None = _about(
        "'all' are the prompt's tokens and those that the model wrote after it; by default "
        "'all' of a trained system that writes, else 'prompt'"
    )
    series: bool = _about(
        "of a training's folder, its checkpoint-<step> folders too, and not the final "
        "model alone",
        False,
    )
    compare: bool = _about("add gradient x input and attention of each token", True)
    seed: int = _about("of folds and critics", 0)
    max_tokens: int | None = _about(
        "longer prompts are cut, and counted; by default as the estimate command does"
    )
    batch_size: int = _about("rows a forward pass", 16)
    dtype: str = _about("of the model's weights: float32, bfloat16 or float16", "float32")
    device: str = _about("'cpu', 'cuda', ...", "cpu")
    revision: str | None = _about("branch, tag or commit of a Hugging Face id")
    local_files_only: bool = _about("never look for a model on the network", False)
    threads: int | None = _about(
        "CPU threads; by default as torch finds it. Same seed and threads, same number"
    )
    out: str = _about("the results folder; tables go to OUT/tokens", "results")
    keep_activations: bool = _about("leave the hidden states in OUT/activations", False)

    @property
    def for_estimate(self) -> estimate_settings.Settings:
        """The same data and models, as the estimate command reads them."""
        shared = {f.name for f in fields(estimate_settings.Settings)}
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name in shared}
        return estimate_settings.Settings(**given, token_sets=self.token_set)


def check(settings: TokenSettings) -> estimate_settings.Choice:
    """Check what can be checked without a model.

    Raises:
        InputError: on the first setting that breaks its rule.
    """
    if not settings.checkpoints:
        raise InputError(
            "checkpoints must name at least one model; got none. For instance: "
            f"{PROGRAM} smollm2-135m --task rotten_tomatoes --rows 400"
        )
    if settings.seed < 0:
        raise InputError(f"seed must be 0 or more; got {settings.seed}.")
    return estimate_settings.Choice.of(settings.for_estimate)
