"""Ascent of a frame's likelihood in its pose: Gauss–Newton on the rotation's tangent space and the shift.

log p(X | A, t) = −½ Σ_k m_k |X_k − T_k exp(−2πi k·t / n) V̂(Aᵀ k)|², X and T over the noise's standard
deviation, m the multiplicity of the half-disc. With A ↦ exp([ω]ₓ) A the slice changes by
ω · (A ∇V̂ × k), and ∇V̂ is the transform of −2πi r V / n: four volumes are cut at a pose.
"""

import math
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.found import PosePrior, Poses
from temporem.physics.lattice import HalfDisc
from temporem.physics.shifts import phase_shift
from temporem.physics.volume_families import family_grid, family_slices
from temporem.physics.volumes import PADDING

__all__ = ["Climbed", "SlopedVolume", "climb", "no_longer_than_longest"]

FRAMES_AT_ONCE = 128
FIRST_DAMPING, LESS_DAMPING, MORE_DAMPING = 0.01, 0.3, 5.0
"""Levenberg–Marquardt: relative to the diagonal, and by how much it changes with each step that goes up or
not."""
LONGEST_TURN, LONGEST_SHIFT = math.radians(8.0), 2.0
"""Of one step; the shift in pixels."""
SHIFT_PRIOR = 1e-6
"""Precision in pixels⁻²: only so that frames that say nothing have a step at all."""


@dataclass(frozen=True, eq=False)
class Climbed:
    """Where the ascent of each hypothesis ended."""

    poses: Poses
    log_density: Float[Tensor, " hypotheses"]
    """Log likelihood of the frame at its pose, less that of the frame with no particle in it; with a prior,
    its log density is added."""
    precision: Float[Tensor, "hypotheses 5 5"]
    """Of ω (radians) and t (pixels) around it: the Gauss–Newton matrix."""


