"""Soft masks from the truth, fixed per data set: where the molecule is, and where it moves.

A volume that blurs the motion away can still agree with the truth nearly everywhere. Under `moving` it
cannot.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

__all__ = ["mean_and_deviation", "molecule_mask", "moving_mask"]

SMOOTHING_IN_PIXELS = 2.0
EDGE_IN_PIXELS = 1.5
MOLECULE_FRACTION = 0.1
MOVING_FRACTION = 0.25
STATIC_FRACTION = 1e-3
"""A deviation this small beside the mean volume is rounding, not motion."""


def mean_and_deviation(
    volumes: Iterable[Float[Tensor, "n n n"]],
) -> tuple[Float[Tensor, "n n n"], Float[Tensor, "n n n"]]:
    """Mean and standard deviation of each voxel over volumes, in one pass."""
    count = 0
    mean = torch.zeros(())
    squares = torch.zeros(())
    for volume in volumes:
        count += 1
        difference = volume.double() - mean
        mean = mean + difference / count
        squares = squares + difference * (volume - mean)
    return mean.float(), (squares / count).sqrt().float()


def molecule_mask(mean: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """Where the mean true volume, smoothed by 2 px, exceeds a tenth of its maximum; softened by 1.5 px."""
    return _soft_mask(mean, MOLECULE_FRACTION)


def moving_mask(
    mean: Float[Tensor, "n n n"], deviation: Float[Tensor, "n n n"]
) -> Float[Tensor, "n n n"] | None:
    """Where the deviation over the states, smoothed by 2 px, exceeds a quarter of its maximum; then the same.

    None where nothing moves.
    """
    if deviation.max() < STATIC_FRACTION * mean.abs().max():
        return None
    return _soft_mask(deviation, MOVING_FRACTION)


def _soft_mask(volume: Float[Tensor, "n n n"], fraction: float) -> Float[Tensor, "n n n"]:
    """Smooth by a Gaussian of σ = 2 px, threshold, soften by one of σ = 1.5 px."""
    smooth = gaussian_filter(volume.double().numpy(), SMOOTHING_IN_PIXELS, mode="constant")
    inside = (smooth > fraction * smooth.max()).astype("float64")
    return torch.from_numpy(gaussian_filter(inside, EDGE_IN_PIXELS, mode="constant")).float()
