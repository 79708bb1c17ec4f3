"""Reading what the authors' RoCoFT code saves: each weight in two parts, as a model.

Their layer keeps ``PATH.trainable_weight`` and ``PATH.non_trainable_weight``, the first
rows or columns and the rest, and the Trainer saves both: a whole model with names that
nothing else reads. The LM head is cut so as well, even where it is tied to the
embedding, which unties it; norms other than LayerNorm are trained. So what comes out is
a whole model and not an adapter.
"""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from mi_probe.errors import InputError

_TRAINED, _REST = ".trainable_weight", ".non_trainable_weight"


def published_weights(files: list[Path]) -> dict[str, Tensor] | None:
    """The joined weights by their usual names; None where none is in two parts.

    Args:
        files: safetensors files of one model.

    Raises:
        InputError: if a part is missing, or two parts do not fit together.
    """
    layers = dict.fromkeys(layer for path in files for layer in _layers(path))
    if not layers:
        return None
    tensors = {name: tensor for path in files for name, tensor in load_file(path).items()}
    return _joined(tensors, list(layers), files[0].parent)


def _layers(path: Path) -> list[str]:
    """The layers of which a file has a part."""
    with safe_open(path, framework="pt") as file:
        found = (name.rpartition(".") for name in file.keys())  # noqa: SIM118
        return [layer for layer, _, part in found if part in (_TRAINED[1:], _REST[1:])]


def _joined(
    tensors: dict[str, Tensor], layers: list[str], folder: Path
) -> dict[str, Tensor]:
    for layer in layers:
        for name in (layer + _TRAINED, layer + _REST):
            if name not in tensors:
                raise InputError(
                    "weights of the authors' RoCoFT must come in two parts; those in "
                    f"{str(folder)!r} lack {name}. Copy the folder again."
                )
    # A part that is square by chance fits both ways; the others tell which it is.
    fitting = [
        {
            cut
            for cut in (0, 1)
            if tensors[layer + _TRAINED].shape[1 - cut]
            == tensors[layer + _REST].shape[1 - cut]
        }
        for layer in layers
    ]
    common = set.intersection(*fitting)
    if not common:
        odd = layers[next(i for i, cuts in enumerate(fitting) if len(cuts) < 2)]
        raise InputError(
            "weights of the authors' RoCoFT must all be cut into rows, or all into "
            f"columns; those in {str(folder)!r} are not (see {odd})."
        )
    if len(common) == 2:
        raise InputError(
            "weights of the authors' RoCoFT must tell rows from columns by their shapes; "
            f"in {str(folder)!r} all parts fit both ways."
        )
    (cut,) = common
    whole = dict(tensors)
    for layer in layers:
        parts = [whole.pop(layer + _TRAINED), whole.pop(layer + _REST)]
        whole[f"{layer}.weight"] = torch.cat(parts, cut)
    return whole
