"""Fourier cropping: a smaller box of larger pixels that shows the same field of view."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["fourier_crop"]


def fourier_crop(images: Float[Tensor, "*batch n n"], box_size: int) -> Float[Tensor, "*batch m m"]:
    """Images (…, m, m) holding the frequencies below the smaller box's Nyquist; gray values are kept.

    The origin stays at index m // 2 and the mean gray value does not change. The smaller box's Nyquist row
    and column, which have no partner of opposite sign, are set to zero. A box equal to the images' returns
    them unchanged.

    Raises ValueError for a box that is odd, below 2 or above the images'.
    """
    n, m = images.shape[-1], box_size
    if m < 2 or m % 2 or m > n:
        raise ValueError(f"cannot crop a box of {n} to {m}: the new box must be even and not larger")
    if m == n:
        return images
    transform = torch.fft.rfft2(torch.fft.ifftshift(images, dim=(-2, -1)), norm="forward")
    half = m // 2
    cropped = torch.cat((transform[..., :half, : half + 1], transform[..., n - half :, : half + 1]), dim=-2)
    cropped[..., half, :] = 0
    cropped[..., half] = 0
    smaller: Tensor = torch.fft.irfft2(cropped, s=(m, m), norm="forward")
    centred: Tensor = torch.fft.fftshift(smaller, dim=(-2, -1))
    return centred
