"""Poses of frames as the search moves them about."""

from collections.abc import Sequence
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["PosePrior", "Poses"]


@dataclass(frozen=True, eq=False)
class Poses:
    """A point p of the molecule lands at A·p + t."""

    rotation: Float[Tensor, "frames 3 3"]
    translation_in_pixels: Float[Tensor, "frames 2"]
    """t, in pixels of the prepared box."""

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, rows: Int[Tensor, " rows"]) -> "Poses":
        return Poses(self.rotation[rows], self.translation_in_pixels[rows])

    @staticmethod
    def cat(parts: "Sequence[Poses]") -> "Poses":
        """One after another."""
        return Poses(
            torch.cat([part.rotation for part in parts]),
            torch.cat([part.translation_in_pixels for part in parts]),
        )

    def with_rows(self, rows: Int[Tensor, " rows"], other: "Poses") -> "Poses":
        """These poses, but those of `rows` from `other`."""
        rotation, translation = self.rotation.clone(), self.translation_in_pixels.clone()
        rotation[rows], translation[rows] = other.rotation, other.translation_in_pixels
        return Poses(rotation, translation)


@dataclass(frozen=True, eq=False)
class PosePrior:
    """A Gaussian around each frame's pose: −½ p |log(A A₀ᵀ)|² − ½ q |t − t₀|² in its log density."""

    centre: Poses
    rotation_precision: Float[Tensor, " frames"]
    """p, radians⁻² along each axis."""
    translation_precision: Float[Tensor, " frames"]
    """q, pixels⁻² along each axis."""

    def __getitem__(self, rows: Int[Tensor, " rows"]) -> "PosePrior":
        return PosePrior(self.centre[rows], self.rotation_precision[rows], self.translation_precision[rows])

    def around(self, poses: Poses) -> tuple[Float[Tensor, " frames"], Float[Tensor, "frames 5"]]:
        """Log density at `poses`, and its gradient by (ω, t), A ↦ exp([ω]ₓ) A."""
        turn = roma.rotmat_to_rotvec(poses.rotation @ self.centre.rotation.mT)
        shift = poses.translation_in_pixels - self.centre.translation_in_pixels
        precision = self.diagonal()
        off = torch.cat((turn, shift), dim=-1)
        return -0.5 * (precision * off**2).sum(-1), -precision * off

    def diagonal(self) -> Float[Tensor, "frames 5"]:
        """The precision of (ω, t)."""
        turn, shift = self.rotation_precision[:, None], self.translation_precision[:, None]
        return torch.cat((turn.expand(-1, 3), shift.expand(-1, 2)), dim=-1)
