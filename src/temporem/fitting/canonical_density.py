"""The canonical density as unknowns: amplitudes on a lattice, whitened so that any step is a good one.

With the motion known, the density is linear in the data: least squares with a Gaussian prior. In Fourier
space its normal equations are nearly diagonal, D + 1 / τ² in each shell, as they are in back-projection; the
unknowns are the density filtered by their square root, in which gradient descent is nearly Newton's method.
"""

import math
from collections.abc import Callable

import scipy.fft
import torch
from jaxtyping import Float
from torch import Tensor, nn

from temporem.fitting.frames import FrameStore
from temporem.model.deformable_generator import DeformableGenerator
from temporem.physics.volumes import fourier_resize, grid_radius

__all__ = ["CanonicalDensity", "information_in_shells", "lattice_edge", "solve_density"]

OCCUPIED = 0.25
"""Part of its support that a density's power lies in: as much power in less room is a weaker prior of each
coefficient."""
_ROWS_AT_ONCE = 128
_ROOM = 1.1
"""Of a lattice's Nyquist over the radius that it serves."""
RELATIVE_WIDTH = 0.5
"""Standard deviation of a point's Gaussian, in lattice spacings."""


def information_in_shells(store: FrameStore) -> Float[Tensor, " shells"]:
    """D: how much all frames tell of one Fourier coefficient of a volume, in each shell from 0 on."""
    lattice = store.lattice
    total = torch.zeros(lattice.radius + 1, dtype=torch.float64, device=store.device)
    for rows in torch.split(store.processes.share(torch.arange(len(store))), _ROWS_AT_ONCE):
        told = (store.frames(rows).transfer.square() * lattice.multiplicity).sum(0)
        total.index_add_(0, lattice.shell, told.double())
    total = store.processes.summed(total)
    shell = grid_radius(lattice.box_size).round().long()
    # The half grid holds one of each pair ±k, but for the planes kx = 0 and kx = n / 2.
    count = torch.full(shell.shape, 2.0, dtype=torch.float64)
    count[..., 0] = count[..., -1] = 1
    points = torch.bincount(shell.flatten(), count.flatten())[: len(total)]
    return (total / points.to(store.device)).float()


def lattice_edge(n: int, radius: int) -> int:
    """Of the lattice in a box of n voxels, in points: leaves the radius some room below its Nyquist, and is
    quick to transform."""
    least = math.ceil(_ROOM * radius)
    return min(n, 2 * int(scipy.fft.next_fast_len(least, real=True)))


