"""What the authors' code saves loads as the model that it is."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny

from mi_probe.backbones import load_backbone
from mi_probe.errors import InputError


def cut(folder, axis, *, change=lambda parts: parts):
    """Save a model's weights as they do: all linear layers in two parts, the head too."""
    path = folder / "model.safetensors"
    weights, parts = load_file(path), {}
    if "lm_head.weight" not in weights:  # tied, which their code unties
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"] + 1
    for name, weight in weights.items():
        if name.endswith(("proj.weight", "lm_head.weight")):
            side = {"row": 0, "column": 1}[axis]
            first, rest = weight.split([3, weight.shape[side] - 3], side)
            stem = name.removesuffix(".weight")
            parts[f"{stem}.trainable_weight"] = first.contiguous()
            parts[f"{stem}.non_trainable_weight"] = rest.contiguous()
        else:
            parts[name] = weight
    save_file(change(parts), path, {"format": "pt"})
    return weights


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("axis", ["row", "column"])
def test_the_two_parts_are_joined(axis, tied, tmp_path):
    base = save_tiny(tmp_path, head="CausalLM", tie_word_embeddings=tied)
    whole = cut(base, axis)
    model = load_backbone(str(base), lm_head=True).model
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, whole[name]), name
    bare = load_backbone(str(base)).model
    name = "layers.0.self_attn.q_proj.weight"
    assert torch.equal(bare.state_dict()[name], whole[f"model.{name}"])


def without_rest(parts):
    return {k: v for k, v in parts.items() if "layers.1.mlp.up_proj.non" not in k}


def mixed(parts):
    name = "model.layers.0.mlp.up_proj."
    whole = torch.cat(
        [parts[f"{name}{part}_weight"] for part in ("trainable", "non_trainable")]
    )
    first, rest = whole[:, :3].contiguous(), whole[:, 3:].contiguous()
    return {**parts, f"{name}trainable_weight": first, f"{name}non_trainable_weight": rest}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_rest, "lack model.layers.1.mlp.up_proj.non_trainable_weight"),
        (mixed, "must all be cut into rows"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, said, tmp_path):
    base = save_tiny(tmp_path, head="CausalLM")
    cut(base, "row", change=change)
    with pytest.raises(InputError, match=said):
        load_backbone(str(base))
