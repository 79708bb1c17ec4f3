"""What the files of a model's folder may ask for: nothing outside it, and no endless work.

A folder comes from anybody. Its weights are safetensors and its code is not run; but its
JSON files name other files, implementations that are fetched and run, sizes that are
allocated and patterns that are searched for. They are looked at before any library reads
them.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mi_probe.backbones.blocks import COUNTS
from mi_probe.backbones.fit import Shapes
from mi_probe.backbones.folders import ADAPTER_CONFIG, CONFIG
from mi_probe.contents import read_json
from mi_probe.errors import InputError

try:
    from re import _parser  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_parse as _parser

IMPLEMENTATIONS = (
    *("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"),
    *("batched_mm", "grouped_mm"),
)
"""Those of Transformers. Any other name is looked up on the hub, and its code run."""
_IMPLEMENTATION = re.compile(r"_?(attn|experts)_implementation(_internal)?")
_SIZES = {
    CONFIG: (
        *("vocab_size", "hidden_size", "intermediate_size", "d_model", "n_embd", "d_ff"),
        *("ffn_dim", "embedding_size", "num_experts"),
    ),
    ADAPTER_CONFIG: (
        *("target_r", "token_dim", "num_vectors", "encoder_hidden_size"),
        "vector_length",
    ),
}
"""Entries no larger than all the numbers of the weights together."""
_LENGTHS = ("r", "init_r", "num_virtual_tokens")
"""Entries of an adapter that some side of its weights has."""
_PATTERNS = ("target_modules", "exclude_modules", "layers_pattern", "feedforward_modules")
_PATTERN_KEYS = ("rank_pattern", "alpha_pattern")
_NAMED_FILES = ("vocab_file", "merges_file", "tokenizer_file", "spm_file", "sp_model_file")
_JSON = (CONFIG, ADAPTER_CONFIG, "tokenizer_config.json", "special_tokens_map.json")
_LONGEST_PATTERN, _MOST_REPEATS = 2000, 4


def check_folder(folder: Path, shapes: Shapes | None = None) -> None:
    """Look at the JSON files of a model or an adapter.

    Args:
        folder: where they lie.
        shapes: those of its weights; None does not look at sizes.

    Raises:
        InputError: naming the file, and the entry that asks for too much.
    """
    for name in _JSON:
        if not (folder / name).is_file():
            continue
        try:
            content = read_json(folder / name)
        except ValueError as error:
            raise InputError(
                f"{name} in {str(folder)!r} must be whole JSON; reading gave {error}. "
                "Copy or save it again."
            ) from None
        if name == ADAPTER_CONFIG:
            _check_adapter(content, folder)
        most = {} if shapes is None else _most(name, shapes)
        for key, value in _entries(content):
            if said := _asks_too_much(key, value, most, folder):
                raise InputError(
                    f"{key} in {name} must be {said}; {str(folder)!r} has "
                    f"{str(value)[:80]!r}. Mend it, or do not trust this folder."
                )


def check_shards(index: str, shards: Iterable[Any], folder: Path) -> None:
    """Look at the names of weight files that an index gives.

    Raises:
        InputError: at one that is a pickle, or lies elsewhere.
    """
    for name in shards:
        own = isinstance(name, str) and Path(name).name == name and "\\" not in name
        if not own or not name.endswith(".safetensors"):
            raise InputError(
                f"weights must be safetensors beside {index}; that in {str(folder)!r} "
                f"names {str(name)[:80]!r}. Save the model again with save_pretrained()."
            )


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """Each entry of an object, and of the objects in it."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, Mapping):
            yield from value.items()
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _most(name: str, shapes: Shapes) -> dict[str, tuple[int, str]]:
    """The most that entries of a file may say of sizes, and of what that many there are.

    They are counted before a library allocates as much: that its weights have other
    shapes is said only afterwards.
    """
    numbers = sum(map(math.prod, shapes.values()))
    longest = max((size for shape in shapes.values() for size in shape), default=0)
    # Each block has a tensor at least.
    counts = COUNTS if name == CONFIG else ()
    lengths = _LENGTHS if name == ADAPTER_CONFIG else ()
    return {
        **dict.fromkeys(_SIZES.get(name, ()), (numbers, "numbers of the weights")),
        **{key: (len(shapes), "tensors of the weights") for key in counts},
        **dict.fromkeys(lengths, (longest, "rows or columns of any weight")),
    }


def _asks_too_much(
    key: str, value: Any, most: Mapping[str, tuple[int, str]], folder: Path
) -> str | None:
    """What the entry must be; None where it is."""
    if _IMPLEMENTATION.fullmatch(key):
        given = value.values() if isinstance(value, Mapping) else [value]
        if any(one is not None and one not in IMPLEMENTATIONS for one in given):
            return f"one of {', '.join(IMPLEMENTATIONS)}"
    if key == "transformers_weights" and value is not None:
        return "left out: the weights are found by their names"
    if key in most and isinstance(value, int) and value > most[key][0]:
        return f"at most the {most[key][0]} {most[key][1]}"
    if key in _NAMED_FILES and isinstance(value, str):
        place = folder / value
        if place.is_file() and place.absolute().parent != folder.absolute():
            return "a file of the folder"
    return None


def _check_adapter(content: Any, folder: Path) -> None:
    if not isinstance(content, Mapping):
        raise InputError(
            f"{ADAPTER_CONFIG} in {str(folder)!r} must hold an object; it holds "
            f"{type(content).__name__}. Copy or save it again."
        )
    ranks = content.get("rank_pattern")
    for value in ranks.values() if isinstance(ranks, Mapping) else ():
        if not isinstance(value, int) or value > 1 << 16:
            raise InputError(
                f"rank_pattern in {ADAPTER_CONFIG} must give ranks; {str(folder)!r} has "
                f"{str(value)[:80]!r}. Mend it, or do not trust this folder."
            )
    patterns = [content[key] for key in _PATTERNS if isinstance(content.get(key), str)]
    for key in (*_PATTERN_KEYS, "layers_pattern"):
        if isinstance(content.get(key), Mapping | list):
            patterns += [one for one in content[key] if isinstance(one, str)]
    for pattern in patterns:
        if said := _costly(pattern):
            raise InputError(
                f"patterns in {ADAPTER_CONFIG} must be regular expressions that are soon "
                f"searched for; {pattern[:80]!r} in {str(folder)!r} {said}. Write the "
                "modules' names instead."
            )


def _costly(pattern: str) -> str | None:
    """Why a regular expression may take for ever; None where it does not."""
    if len(pattern) > _LONGEST_PATTERN:
        return f"has {len(pattern)} characters"
    try:
        tree = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is none ({error})"
    repeats = 0
    left: list[tuple[Any, bool]] = [(tree, False)]
    while left:
        node, repeated = left.pop()
        for part in node if hasattr(node, "data") or isinstance(node, list | tuple) else ():
            kind = str(part[0]) if isinstance(part, tuple) and part else ""
            inside = repeated
            if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
                low, high, _ = part[1]
                if repeated:
                    return "repeats what repeats"
                repeats += int(low) != int(high)
                inside = int(high) > 1
            elif kind == "BRANCH" and repeated:
                return "repeats a choice"
            left.append((part, inside))
    return f"has {repeats} repeats" if repeats > _MOST_REPEATS else None
