r"""Noise-smoothed states, Z + sigma * RMS * eps, where the DPI is strict.

Without noise the states of a language model almost surely determine its text, pooled ones
too, and then pooling loses no Shannon information. Noise ends that argument: Z_p is pooled
*after* it, and is still a function of the noised Z.

References:
    Estimating Information Flow in Deep Neural Networks (Goldfeld et al., 2019),
    https://arxiv.org/abs/1810.05728
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.hidden import HiddenStates

_CHUNK = 512


def with_noise(
    z: HiddenStates | Tensor | np.ndarray, sigma: float, *, seed: int = 0
) -> HiddenStates | Tensor:
    r""":math:`Z + \sigma\,\mathrm{RMS}(Z)\,\epsilon`, at real tokens only.

    eps is standard normal; RMS is the root mean square of all coordinates of the unmasked
    tokens. The result does not depend on padding, has the states' dtype and shares nothing
    with them.

    Raises:
        InputError: for a negative or infinite sigma.
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise InputError(
            "sigma must be 0 or more, in units of the states' root mean square; "
            f"got {sigma}."
        )
    generator = torch.Generator().manual_seed(seed)
    if isinstance(z, HiddenStates):  # drawn row after row: read as a whole from the disk
        z = z[:]
    sequences = isinstance(z, HiddenStates)
    values = z.values if sequences else torch.as_tensor(z)
    if not values.is_floating_point():
        values = values.float()
    scale = sigma * root_mean_square(z)
    noised = torch.empty_like(values)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = values[rows].clone()
        real = z.mask[rows] if sequences else torch.ones(len(part), dtype=torch.bool)
        tokens = part[real]
        noise = torch.randn(tokens.shape, generator=generator)
        part[real] = (tokens.float() + scale * noise.to(tokens.device)).to(part.dtype)
        noised[rows] = part
    return replace(z, values=noised) if sequences else noised


def root_mean_square(z: HiddenStates | Tensor | np.ndarray) -> float:
    """Root mean square of all coordinates of the unmasked tokens."""
    values = z.values if isinstance(z, HiddenStates) else torch.as_tensor(z)
    total, count = 0.0, 0
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = values[rows]
        tokens = part[z.mask[rows]] if isinstance(z, HiddenStates) else part
        total += float(tokens.double().square().sum())
        count += tokens.numel()
    return math.sqrt(total / max(count, 1))
