"""The linear cousin of the method: V(z) = V₀ + Σ_j z_j V_j at low resolution, its posterior exact.

With known poses a frame's likelihood is then Gaussian in z, and two small tensors, an information matrix
and a vector, are all that the frame tells: the features that encoders of movies with known poses read.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from temporem.physics.lattice import HalfDisc
from temporem.physics.volume_families import family_grid, family_slices
from temporem.physics.volumes import PADDING

__all__ = ["FrameInformation", "LinearSubspace"]


@dataclass(frozen=True)
class FrameInformation:
    """What a batch of frames tells of z: log p(X | z) = −½ zᵀ H z + bᵀ z − ½ ‖X − V₀‖² + constant."""

    matrix: Float[Tensor, "frames latent latent"]
    """H."""
    vector: Float[Tensor, "frames latent"]
    """b."""
    squared_residual: Float[Tensor, " frames"]
    """‖X − V₀‖² over the full disc."""


class LinearSubspace(nn.Module):
    """Volumes V₀ … V_J on a coarse real-space grid: 2 · radius voxels across the same field of view.

    Real space rather than Fourier space, because a volume confined to the box ties neighbouring coefficients
    together. Of each volume only the ball inscribed in the box counts, so that turning it loses nothing.
    """

    ball: Tensor

    def __init__(self, box_size: int, latent_dim: int, radius: int) -> None:
        super().__init__()
        self.box_size, self.latent_dim, self.radius = box_size, latent_dim, radius
        n = 2 * radius
        self.parts = nn.Parameter(torch.zeros(latent_dim + 1, n, n, n))
        """V₀ first."""
        axis = torch.arange(n) - radius
        squared = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
        self.register_buffer("ball", (squared < radius**2).float())

    def slices(
        self, rotation: Float[Tensor, "frames 3 3"], frequency: Float[Tensor, "coefficients 2"]
    ) -> Complex[Tensor, "frames coefficients parts"]:
        """Central slices of V₀ … V_J, |k| ≤ radius, in the scale of images of the full box."""
        grid = family_grid(self.parts * self.ball, PADDING)
        return family_slices(grid, rotation, frequency, 2 * self.radius, PADDING)

    def coefficients_used(self, lattice: HalfDisc) -> int:
        """How many leading coefficients of a frame are looked at: |k| ≤ radius − 1."""
        return lattice.count_within(self.radius - 1)

    def expansion(
        self,
        coefficients: Complex[Tensor, "frames coefficients"],
        transfer: Float[Tensor, "frames coefficients"],
        rotation: Float[Tensor, "frames 3 3"],
        lattice: HalfDisc,
    ) -> tuple[Complex[Tensor, "frames used latent"], Complex[Tensor, "frames used"]]:
        """Slopes of what is expected of frames along z, and the frames less what is expected at z = 0; half
        the squared length of the latter is the negative log likelihood there.

        Coefficients are whitened and centred, `transfer` is CTF / noise sd; no more than `coefficients_used`
        need be there.
        """
        count = self.coefficients_used(lattice)
        weight = lattice.multiplicity[:count].sqrt()
        parts = self.slices(rotation, lattice.frequency[:count]) * (transfer[:, :count] * weight)[..., None]
        return parts[..., 1:], coefficients[:, :count] * weight - parts[..., 0]

    def information(
        self,
        coefficients: Complex[Tensor, "frames coefficients"],
        transfer: Float[Tensor, "frames coefficients"],
        rotation: Float[Tensor, "frames 3 3"],
        lattice: HalfDisc,
    ) -> FrameInformation:
        """What frames tell of z; arguments as of `expansion`."""
        slopes, residual = self.expansion(coefficients, transfer, rotation, lattice)
        design = torch.view_as_real(slopes).transpose(2, 3).flatten(1, 2)
        left = torch.view_as_real(residual).flatten(1)
        vector = (design.mT @ left[..., None])[..., 0]
        return FrameInformation(design.mT @ design, vector, (left**2).sum(-1))
