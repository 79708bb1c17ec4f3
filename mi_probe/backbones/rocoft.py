"""RoCoFT: the first rows or columns of a weight are trained, the rest is frozen.

The layer computes with one whole weight, in which the trained part is written before
each use: forward it costs what the frozen layer costs, and backward it makes the
gradient of the trained rows or columns only. (The published form joins a trained and a
frozen part each time and makes the gradient of both.) Its output is that of the merged
weight, bit for bit.

Reference: Kowsher et al. 2025, RoCoFT: Efficient Finetuning of Large Language Models
with Row-Column Updates (ACL 2025).
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from mi_probe.errors import InputError

Axis = Literal["row", "column"]
AXES: tuple[Axis, ...] = ("row", "column")
"""``row`` trains W[:r, :], outputs of the layer; ``column`` W[:, :r], its inputs, for a
weight W (outputs, inputs)."""


class RocoftLayer(nn.Module):
    """A linear layer of which only the first `count` rows or columns are trained.

    It stands in the place of the layer and holds its weight under the same name, so
    that ``state_dict`` has the merged weight and the trained part beside it.

    Args:
        layer: an ``nn.Linear`` or GPT-2's ``Conv1D``; its parameters are taken over.
        axis: ``row`` or ``column`` of the weight (outputs, inputs).
        count: how many.
        bias: train the bias too, where there is one.

    Raises:
        InputError: if the layer has fewer rows or columns, or quantised weights.
    """

    def __init__(
        self, layer: nn.Linear | Conv1D, axis: Axis, count: int, *, bias: bool = False
    ) -> None:
        super().__init__()
        self.axis: Axis = axis
        self.count = count
        self.transposed = isinstance(layer, Conv1D)
        assert isinstance(layer.weight, nn.Parameter)
        self.weight: nn.Parameter = layer.weight
        self.weight.requires_grad_(False)
        self.bias: nn.Parameter | None = layer.bias
        if layer.bias is not None:
            layer.bias.requires_grad_(bias)
        if not self.weight.is_floating_point():
            raise InputError(
                "weights must be floating-point numbers for RoCoFT; got "
                f"{self.weight.dtype}. Load the model without quantisation."
            )
        self.out_features, self.in_features = self._matrix().shape
        there = self.out_features if axis == "row" else self.in_features
        if not 1 <= count <= there:
            raise InputError(
                f"rank must lie in 1 ... {there}, the {axis}s of the smallest adapted "
                f"layer; got {count}."
            )
        # Small steps would be lost in a 16-bit weight; the whole weight stays as it is.
        half = self.weight.dtype in (torch.bfloat16, torch.float16)
        start = self._part().float() if half else self._part()
        self.register_parameter(self.name, nn.Parameter(start.clone()))
        self.register_state_dict_pre_hook(_write_first)

    @property
    def name(self) -> str:
        """The trained parameter's: ``rocoft_row`` or ``rocoft_column``."""
        return f"rocoft_{self.axis}"

    @property
    def trained(self) -> nn.Parameter:
        """The rows (count, inputs) or columns (outputs, count) that are trained."""
        return getattr(self, self.name)

    def forward(self, x: Tensor) -> Tensor:
        """Linear in x: x W^T + b, with the trained part in W."""
        self.write()
        return _Product.apply(x, self._matrix(), self.trained, self.bias, self.axis)

    @torch.no_grad()
    def write(self) -> None:
        """Write the trained part into the whole weight."""
        # Through .data: a second forward before the first one's backward writes the
        # same numbers, which autograd would take for a change of what it saved.
        self._part().copy_(self.trained.data)

    def merged(self) -> nn.Linear | Conv1D:
        """The plain layer with the weight as trained."""
        self.write()
        outputs, inputs = self.out_features, self.in_features
        # On "meta", so that no memory is taken for weights that are replaced at once.
        with torch.device("meta"):
            layer = (
                Conv1D(outputs, inputs) if self.transposed else nn.Linear(inputs, outputs)
            )
        self.weight.requires_grad_(True)
        layer.register_parameter("weight", self.weight)
        layer.register_parameter("bias", self.bias)
        return layer

    def _matrix(self) -> Tensor:
        """The weight as (outputs, inputs), without a gradient."""
        return self.weight.data.T if self.transposed else self.weight.data

    def _part(self) -> Tensor:
        matrix = self._matrix()
        return matrix[: self.count] if self.axis == "row" else matrix[:, : self.count]

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of it."""
        shape = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{shape}, bias={self.bias is not None}, {self.axis}s={self.count}"


def _write_first(layer: RocoftLayer, *state: Any) -> None:
    layer.write()


class _Product(torch.autograd.Function):
    """x W^T + b, with a gradient for x, b and the trained part of W."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: Tensor, part: Tensor, bias: Tensor | None, axis: Axis
    ) -> Tensor:
        ctx.axis, ctx.count = axis, part.shape[0 if axis == "row" else 1]
        # Columns need no more of x than they read.
        kept = x if axis == "row" else x[..., : ctx.count].contiguous()
        ctx.save_for_backward(kept, matrix)
        ctx.types = [None if t is None else t.dtype for t in (x, part, bias)]
        return functional.linear(x, matrix, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, matrix = ctx.saved_tensors
        for_x = for_part = for_bias = None
        # Under autocast the product ran in 16 bits, whatever x and W are stored in.
        if ctx.needs_input_grad[0]:
            for_x = (grad @ matrix.to(grad.dtype)).to(ctx.types[0])
        flat = grad.flatten(0, -2)
        if ctx.needs_input_grad[2]:
            outer = flat[:, : ctx.count] if ctx.axis == "row" else flat
            for_part = (outer.T @ x.flatten(0, -2).to(grad.dtype)).to(ctx.types[1])
        if ctx.needs_input_grad[3]:
            for_bias = flat.sum(0).to(ctx.types[2])
        return for_x, None, for_part, for_bias, None


def rocoft_layers(model: nn.Module) -> dict[str, RocoftLayer]:
    """The RoCoFT layers of a model by their path."""
    modules = model.named_modules()
    return {path: layer for path, layer in modules if isinstance(layer, RocoftLayer)}


def put_rocoft(
    model: nn.Module, paths: Iterable[str], axis: Axis, count: int, *, bias: bool = False
) -> None:
    """Put RoCoFT layers in the place of the linear layers at the given paths."""
    for path in paths:
        layer = model.get_submodule(path)
        if not isinstance(layer, nn.Linear | Conv1D):
            raise InputError(
                f"{path} must be a linear layer for RoCoFT; in {type(model).__name__} "
                f"it is {type(layer).__name__}. Was the adapter made for another model?"
            )
        _put(model, path, RocoftLayer(layer, axis, count, bias=bias))


def merge_rocoft(model: nn.Module) -> None:
    """Put plain layers with the trained weights back in their place."""
    for path, layer in rocoft_layers(model).items():
        _put(model, path, layer.merged())


def part_hash(model: nn.Module) -> str:
    """SHA-256 of the rows or columns that stand in the weights now.

    Taken before training it identifies the base for which an adapter is made.
    """
    digest = hashlib.sha256()
    for path, layer in sorted(rocoft_layers(model).items()):
        digest.update(path.encode())
        digest.update(layer.trained.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def _put(model: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, layer.train(model.training))
