"""A Wiener filter that knows where the molecule is: what a solvent mask cannot tell of a single state.

The prior of `wiener` is the same everywhere under the mask, which holds all that the molecule ever
occupies. Of one state much of that is empty, and there the volume is noise. So in each of a few bands of
frequency every voxel is weighed by its own S / (S + N): N is the power in the solvent around the mask, which
shows noise alone, and S the smoothed power of the voxel's neighbourhood above it. This is the empirical
Wiener filter; its second round measures S on the first's result, as Dabov et al. (2007) do.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from temporem.physics.volumes import filtered, grid_radius, gridding_correction
from temporem.reconstruction.backprojection import Accumulator, regularised, wiener

__all__ = ["local_wiener"]

PRIOR = 0.03
"""Of the precision of the prior of `wiener`: enough to steady what no frame shows; the local weights do the
rest."""
BANDS = 4
"""Of equal width, overlapping as squared cosines; more of them tell less of each voxel."""
FIRST_SIGMA, SIGMA = 2.0, 1.0
"""Of the Gaussian neighbourhoods of the two rounds, in voxels."""
EXCESS = 1.5
"""Noise within the molecule over that of the solvent: states differ from those they are averaged with."""
LEAST_SOLVENT = 0.02
"""Part of the inscribed ball outside the mask that tells its noise; with less, the mask alone is laid on."""
_OUTSIDE = 0.02
"""Of the mask: beyond is solvent. Masks that were made coarser ring by less than that."""


def local_wiener(
    accumulator: Accumulator, signal_power: Float[Tensor, " shells"], mask: Float[Tensor, "n n n"]
) -> Float[Tensor, "n n n"]:
    """Volume (n, n, n) of `wiener` under a mask, its voxels weighed by their power above the solvent's noise.

    It is not linear in the frames.
    """
    ball = _ball(mask)
    solvent = (mask < _OUTSIDE) & ball
    if float(solvent.sum()) < LEAST_SOLVENT * float(ball.sum()):
        return wiener(accumulator, signal_power, mask)
    volume = regularised(accumulator, signal_power, PRIOR * float(mask.mean()))
    # Noise was even before the volume was divided by this.
    correction = gridding_correction(accumulator.box_size, accumulator.padding).to(volume)
    bands = _in_bands(volume)
    level = (bands * correction)[:, solvent].square().mean(-1)
    noise = EXCESS * level[:, None, None, None] / correction.square()
    power = _smoothed(bands.square(), FIRST_SIGMA)
    first = (bands * (1 - noise / power.clamp(min=torch.finfo(power.dtype).tiny)).clamp(min=0)).sum(0)
    signal = _smoothed(_in_bands(first).square(), SIGMA).clamp(min=0)
    return (bands * signal / (signal + noise).clamp(min=torch.finfo(power.dtype).tiny)).sum(0) * mask


def _in_bands(volume: Float[Tensor, "n n n"]) -> Float[Tensor, "bands n n n"]:
    """Parts of a volume by frequency, which add up to it."""
    return filtered(volume, _bands(len(volume)).to(volume.device))


def _smoothed(volumes: Float[Tensor, "bands n n n"], sigma: float) -> Float[Tensor, "bands n n n"]:
    return filtered(volumes, _gaussian(volumes.shape[-1], sigma).to(volumes.device))


@lru_cache(maxsize=4)
def _bands(n: int) -> Float[Tensor, "bands n n n//2+1"]:
    place = (grid_radius(n) / (n / 2) * (BANDS - 1)).clamp(max=BANDS - 1)
    distance = (place - torch.arange(BANDS)[:, None, None, None]).abs().clamp(max=1)
    return (0.5 * math.pi * distance).cos().square()


@lru_cache(maxsize=8)
def _gaussian(n: int, sigma: float) -> Float[Tensor, "n n n//2+1"]:
    """Transform of a Gaussian of that standard deviation, in voxels."""
    return torch.exp(-2 * (math.pi * sigma / n * grid_radius(n)) ** 2)


def _ball(mask: Float[Tensor, "n n n"]) -> Bool[Tensor, "n n n"]:
    n = len(mask)
    axis = (torch.arange(n, device=mask.device) - n // 2) ** 2
    return axis[:, None, None] + axis[:, None] + axis < (n // 2) ** 2