class SlopedVolume:
    """A volume and its gradient in Fourier space, ready to be cut."""

    def __init__(self, volume: Float[Tensor, "n n n"]) -> None:
        self.box_size = n = volume.shape[-1]
        axis = (torch.arange(n, device=volume.device) - n // 2).to(volume)
        moments = (volume, volume * axis, volume * axis[:, None], volume * axis[:, None, None])
        self.grid = family_grid(torch.stack(moments), PADDING)

    def slices(
        self, rotation: Float[Tensor, "frames 3 3"], frequency: Float[Tensor, "coefficients 2"]
    ) -> tuple[Complex[Tensor, "frames coefficients"], Complex[Tensor, "frames coefficients 3"]]:
        """Central slices, and their derivatives by ω."""
        parts = family_slices(self.grid, rotation, frequency, self.box_size, PADDING)
        # Row vectors times Aᵀ: the gradient in the image's frame.
        gradient = (parts[..., 1:] @ rotation.mT.to(parts)) * (-2j * math.pi / self.box_size)
        kx, ky = frequency.unbind(-1)
        gx, gy, gz = gradient.unbind(-1)
        return parts[..., 0], torch.stack((-gz * ky, gz * kx, gx * ky - gy * kx), dim=-1)


def climb(
    volume: SlopedVolume,
    store: FrameStore,
    rows: Int[Tensor, " hypotheses"],
    poses: Poses,
    count: int,
    steps: int,
    prior: PosePrior | None = None,
) -> Climbed:
    """Climb from each hypothesis, the frame `rows[i]` at `poses[i]`, by the leading `count` coefficients.

    The translations are the whole shifts of `store`'s images as they are without its own poses; the volume
    may be that of a smaller box with the same field of view. With a `prior`, one for each hypothesis, it is
    the posterior density that is climbed. A step that does not go up is not taken.
    """
    parts = []
    for some in torch.split(torch.arange(len(rows)), FRAMES_AT_ONCE):
        of_some = None if prior is None else prior[some]
        parts.append(_climb_some(volume, store, rows[some], poses[some], count, steps, of_some))
    return Climbed(
        Poses.cat([part.poses for part in parts]),
        torch.cat([part.log_density for part in parts]),
        torch.cat([part.precision for part in parts]),
    )


def _climb_some(
    volume: SlopedVolume,
    store: FrameStore,
    rows: Int[Tensor, " hypotheses"],
    poses: Poses,
    count: int,
    steps: int,
    prior: PosePrior | None,
) -> Climbed:
    frames = store.frames(rows, count)
    lattice, weight = store.lattice, store.lattice.multiplicity[:count]
    seen, transfer = frames.coefficients, frames.transfer
    rotation, shift = (x.to(seen.device) for x in (poses.rotation, poses.translation_in_pixels))

    def around(here: Poses) -> tuple[Tensor, Tensor, Tensor]:
        turned, moved = here.rotation, here.translation_in_pixels
        value, matrix, vector = _around(volume, seen, transfer, turned, moved, lattice, weight)
        if prior is None:
            return value, matrix, vector
        density, slope = prior.around(here)
        return value + density, matrix + torch.diag_embed(prior.diagonal()), vector + slope

    best, matrix, vector = around(Poses(rotation, shift))
    damping = torch.full_like(best, FIRST_DAMPING)
    for _ in range(steps):
        step = _damped_step(matrix, vector, damping)
        turned = roma.rotvec_to_rotmat(step[:, :3]) @ rotation
        moved = shift + step[:, 3:]
        value, its_matrix, its_vector = around(Poses(turned, moved))
        up = value > best
        damping = torch.where(up, damping * LESS_DAMPING, damping * MORE_DAMPING)
        best = torch.where(up, value, best)
        rotation = torch.where(up[:, None, None], turned, rotation)
        shift = torch.where(up[:, None], moved, shift)
        matrix = torch.where(up[:, None, None], its_matrix, matrix)
        vector = torch.where(up[:, None], its_vector, vector)
    return Climbed(Poses(rotation, shift), best, matrix)


def _around(
    volume: SlopedVolume,
    seen: Complex[Tensor, "frames coefficients"],
    transfer: Float[Tensor, "frames coefficients"],
    rotation: Float[Tensor, "frames 3 3"],
    shift: Float[Tensor, "frames 2"],
    lattice: HalfDisc,
    weight: Float[Tensor, " coefficients"],
) -> tuple[Float[Tensor, " frames"], Float[Tensor, "frames 5 5"], Float[Tensor, "frames 5"]]:
    """The log likelihood at a pose, the Gauss–Newton matrix, and the gradient, by (ω, t)."""
    frequency = lattice.frequency[: len(weight)]
    value, slope = volume.slices(rotation, frequency)
    filtered = (transfer * weight.sqrt())[..., None]
    model = value[..., None] * filtered
    along = model * (-2j * math.pi / lattice.box_size) * frequency
    design = torch.view_as_real(torch.cat((slope * filtered, along), dim=-1)).transpose(2, 3).flatten(1, 2)
    centred = seen * phase_shift(frequency, -shift, lattice.box_size) * weight.sqrt()
    data, model = torch.view_as_real(centred).flatten(1), torch.view_as_real(model[..., 0]).flatten(1)
    likelihood = (model * (data - 0.5 * model)).sum(-1)
    vector = (design.mT @ (data - model)[..., None])[..., 0]
    return likelihood, design.mT @ design, vector


def _damped_step(
    matrix: Float[Tensor, "frames 5 5"], vector: Float[Tensor, "frames 5"], damping: Float[Tensor, " frames"]
) -> Float[Tensor, "frames 5"]:
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    scale = (diagonal + SHIFT_PRIOR).rsqrt()
    # Scaled to a unit diagonal, so that one damping serves radians and pixels.
    scaled = scale[:, :, None] * matrix * scale[:, None, :]
    scaled = scaled + (damping[:, None] + 1e-4)[..., None] * torch.eye(5).to(matrix)
    step = torch.cholesky_solve((scale * vector)[..., None], torch.linalg.cholesky(scaled))[..., 0] * scale
    return no_longer_than_longest(step)


def no_longer_than_longest(step: Float[Tensor, "frames 5"]) -> Float[Tensor, "frames 5"]:
    """Steps (ω, t), radians and pixels, shortened to LONGEST_TURN and LONGEST_SHIFT where they are longer."""
    turn, shift = step[:, :3], step[:, 3:]
    too_long = torch.maximum(turn.norm(dim=-1) / LONGEST_TURN, shift.norm(dim=-1) / LONGEST_SHIFT)
    return step / too_long.clamp(min=1)[:, None]
