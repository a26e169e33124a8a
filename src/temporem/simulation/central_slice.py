"""Central slices of a voxel volume at any frequency, to float32 accuracy: a non-uniform Fourier transform.

The reconstruction interpolates trilinearly. Movies made the same way would carry its errors, and flatter it;
these slices are, within 1e-4 of their root mean square, the sum over voxels that defines them.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

__all__ = ["OversampledTransform", "oversampled_transform"]

OVERSAMPLING = 2
KERNEL_WIDTH = 6
"""Grid points a Kaiser–Bessel kernel spans along each axis."""
KERNEL_SHAPE = math.pi * math.sqrt((KERNEL_WIDTH / OVERSAMPLING * (OVERSAMPLING - 0.5)) ** 2 - 0.8)
"""β of the kernel with least aliasing for this width and oversampling (Beatty et al. 2005, Eq. 5)."""
POINTS_AT_ONCE = 2**12
"""216 neighbours each: so few that an interpolation stays in a processor's cache."""


@dataclass(frozen=True, eq=False)
class OversampledTransform:
    """The transform of a volume on a grid finer than its own, made ready for Kaiser–Bessel interpolation."""

    box_size: int
    half_grid: Complex[Tensor, "m m columns"]
    """[kz, ky, kx]: kz and ky wrap; kx runs from −`margin` to m / 2 + `margin`."""

    def slices(
        self, rotation: Float[Tensor, "b 3 3"], frequency: Float[Tensor, "c 2"]
    ) -> Complex[Tensor, "b c"]:
        """Σ_r V(r) exp(−2πi k·r / n) at k = Aᵀ (kx, ky, 0), `frequency` in cycles per box and |k| ≤ n / 2."""
        points = OVERSAMPLING * torch.einsum("ci,bij->bcj", frequency, rotation[:, :2]).reshape(-1, 3)
        values = torch.cat([self._at(chunk) for chunk in torch.split(points, POINTS_AT_ONCE)])
        return values.reshape(len(rotation), len(frequency))

    def _at(self, point: Float[Tensor, "points 3"]) -> Complex[Tensor, " points"]:
        """Interpolated values at (kx, ky, kz) in grid points."""
        m, columns = len(self.half_grid), self.half_grid.shape[-1]
        conjugated = point[:, 0] < 0
        point = torch.where(conjugated[:, None], -point, point)

        first = point.floor().long() - (KERNEL_WIDTH // 2 - 1)
        neighbour = first[:, :, None] + torch.arange(KERNEL_WIDTH)
        weight = _kernel(point[:, :, None] - neighbour)
        x, y, z = neighbour.unbind(1)
        row = (z % m)[:, :, None] * m + (y % m)[:, None, :]
        index = row[..., None] * columns + (x + KERNEL_WIDTH // 2)[:, None, None, :]
        weight_x, weight_y, weight_z = weight.unbind(1)
        weights = weight_z[:, :, None, None] * weight_y[:, None, :, None] * weight_x[:, None, None, :]

        nearby = torch.view_as_real(self.half_grid.take(index.flatten(1)))
        values = torch.view_as_complex(torch.bmm(weights.flatten(1)[:, None, :], nearby).squeeze(1))
        return torch.where(conjugated, values.conj(), values)


def oversampled_transform(volume: Float[Tensor, "n n n"]) -> OversampledTransform:
    """Transform a volume [z, y, x] of even box n, its origin at n // 2, for slices at any rotation."""
    n = len(volume)
    m, margin = OVERSAMPLING * n, KERNEL_WIDTH // 2
    # Interpolation multiplies the volume by the kernel's own transform: divide by it beforehand.
    correction = 1 / _kernel_transform((torch.arange(n) - n // 2) / m)
    corrected = volume * correction[:, None, None] * correction[:, None] * correction
    padded = torch.zeros(m, m, m)
    padded[:n, :n, :n] = corrected
    half = torch.fft.rfftn(padded.roll((-(n // 2),) * 3, (0, 1, 2)))
    # V is real: columns beyond either end of the half grid are conjugates of those inside, at −ky and −kz.
    mirrored = half.flip((0, 1)).roll((1, 1), (0, 1)).conj()
    before, after = mirrored[..., 1 : margin + 1].flip(-1), mirrored[..., m // 2 - margin : m // 2].flip(-1)
    return OversampledTransform(n, torch.cat((before, half, after), dim=-1))


def _kernel(distance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Kaiser–Bessel kernel at distances in grid points, zero from half its width on."""
    inside = (1 - (2 * distance / KERNEL_WIDTH) ** 2).clamp(min=0)
    # Scaled by exp(−β) to keep float32 far from its limits.
    root = KERNEL_SHAPE * inside.sqrt()
    value: Tensor = torch.special.i0e(root) * (root - KERNEL_SHAPE).exp()
    return value


def _kernel_transform(frequency: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The kernel's Fourier transform, `frequency` in cycles per grid point, well inside its main lobe."""
    root = (KERNEL_SHAPE**2 - (math.pi * KERNEL_WIDTH * frequency.double()) ** 2).sqrt()
    return (root.sinh() / root * (KERNEL_WIDTH * math.exp(-KERNEL_SHAPE))).float()
