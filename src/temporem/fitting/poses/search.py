"""Every frame against every rotation of a grid and every shift of another, as products of matrices.

log p(X | A, t) = Σ_k m_k [Re (T X)_k exp(2πi k·t / n) S̄_k − ½ T_k² |S_k|²], less that of a frame with no
particle: the first term is a product of shifted frames and slices S of the volume, the second of squared
transfers and squared slices. The same products, the other way round, back-project frames at all poses with
their probabilities as weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.found import Poses
from temporem.physics.lattice import HalfDisc
from temporem.physics.shifts import phase_shift
from temporem.physics.volume_families import family_grid, family_slices
from temporem.physics.volumes import PADDING

__all__ = [
    "Candidates",
    "SeenFrames",
    "log_likelihoods",
    "search_poses",
    "see",
    "shift_grid",
    "slices_of",
]


@dataclass(frozen=True, eq=False)
class SeenFrames:
    """Frames as the products take them: real and imaginary parts side by side."""

    shifted: Float[Tensor, "frames shifts twice"]
    """T X exp(2πi k·t / n), by shift."""
    squared_transfer: Float[Tensor, "frames coefficients"]
    """T²."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The likeliest poses of each frame on a grid, the best first."""

    rotation: Float[Tensor, "frames candidates 3 3"]
    translation_in_pixels: Float[Tensor, "frames candidates 2"]
    """The best shift at each rotation."""
    log_likelihood: Float[Tensor, "frames candidates"]
    """Of each rotation, averaged over the shifts."""
    evidence: Float[Tensor, " frames"]
    """Log likelihood averaged over the whole grid."""

    def poses(self, chosen: Int[Tensor, " frames"]) -> Poses:
        """One candidate of each frame."""
        rows = torch.arange(len(chosen))
        return Poses(self.rotation[rows, chosen], self.translation_in_pixels[rows, chosen])


FRAMES_AT_ONCE = 32


def search_poses(
    store: FrameStore,
    volume: Float[Tensor, "n n n"],
    rows: Int[Tensor, " frames"],
    rotation: Float[Tensor, "rotations 3 3"],
    shifts: Float[Tensor, "shifts 2"],
    radius: int,
    most: int,
    advance: Callable[[int, str], None],
) -> Candidates:
    """The `most` likeliest rotations of each frame by its frequencies up to `radius`."""
    count = store.lattice.count_within(radius)
    slices = slices_of(volume, rotation, store.lattice, count)
    found: list[tuple[Tensor, ...]] = []
    for some in torch.split(rows, FRAMES_AT_ONCE):
        likelihood = log_likelihoods(see(store, some, shifts, count), slices, store.lattice)
        best_shift = likelihood.argmax(1)
        of_rotation = likelihood.logsumexp(1) - math.log(len(shifts))
        top = of_rotation.topk(most, dim=-1)
        evidence = of_rotation.logsumexp(-1) - math.log(len(rotation))
        found.append((rotation[top.indices], shifts[best_shift.gather(1, top.indices)], top.values, evidence))
        advance(len(some), "")
    return Candidates(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def shift_grid(spacing_in_pixels: float, radius_in_pixels: float) -> Float[Tensor, "shifts 2"]:
    """Shifts on a square lattice within a circle."""
    reach = int(radius_in_pixels / spacing_in_pixels)
    axis = torch.arange(-reach, reach + 1) * spacing_in_pixels
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    shifts = torch.stack((x, y), dim=-1).reshape(-1, 2)
    return shifts[shifts.norm(dim=-1) <= radius_in_pixels + 1e-6]


def see(
    store: FrameStore, rows: Int[Tensor, " frames"], shifts: Float[Tensor, "shifts 2"], count: int
) -> SeenFrames:
    """Frames by their leading `count` coefficients at every shift."""
    frames = store.frames(rows, count)
    back = phase_shift(store.lattice.frequency[:count], -shifts.to(store.device), store.lattice.box_size)
    filtered = frames.transfer * frames.coefficients
    shifted = torch.view_as_real(filtered[:, None] * back).flatten(2)
    return SeenFrames(shifted, frames.transfer**2)


def slices_of(
    volume: Float[Tensor, "n n n"], rotation: Float[Tensor, "rotations 3 3"], lattice: HalfDisc, count: int
) -> Float[Tensor, "rotations twice"]:
    """Central slices, real and imaginary parts side by side."""
    grid = family_grid(volume[None], PADDING)
    parts = [
        torch.view_as_real(
            family_slices(grid, some, lattice.frequency[:count], volume.shape[-1], PADDING)[..., 0]
        ).flatten(1)
        for some in torch.split(rotation.to(volume), 1024)
    ]
    return torch.cat(parts)


def log_likelihoods(
    seen: SeenFrames, slices: Float[Tensor, "rotations twice"], lattice: HalfDisc
) -> Float[Tensor, "frames shifts rotations"]:
    """Of every frame at every shift and rotation, relative to that of an empty frame."""
    count = seen.squared_transfer.shape[-1]
    weight = lattice.multiplicity[:count]
    power = slices.reshape(-1, count, 2).square().sum(-1) * weight
    norm = seen.squared_transfer @ power.T
    cross = seen.shifted @ (slices * weight.repeat_interleave(2)).T
    return cross.sub_(0.5 * norm[:, None])
