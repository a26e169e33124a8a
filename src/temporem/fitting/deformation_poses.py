"""Poses of frames under a deformable generator, refined together with their states.

A frame's log likelihood is expanded around its state and its pose, A ↦ exp([ω]ₓ) A and t ↦ t + δ, as in
`deformation_states` around its state alone (Gauss–Newton). The pose is integrated out of what the frame says
of its state, so that the smoother takes for unknown what an unknown pose leaves open; and the pose is the
likeliest one at the state that the smoother finds.
"""

import math
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.deformation_states import (
    RefinedStates,
    Told,
    expanded,
    in_parts,
    likeliest_relaxation_time,
    normal_equations,
    scaled_slices,
    smoothed,
)
from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.climbing import no_longer_than_longest
from temporem.fitting.poses.found import Poses
from temporem.model.generators import Generator

__all__ = ["ToldOfBoth", "refined_with_poses", "told_of_both"]

_TURN = 0.15
"""Of the finite differences, in radians over the box in pixels: turns what is at the rim by a tenth of a wave
at most."""
LIKELY_TURN, LIKELY_SHIFT = math.radians(3.0), 1.0
"""Standard deviation along each axis of a step's prior; the shift in pixels of a box of 64."""
DAMPING = 0.05
"""Levenberg–Marquardt, relative to the diagonal of the pose's block: for what the expansion leaves out."""


@dataclass(frozen=True)
class ToldOfBoth:
    """What frames say of x = (δz, ω, δ), log p(X | x) ≈ −½ xᵀ H x + bᵀ x, in order of rows, with the prior of
    a step of the pose."""

    matrix: Float[Tensor, "frames unknowns unknowns"]
    """H, with the prior's precision."""
    vector: Float[Tensor, "frames unknowns"]
    """b."""

    def of_states(self, z: Float[Tensor, "frames latent"]) -> Told:
        """What they say of the states where the expansion is around `z` and the pose is integrated out."""
        k = z.shape[-1]
        gain = self._gain(k)
        matrix = self.matrix[:, :k, :k] - gain @ self.matrix[:, k:, :k]
        vector = self.vector[:, :k, None] - gain @ self.vector[:, k:, None]
        return Told(matrix, (vector + matrix @ z[..., None])[..., 0])

    def pose_steps(self, change: Float[Tensor, "frames latent"]) -> Float[Tensor, "frames 5"]:
        """Likeliest (ω, δ), radians and pixels, where the states change by δz."""
        k = change.shape[-1]
        given = self.vector[:, k:, None] - self.matrix[:, k:, :k] @ change[..., None]
        steps: Tensor = torch.cholesky_solve(given, self._factor(k))[..., 0]
        return steps

    def _gain(self, k: int) -> Float[Tensor, "frames latent 5"]:
        return torch.cholesky_solve(self.matrix[:, k:, :k], self._factor(k)).mT

    def _factor(self, k: int) -> Float[Tensor, "frames 5 5"]:
        factor: Tensor = torch.linalg.cholesky(self.matrix[:, k:, k:])
        return factor


@torch.no_grad()
def told_of_both(
    generator: Generator, store: FrameStore, z: Float[Tensor, "frames latent"], radius: int
) -> ToldOfBoth:
    """H and b around the states z and the poses of `store`, by coefficients with |k| ≤ radius."""
    return ToldOfBoth(
        *in_parts(torch.arange(len(store)), lambda rows: _told(generator, store, z, rows, radius))
    )


def refined_with_poses(
    generator: Generator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    radius: int,
    relaxation_time: Float[Tensor, " latent"],
) -> tuple[RefinedStates, Float[Tensor, " latent"], Poses]:
    """A step of states and poses together: the states' posterior, their times of relaxation, searched for
    from those given, and the poses of the rows of `store`, on the processor."""
    both = told_of_both(generator, store, z, radius)
    told = both.of_states(z)
    relaxation_time = likeliest_relaxation_time(told, store, relaxation_time)
    states = smoothed(told, store, relaxation_time)
    step = no_longer_than_longest(both.pose_steps(states.mean - z)).cpu()
    before = store.poses
    rotation = roma.rotvec_to_rotmat(step[:, :3]) @ before.rotation
    return states, relaxation_time, Poses(rotation, before.translation_in_pixels + step[:, 3:])


def _told(
    generator: Generator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    rows: Int[Tensor, " rows"],
    radius: int,
) -> tuple[Float[Tensor, "rows unknowns unknowns"], Float[Tensor, "rows unknowns"]]:
    expansion = expanded(generator, store, z, rows, radius)
    frames, expected, lattice = expansion.frames, expansion.expected, store.lattice
    angle = _TURN / lattice.box_size
    turns = roma.rotvec_to_rotmat(torch.eye(3).to(frames.rotation) * angle)
    here = z[rows.to(z.device)]
    of_turn = [
        (scaled_slices(generator, here, turn @ frames.rotation, frames, lattice) - expected) / angle
        for turn in turns
    ]
    # The frames are centred: a shift multiplies what is expected of them.
    frequency = lattice.frequency[: expected.shape[-1]]
    of_shift = expected[..., None] * frequency * (-2j * math.pi / lattice.box_size)
    slopes = (*expansion.slopes, *of_turn, *of_shift.unbind(-1))
    matrix, vector = normal_equations(slopes, expansion.residual)
    shift = LIKELY_SHIFT * lattice.box_size / 64
    prior = matrix.new_tensor([0.0] * z.shape[-1] + [LIKELY_TURN**-2] * 3 + [shift**-2] * 2)
    damped = (prior > 0) * DAMPING * matrix.diagonal(dim1=-2, dim2=-1)
    return matrix + torch.diag_embed(damped + prior), vector
