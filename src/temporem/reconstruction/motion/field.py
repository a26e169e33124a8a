"""The displacement field of a run, in the frame of its maps: x, y, z in Å from the first voxel's centre."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.model.deformable_generator import DeformableGenerator
from temporem.reconstruction.run import Run

__all__ = ["MotionField", "open_motion"]

_LEAST_SHARE_OF_PEAK = 0.1
"""Of the density: points with less have no motion worth showing."""
_INVERSIONS = 60
_CLOSE_ENOUGH_IN_ANGSTROMS = 1e-3


@dataclass(frozen=True, eq=False)
class MotionField:
    """A point x of the canonical density lies at x + u(x, z) in state z."""

    generator: DeformableGenerator
    points: Float[Tensor, "points 3"]
    """Canonical, where there is density."""
    weight: Float[Tensor, " points"]
    """The density there, in the generator's units, above 0."""

    @property
    def box_in_angstroms(self) -> float:
        """Edge of the maps."""
        return self.generator.box_size * self.generator.config.pixel_size_in_angstroms

    @torch.no_grad()
    def carried(
        self, points: Float[Tensor, "points 3"], z: Float[Tensor, "states latent"]
    ) -> Float[Tensor, "states points 3"]:
        """Where canonical points lie in these states."""
        pixel, half = self.generator.config.pixel_size_in_angstroms, self.generator.box_size // 2
        return points + self.generator.displacements(z, points / pixel - half)

    @torch.no_grad()
    def occupancy(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states points"]:
        """How much of the density at `points` there is in these states, relative to the canonical density."""
        pixel, half = self.generator.config.pixel_size_in_angstroms, self.generator.box_size // 2
        return 1 + self.generator.occupancy_changes(z, self.points / pixel - half)

    def canonical(
        self, points: Float[Tensor, "points 3"], z: Float[Tensor, "latent"]
    ) -> tuple[Float[Tensor, "points 3"], Float[Tensor, " points"]]:
        """Which canonical points lie at `points` in state z, and how far off (Å) each answer still is.

        Fixed-point iteration: it converges where neighbours' displacements differ by less than their
        distance.
        """
        found = points.clone()
        error = torch.full_like(points[:, 0], torch.inf)
        for _ in range(_INVERSIONS):
            missing = points - self.carried(found, z[None])[0]
            error = missing.norm(dim=-1)
            if float(error.max()) < _CLOSE_ENOUGH_IN_ANGSTROMS:
                break
            found = found + missing
        return found, error


def open_motion(run: Run, device: str = "cpu") -> MotionField:
    """The field of a run.

    Raises UserError where the run's generator does not move one density.
    """
    generator = run.generator(device).eval().requires_grad_(False)
    if not isinstance(generator, DeformableGenerator):
        raise UserError(
            f"the volumes of {run.path} are not one density that moves, so it has no displacements: fit the "
            "movies with --generator deformable."
        )
    dense = generator.amplitude > _LEAST_SHARE_OF_PEAK * generator.amplitude.max()
    pixel, half = generator.config.pixel_size_in_angstroms, generator.box_size // 2
    points = (generator.points[dense] + half) * pixel
    return MotionField(generator, points, generator.amplitude[dense])
