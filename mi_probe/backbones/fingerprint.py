"""What identifies a model: hashes of its files, or of its weights in memory."""

import hashlib
import json
import os
from functools import cache
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import PreTrainedTokenizerBase

from mi_probe.errors import InputError

_CHUNK = 1 << 22


def sha256_file(path: Path) -> str:
    """The sha256 of a file; hashed once in a process unless size or time change."""
    real = os.path.realpath(path)
    stat = os.stat(real)
    return _sha256(real, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(path: str, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fingerprint_folder(folder: Path, names: list[str]) -> str:
    """One hash of the named files of a folder, wherever the folder lies."""
    listing = {name: sha256_file(folder / name) for name in sorted(names)}
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def fingerprint_model(model: nn.Module) -> dict[str, str]:
    """The hash of a model in memory: of each weight's name, type, shape and bytes.

    Raises:
        InputError: if some of them are on a disk.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.is_meta:
            raise InputError(
                f"model must have its weights in memory; {name} is on a disk, or was left "
                "with the CPU by device_map. Give its folder instead, with device='auto'."
            )
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().contiguous().cpu().flatten()
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return {"model": digest.hexdigest(), **fingerprint_precision(model)}


def fingerprint_precision(model: nn.Module) -> dict[str, str]:
    """The type of the weights and the library that runs them."""
    dtype = next(model.parameters()).dtype
    return {
        "class": type(model).__name__,
        "dtype": str(dtype).removeprefix("torch."),
        "transformers": transformers.__version__,
    }


def fingerprint_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """The hash of what turns a text into tokens, without padding and truncation."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        rules = dict(sorted(tokenizer.get_vocab().items()))
    else:
        rules = json.loads(backend.to_str())
        # Every call of the tokenizer sets these two anew.
        rules = {k: v for k, v in rules.items() if k not in ("padding", "truncation")}
    described = {"rules": rules, "special": tokenizer.all_special_tokens}
    text = json.dumps(described, sort_keys=True, default=str)
    return {"tokenizer": hashlib.sha256(text.encode()).hexdigest()}
