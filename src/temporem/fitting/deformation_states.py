"""States of frames under a deformable generator: the exact smoother on its linearisation.

A frame's log likelihood is expanded around its state, log p(X | z) ≈ −½ zᵀ H z + bᵀ z, with H = JᵀJ and J the
whitened slice's slope (Gauss–Newton); then a movie's posterior under the Ornstein–Uhlenbeck prior is that of
`model.smoothing`: a step of the iterated Kalman smoother (Bell 1994, SIAM J. Optim. 4, 626).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.model.generators import Generator
from temporem.model.smoothing import smooth

__all__ = ["RefinedStates", "lag_relaxation_time", "radius_at", "refine_states"]

_ROWS_AT_ONCE = 64
_STEP = 0.05
"""Of the finite differences, in prior standard deviations."""
_LONGEST_REMEMBERED = 0.99
"""Correlation of neighbouring frames beyond which no time scale can be told."""
_SHORTEST_REMEMBERED = 0.05
_MOVIES_AT_ONCE = 256


@dataclass(frozen=True)
class RefinedStates:
    """Posterior of all frames' states, in order of rows."""

    mean: Float[Tensor, "frames latent"]
    covariance: Float[Tensor, "frames latent latent"]


def radius_at(store: FrameStore, resolution_in_angstroms: float) -> int:
    """Fourier radius of a resolution, in cycles per box; Nyquist's for 0."""
    nyquist = store.lattice.radius
    if not resolution_in_angstroms:
        return nyquist
    edge = store.lattice.box_size * store.pixel_size_in_angstroms
    return max(2, min(nyquist, round(edge / resolution_in_angstroms)))


@torch.no_grad()
def refine_states(
    generator: Generator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    relaxation_time: Float[Tensor, " latent"],
    radius: int,
) -> RefinedStates:
    """One step from the states z, by coefficients with |k| ≤ radius; a state's prior is N(0, I)."""
    rows_of_parts = torch.split(torch.arange(len(store)), _ROWS_AT_ONCE)
    told = [_told(generator, store, z, rows, radius) for rows in rows_of_parts]
    matrix, vector = (torch.cat(parts) for parts in zip(*told, strict=True))
    mean, covariance = torch.empty_like(z), z.new_empty(*z.shape, z.shape[-1])
    for movies in torch.split(torch.arange(len(store.movie_rows)), _MOVIES_AT_ONCE):
        batch = store.movies(movies)
        rows = batch.rows.to(z.device)
        states = smooth(
            batch.pad(matrix[rows]), batch.pad(vector[rows]), batch.interval, relaxation_time, batch.mask
        )
        mean[rows], covariance[rows] = states.mean[batch.mask], states.covariance[batch.mask]
    return RefinedStates(mean, covariance)


def _told(
    generator: Generator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    rows: Int[Tensor, " rows"],
    radius: int,
) -> tuple[Float[Tensor, "rows latent latent"], Float[Tensor, "rows latent"]]:
    lattice = store.lattice
    count = lattice.count_within(radius)
    frames = store.frames(rows, count)
    weight = lattice.multiplicity[:count].sqrt()
    here = z[rows.to(z.device)]

    def whitened(states: Tensor) -> Tensor:
        slices = generator.slices(states, frames.rotation, lattice.frequency[:count])
        return torch.view_as_real(slices * frames.transfer * weight).flatten(1)

    expected = whitened(here)
    residual = torch.view_as_real(frames.coefficients * weight).flatten(1) - expected
    steps = torch.eye(z.shape[-1], device=z.device) * _STEP
    slope = torch.stack([(whitened(here + step) - expected) / _STEP for step in steps], dim=1)
    matrix = slope @ slope.mT
    vector = slope @ residual[..., None] + matrix @ here[..., None]
    return matrix, vector[..., 0]


def lag_relaxation_time(z: Float[Tensor, "frames latent"], store: FrameStore) -> Float[Tensor, " latent"]:
    """τ in usual frame intervals, from the correlation of states one usual interval apart, exp(−1/τ)."""
    before, after = [], []
    for movies in torch.split(torch.arange(len(store.movie_rows)), _MOVIES_AT_ONCE):
        batch = store.movies(movies)
        states = batch.pad(z[batch.rows.to(z.device)])
        usual = (batch.interval[:, 1:] - 1).abs() < 0.5
        usual &= batch.mask[:, 1:]
        before.append(states[:, :-1][usual])
        after.append(states[:, 1:][usual])
    first, second = torch.cat(before), torch.cat(after)
    if not len(first):
        return z.new_ones(z.shape[-1])
    correlation = (first * second).mean(0) / (first.square().mean(0) * second.square().mean(0)).sqrt().clamp(
        min=1e-6
    )
    return -1 / correlation.clamp(_SHORTEST_REMEMBERED, _LONGEST_REMEMBERED).log()
