"""A canonical density that moves: every volume is made of the same density, carried along."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.model.fields import DeformationField, OccupancyField
from temporem.model.generators import Generator
from temporem.physics.points import point_slices, point_volume

__all__ = ["DeformableGenerator", "DeformableGeneratorConfig"]

STEP_IN_ANGSTROMS = 0.5
"""Of the differences that the volume change is found from; the field varies over tens of them."""


@dataclass(frozen=True)
class DeformableGeneratorConfig:
    """What a `DeformableGenerator` is built from."""

    box_size: int
    latent_dim: int
    pixel_size_in_angstroms: float
    points: int = 0
    """Gaussians that make up the canonical density."""
    modes: int = 12
    """Shapes of motion in the deformation field."""
    occupancy_modes: int = 4
    """Shapes in which density appears and vanishes."""
    width: int = 64
    """Units of the fields' hidden layers."""


class DeformableGenerator(Generator):
    """V(z) = Σ_j a_j (1 + ω(x_j, z)) g(r − x_j − u(x_j, z)): Gaussians g at points x_j, displaced by u.

    A Gaussian's mass a_j goes with it, and mass is conserved but for ω, what appears and vanishes. Latents
    are of order one.
    """

    points: Tensor
    amplitude: Tensor
    width_in_pixels: Tensor

    def __init__(self, config: DeformableGeneratorConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.box_size, self.latent_dim = config.box_size, config.latent_dim
        self.field = DeformationField(config.latent_dim, config.modes, config.width, generator)
        self.occupancy_field = OccupancyField(
            config.latent_dim, config.occupancy_modes, config.width, generator
        )
        self.register_buffer("points", torch.zeros(config.points, 3))
        self.register_buffer("amplitude", torch.zeros(config.points))
        self.register_buffer("width_in_pixels", torch.tensor(0.5))

    def place(self, points: Float[Tensor, "points 3"], width_in_pixels: float) -> None:
        """Make the canonical density of Gaussians of this standard deviation at points (x, y, z), in pixels
        from the box's centre; of amplitude 0 until `amplitude` is set."""
        self.config = replace(self.config, points=len(points))
        self.points, self.amplitude = points, points.new_zeros(len(points))
        self.width_in_pixels.fill_(width_in_pixels)

    def displacements(
        self, z: Float[Tensor, "states latent"], points: Float[Tensor, "points 3"] | None = None
    ) -> Float[Tensor, "states points 3"]:
        """u in Å at canonical points (x, y, z) in pixels from the box's centre; the density's if None."""
        where = self._in_angstroms(points)
        displaced: Tensor = self.field(where, z)
        return displaced

    def positions(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states points 3"]:
        """Where the Gaussians are, in pixels from the box's centre."""
        return self.points + self.displacements(z) / self.config.pixel_size_in_angstroms

    def occupancy_changes(
        self, z: Float[Tensor, "states latent"], points: Float[Tensor, "points 3"] | None = None
    ) -> Float[Tensor, "states points"]:
        """ω at points, as in `displacements`."""
        where = self._in_angstroms(points)
        changes: Tensor = self.occupancy_field(where, z)
        return changes

    def amplitudes(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states points"]:
        """Of the Gaussians in these states, as one product."""
        field = self.occupancy_field
        amounts, shapes = field.amounts(z), field.shapes(self._in_angstroms())[:, 0]
        one = torch.ones_like(shapes[:, :1])
        in_all = torch.cat((amounts, torch.ones_like(amounts[:, :1])), -1)
        return in_all @ (torch.cat((shapes, one), -1) * self.amplitude[:, None]).mT

    def volume_changes(
        self, z: Float[Tensor, "states latent"], points: Float[Tensor, "points 3"] | None = None
    ) -> Float[Tensor, "states points"]:
        """det(I + ∂u/∂x) at points, as in `displacements`: 1 where volume is kept, ≤ 0 where u folds."""
        where = self._in_angstroms(points)
        amounts = self.field.amounts(z)
        columns = []
        # Differences and not dual numbers, whose first use alone takes longer than all of these.
        for axis in torch.eye(3).to(where) * STEP_IN_ANGSTROMS:
            slope = (self.field.shapes(where + axis) - self.field.shapes(where - axis)) / (
                2 * STEP_IN_ANGSTROMS
            )
            columns.append(torch.einsum("pdb,sb->spd", slope, amounts))
        jacobian = torch.eye(3).to(where) + torch.stack(columns, dim=-1)
        first, second, third = jacobian.unbind(-2)
        change: Tensor = (first * torch.linalg.cross(second, third)).sum(-1)
        return change

    def slices(
        self,
        z: Float[Tensor, "frames latent"],
        rotation: Float[Tensor, "frames 3 3"],
        frequency: Float[Tensor, "coefficients 2"],
    ) -> Complex[Tensor, "frames coefficients"]:
        """Central slices at whole frequencies; see `Generator.slices`."""
        across = self._across(z, rotation[:, :2])
        return point_slices(across, self.amplitudes(z), frequency, self.box_size) * self._envelope(frequency)

    @torch.no_grad()
    def volumes(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states n n n"]:
        """Volumes [z, y, x]; see `Generator.volumes`."""
        moved = [
            point_volume(position, amplitude, self.box_size, float(self.width_in_pixels))
            for position, amplitude in zip(self.positions(z), self.amplitudes(z), strict=True)
        ]
        return torch.stack(moved)

    def describe(self) -> dict[str, Any]:
        """See `Generator.describe`."""
        return {"kind": "deformable", "config": asdict(self.config)}

    @classmethod
    def from_description(
        cls, description: dict[str, Any], build: Callable[[dict[str, Any]], Generator]
    ) -> "DeformableGenerator":
        """See `Generator.from_description`."""
        return cls(DeformableGeneratorConfig(**description["config"]), torch.Generator().manual_seed(0))

    def _in_angstroms(self, points: Float[Tensor, "points 3"] | None = None) -> Float[Tensor, "points 3"]:
        return (self.points if points is None else points) * self.config.pixel_size_in_angstroms

    def _across(
        self, z: Float[Tensor, "frames latent"], rows: Float[Tensor, "frames 2 3"]
    ) -> Float[Tensor, "frames 2 points"]:
        """R (x + u(x, z)) in the image, as one product: of no frame are positions in space kept."""
        shapes = self.field.shapes(self._in_angstroms())
        amounts = self.field.amounts(z) / self.config.pixel_size_in_angstroms
        moving = torch.einsum("fid,fb->fidb", rows, amounts).flatten(2)
        across: Tensor = torch.cat((moving, rows), -1) @ torch.cat((shapes.flatten(1), self.points), -1).mT
        return across

    def _envelope(self, frequency: Float[Tensor, "coefficients 2"]) -> Float[Tensor, " coefficients"]:
        squared = frequency.square().sum(-1) * (float(self.width_in_pixels) / self.box_size) ** 2
        return torch.exp(-2 * math.pi**2 * squared)
