"""Volumes of different boxes brought to one: a run of cropped images is scored in the box of the truth."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["fourier_pad"]


def fourier_pad(volumes: Float[Tensor, "*batch m m m"], box_size: int) -> Float[Tensor, "*batch n n n"]:
    """Sample volumes of even box m more finely, in an even box n ≥ m of the same edge in Å.

    Their transform is padded: values are kept, as are the origins at m // 2 and n // 2. Shells beyond the old
    Nyquist are empty; the planes at it, whose phase the coarse grid cannot hold, are dropped.
    """
    m, n = volumes.shape[-1], box_size
    if m == n:
        return volumes
    axes = (-3, -2, -1)
    coarse = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volumes, dim=axes), dim=axes), dim=axes)
    fine = coarse.new_zeros((*volumes.shape[:-3], n, n, n))
    first, last = n // 2 - m // 2 + 1, n // 2 + m // 2
    fine[..., first:last, first:last, first:last] = coarse[..., 1:, 1:, 1:]
    padded = torch.fft.ifftn(torch.fft.ifftshift(fine, dim=axes), dim=axes).real
    centred: Tensor = torch.fft.fftshift(padded, dim=axes)
    return centred * (n / m) ** 3
