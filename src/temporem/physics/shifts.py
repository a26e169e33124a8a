"""Shifts in the image plane, as phase shifts of Fourier coefficients."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

__all__ = ["phase_shift"]


def phase_shift(
    frequency: Float[Tensor, "coefficients 2"],
    translation_in_pixels: Float[Tensor, "*batch 2"],
    box_size: int,
) -> Complex[Tensor, "*batch coefficients"]:
    """Factors exp(−2πi k·t / n) that move an image's content by t = (x, y) pixels.

    The frequencies k = (kx, ky) are in cycles per box. RELION's `rlnOriginX/YAngst` are −t times the pixel
    size. Source: the phase factor of Eq. 2.
    """
    translation = translation_in_pixels.to(frequency.dtype)
    # Not a matrix product, which autocast would round to 8 bits.
    cycles = translation[..., :1] * frequency[:, 0] + translation[..., 1:] * frequency[:, 1]
    angle = (-2 * math.pi / box_size) * cycles
    return torch.polar(torch.ones_like(angle), angle)
