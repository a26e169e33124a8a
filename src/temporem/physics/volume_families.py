"""Many volumes cut at the same poses.

Their values lie together at each grid point, so that all cost little more than one.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.physics.projection import corners
from temporem.physics.volumes import gridding_correction, volume_to_fourier

__all__ = ["family_grid", "family_slices"]


def family_grid(volumes: Float[Tensor, "volumes n n n"], padding: int) -> Float[Tensor, "points twice"]:
    """Half grids of all volumes, ready for slicing: at each point the real and imaginary parts of each.

    The volumes are divided by `gridding_correction` here.
    """
    corrected = volumes / gridding_correction(volumes.shape[-1], padding).to(volumes)
    grids = volume_to_fourier(corrected, padding).flatten(1)
    return torch.view_as_real(grids.T.contiguous()).flatten(1)


def family_slices(
    grid: Float[Tensor, "points twice"],
    rotation: Float[Tensor, "frames 3 3"],
    frequency: Float[Tensor, "coefficients 2"],
    box_size: int,
    padding: int,
) -> Complex[Tensor, "frames coefficients volumes"]:
    """Central slices of every volume of a `family_grid` at every rotation, as `central_slices` gives of each.

    Differentiable in the grid. `frequency` is (kx, ky) in cycles per box, within Nyquist.
    """
    index, weight, mirrored = corners(rotation, frequency, padding * box_size, padding)
    values = torch.nn.functional.embedding_bag(
        index.flatten(1).T.contiguous(), grid, per_sample_weights=weight.flatten(1).T.contiguous(), mode="sum"
    )
    slices = torch.view_as_complex(values.reshape(*mirrored.shape, -1, 2))
    return torch.where(mirrored[..., None], slices.conj(), slices)
