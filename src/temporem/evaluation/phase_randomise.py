"""The floor under a mask: how far a volume without phases seems to agree with the truth (Chen et al. 2013).

A mask multiplies in real space and so smears good low shells over the shells beyond. Randomising the phases
beyond a shell and correlating under the same mask shows how much of the masked FSC is that.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.physics.volumes import grid_radius

__all__ = ["first_randomised_shell", "randomise_phases"]

STILL_GOOD = 0.8


def first_randomised_shell(whole_fsc: Float[Tensor, " shells"]) -> int:
    """Shell to randomise from: the first whose unmasked FSC is below 0.8 (RELION's rule), at latest n / 4."""
    latest = (len(whole_fsc) - 1) // 2
    below = (whole_fsc[1 : latest + 1] < STILL_GOOD).nonzero()
    return int(below[0, 0]) + 1 if len(below) else latest


def randomise_phases(
    volume: Float[Tensor, "n n n"], first_shell: int, generator: torch.Generator
) -> Float[Tensor, "n n n"]:
    """Return the volume with random phases in all shells from `first_shell` on, and its amplitudes."""
    n = volume.shape[-1]
    transform = torch.fft.rfftn(volume)
    # The phases of real white noise are uniform and already have the symmetry of a real volume.
    noise = torch.fft.rfftn(torch.randn(volume.shape, generator=generator, dtype=volume.dtype))
    randomised = torch.where(
        grid_radius(n).round() >= first_shell, transform.abs() * torch.sgn(noise), transform
    )
    result: Tensor = torch.fft.irfftn(randomised, s=(n, n, n))
    return result
