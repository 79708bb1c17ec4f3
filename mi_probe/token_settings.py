"""What ``python -m mi_probe.tokens`` is told, and what can be checked at once."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mi_probe import estimate_settings
from mi_probe.command_line import listed
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
    compare: bool = _about("add gradient x input and attention of each token", True)
    seed: int = _about("of folds and critics", 0)
    max_tokens: int = _about("longer prompts are cut, and counted", 512)
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
        return estimate_settings.Settings(
            **{f.name: getattr(self, f.name) for f in fields(self) if f.name in shared}
        )


def check(settings: TokenSettings) -> str | list[str]:
    """Check what can be checked without a model; the sites that are wanted.

    Raises:
        InputError: on the first setting that breaks its rule.
    """
    if not settings.checkpoints:
        raise InputError(
            "checkpoints must name at least one model; got none. For instance: "
            f"{PROGRAM} smollm2-135m --task rotten_tomatoes --rows 400"
        )
    least = {"rows": 1, "max_tokens": 1, "batch_size": 1, "threads": 1, "seed": 0}
    for name, lowest in least.items():
        value = getattr(settings, name)
        if value is not None and value < lowest:
            option = name.replace("_", "-")
            raise InputError(f"{option} must be at least {lowest}; got {value}.")
    sites = listed(settings.sites, "sites")
    return "all" if sites == ["all"] else sites