class CanonicalDensity:
    """Gaussians on the points of a cubic lattice within a support, below a Fourier radius."""

    def __init__(
        self,
        support: Float[Tensor, "n n n"],
        edge: int,
        radius: int,
        information: Float[Tensor, " shells"],
        signal_power: Float[Tensor, " shells"],
    ) -> None:
        """`support` weighs the points, 0 where there are none; `edge` is the lattice's, even, in points;
        `radius` is in cycles per box, below edge / 2; `signal_power` is E|V̂|² of the volume, as of
        `backprojection.signal_power`."""
        n = self.box_size = support.shape[-1]
        m = self.edge = edge
        spacing = self.spacing_in_pixels = n / m
        device = support.device
        kept = _at_lattice_points(support, m)
        index = kept.nonzero()
        self.points: Float[Tensor, "points 3"] = (index.flip(-1).float() - m // 2) * spacing
        self.width_in_pixels = RELATIVE_WIDTH * spacing
        self._place = (index[:, 0] * m + index[:, 1]) * m + index[:, 2]
        self._weight = kept.flatten()[self._place]
        k = grid_radius(m).to(device)
        shell = k.round().long().clamp(max=len(information) - 1)
        support_of_power = OCCUPIED * float((kept > 0).float().mean())
        precision = support_of_power / signal_power.to(device)[shell]
        total = information[shell] + precision
        envelope = torch.exp(-2 * (math.pi * self.width_in_pixels * k / n) ** 2)
        self._inside = (k <= radius) & (k < m / 2)
        scale = n / (m**1.5 * envelope * total.sqrt())
        self._filter = torch.where(self._inside, scale, 0)
        self._envelope = envelope
        self._prior = precision / total

    def start(self, volume: Float[Tensor, "n n n"]) -> Float[Tensor, "m m m"]:
        """The unknowns of a volume."""
        transform = torch.fft.rfftn(torch.fft.ifftshift(fourier_resize(volume, self.edge)))
        # Resizing keeps V̂, of which a point's amplitude in pixels of the full box is n times as much.
        masses = transform * (self.box_size / self.edge)
        whitened = torch.where(self._inside, masses / (self._envelope * self._filter.clamp(min=1e-30)), 0)
        unknowns: Tensor = torch.fft.fftshift(torch.fft.irfftn(whitened, s=(self.edge,) * 3))
        return unknowns

    def amplitude(self, unknowns: Float[Tensor, "m m m"]) -> Float[Tensor, " points"]:
        """Of each point's Gaussian, its sum over the voxels."""
        return self._filtered(unknowns, self._filter).flatten()[self._place] * self._weight

    def prior_energy(self, unknowns: Float[Tensor, "m m m"]) -> Float[Tensor, ""]:
        """½ |V̂|² / τ², in nats."""
        return 0.5 * (unknowns * self._filtered(unknowns, self._prior)).sum()

    def _filtered(self, unknowns: Tensor, factor: Tensor) -> Tensor:
        filtered: Tensor = torch.fft.irfftn(torch.fft.rfftn(unknowns) * factor, s=unknowns.shape)
        return filtered


def _at_lattice_points(support: Float[Tensor, "n n n"], edge: int) -> Float[Tensor, "m m m"]:
    n = support.shape[-1]
    if edge == n:
        return support
    # grid_sample puts −1 and 1 at the centres of the first and the last voxel.
    place = ((torch.arange(edge, device=support.device) - edge // 2) * n / edge + n // 2) * 2 / (n - 1) - 1
    z, y, x = torch.meshgrid(place, place, place, indexing="ij")
    grid = torch.stack((x, y, z), dim=-1)[None]
    return nn.functional.grid_sample(support[None, None], grid, align_corners=True)[0, 0]


def solve_density(
    store: FrameStore,
    generator: DeformableGenerator,
    density: CanonicalDensity,
    unknowns: Float[Tensor, "m m m"],
    z: Float[Tensor, "frames latent"],
    steps: int,
    advance: Callable[[int, str], None],
) -> None:
    """Set the generator's amplitudes: least squares by conjugate gradients from `unknowns`, the motion held.

    A step is a pass over the frames.
    """

    mine = store.processes.share(torch.arange(len(store)))

    def gradient(at: Tensor, of_data: bool) -> Tensor:
        """Of the whole energy, or of its quadratic part alone."""
        at = at.detach().requires_grad_()
        total = torch.autograd.grad(density.prior_energy(at), at)[0] / store.processes.count
        for rows in torch.split(mine, _ROWS_AT_ONCE):
            frames = store.frames(rows)
            generator.amplitude = density.amplitude(at)
            slices = generator.slices(z[rows.to(z.device)], frames.rotation, store.lattice.frequency)
            expected = frames.transfer * slices
            residual = frames.coefficients - expected if of_data else expected
            energy = 0.5 * (residual.abs().square() * store.lattice.multiplicity).sum()
            total = total + torch.autograd.grad(energy, at)[0]
        advance(1, "density")
        return store.processes.summed(total)

    generator.requires_grad_(False)
    generator.place(density.points, density.width_in_pixels)
    unknowns = unknowns.detach()
    residual = -gradient(unknowns, True)
    direction, power = residual, residual.square().sum()
    for _ in range(steps):
        product = gradient(direction, False)
        length = power / (direction * product).sum()
        unknowns = unknowns + length * direction
        residual = residual - length * product
        before, power = power, residual.square().sum()
        direction = residual + power / before * direction
    generator.requires_grad_(True)
    generator.amplitude = density.amplitude(unknowns).detach()
