"""States of frames under a deformable generator: the exact smoother on its linearisation.

A frame's log likelihood is expanded around its state, log p(X | z) ≈ −½ zᵀ H z + bᵀ z, with H = JᵀJ and J the
whitened slice's slope (Gauss–Newton); then a movie's posterior under the Ornstein–Uhlenbeck prior is that of
`model.smoothing`: a step of the iterated Kalman smoother (Bell 1994, SIAM J. Optim. 4, 626).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Complex, Float, Int
from scipy.optimize import minimize
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.generators import Generator
from temporem.model.smoothing import evidence, smooth
from temporem.physics.lattice import HalfDisc

__all__ = [
    "Expansion",
    "RefinedStates",
    "Told",
    "expanded",
    "in_parts",
    "likeliest_relaxation_time",
    "misfits",
    "normal_equations",
    "radius_at",
    "scaled_slices",
    "smoothed",
    "told_of_states",
]

_ROWS_AT_ONCE = 64
_STEP = 0.05
"""Of the finite differences, in prior standard deviations."""
_SHORTEST_TIME, _LONGEST_TIME = 1 / 3, 100.0
"""In usual frame intervals: beyond, neighbouring frames have a correlation of 0.05 or 0.99, and no time scale
can be told."""
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


@dataclass(frozen=True)
class Told:
    """What frames say of their states, log p(X | z) ≈ −½ zᵀ H z + bᵀ z, in order of rows."""

    matrix: Float[Tensor, "frames latent latent"]
    vector: Float[Tensor, "frames latent"]


@torch.no_grad()
def told_of_states(
    generator: Generator, store: FrameStore, z: Float[Tensor, "frames latent"], radius: int
) -> Told:
    """H and b around the states z, by coefficients with |k| ≤ radius."""
    mine = store.processes.share(torch.arange(len(store)))
    told = in_parts(mine, lambda rows: _told(generator, store, z, rows, radius))
    return Told(*(store.processes.whole(part, len(store)) for part in told))


@torch.no_grad()
def misfits(
    generator: Generator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    rows: Int[Tensor, " rows"],
    radius: int,
) -> Float[Tensor, " rows"]:
    """Σ |X − T V̂|² over the coefficients with |k| ≤ radius, of frames `rows`, on the processor: twice the
    negative log likelihood. Noise alone makes it their number."""
    lattice, count = store.lattice, store.lattice.count_within(radius)

    def of_rows(some: Tensor) -> tuple[Tensor]:
        frames = store.frames(some, count)
        slices = generator.slices(z[some.to(z.device)], frames.rotation, lattice.frequency[:count])
        residual = (frames.coefficients - frames.transfer * slices).abs().square()
        return ((residual * lattice.multiplicity[:count]).sum(-1).cpu(),)

    return in_parts(rows, of_rows)[0]


def in_parts(
    rows: Int[Tensor, " rows"], of_rows: Callable[[Tensor], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """What a function tells of rows, asked for some of them at a time."""
    parts = [of_rows(some) for some in torch.split(rows, _ROWS_AT_ONCE)]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


@torch.no_grad()
def smoothed(told: Told, store: FrameStore, relaxation_time: Float[Tensor, " latent"]) -> RefinedStates:
    """Posterior of the states, whose prior is N(0, I) with these times of relaxation."""
    mean, covariance = torch.empty_like(told.vector), torch.empty_like(told.matrix)
    for rows, batch, of_movies in _by_movies(told, store):
        states = smooth(*of_movies, batch.interval, relaxation_time, batch.mask)
        mean[rows], covariance[rows] = states.mean[batch.mask], states.covariance[batch.mask]
    return RefinedStates(mean, covariance)


def likeliest_relaxation_time(
    told: Told, store: FrameStore, start: Float[Tensor, " latent"]
) -> Float[Tensor, " latent"]:
    """τ in usual frame intervals, by the marginal likelihood of all movies.

    Not from the means: the smoother has drawn them together, by the τ that it was given.
    """
    exact = Told(told.matrix.double(), told.vector.double())

    def descend(log_time: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        at = torch.from_numpy(log_time.copy()).to(exact.vector.device).requires_grad_()
        likelihood = [
            evidence(*of_movies, batch.interval, at.exp(), batch.mask).sum()
            for _, batch, of_movies in _by_movies(exact, store)
        ]
        loss = -torch.stack(likelihood).sum() / len(store)
        (slope,) = torch.autograd.grad(loss, at)
        return loss.item(), slope.cpu().numpy()

    first = start.double().log().cpu().numpy()
    # Bounds that the search knows: a likelihood cut off beyond them is flat there, and holds it.
    bounds = [(math.log(_SHORTEST_TIME), math.log(_LONGEST_TIME))] * len(first)
    found = minimize(descend, first, jac=True, method="L-BFGS-B", bounds=bounds)
    return torch.from_numpy(np.exp(found.x)).to(start)


def _by_movies(
    told: Told, store: FrameStore
) -> Iterator[tuple[Int[Tensor, " rows"], MovieBatch, tuple[Tensor, Tensor]]]:
    """By batches of movies: rows of their frames, where these stand, and H and b there."""
    for movies in torch.split(torch.arange(len(store.movie_rows)), _MOVIES_AT_ONCE):
        batch = store.movies(movies)
        rows = batch.rows.to(told.vector.device)
        yield rows, batch, (batch.pad(told.matrix[rows]), batch.pad(told.vector[rows]))


@dataclass(frozen=True)
class Expansion:
    """Some frames' slices around their states, scaled so that the squared distance from the frames scaled
    alike, halved, is the negative log likelihood."""

    frames: FrameBatch
    expected: Complex[Tensor, "rows coefficients"]
    residual: Complex[Tensor, "rows coefficients"]
    """The frames less what is expected of them."""
    slopes: tuple[Complex[Tensor, "rows coefficients"], ...]
    """Of what is expected, by each latent."""


def expanded(
    generator: Generator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    rows: Int[Tensor, " rows"],
    radius: int,
) -> Expansion:
    """The expansion of frames `rows` by coefficients with |k| ≤ radius."""
    count = store.lattice.count_within(radius)
    frames = store.frames(rows, count)
    here = z[rows.to(z.device)]
    expected = scaled_slices(generator, here, frames.rotation, frames, store.lattice)
    steps = torch.eye(z.shape[-1], device=z.device) * _STEP
    slopes = tuple(
        (scaled_slices(generator, here + step, frames.rotation, frames, store.lattice) - expected) / _STEP
        for step in steps
    )
    seen = frames.coefficients * store.lattice.multiplicity[:count].sqrt()
    return Expansion(frames, expected, seen - expected, slopes)


def scaled_slices(
    generator: Generator,
    z: Float[Tensor, "rows latent"],
    rotation: Float[Tensor, "rows 3 3"],
    frames: FrameBatch,
    lattice: HalfDisc,
) -> Complex[Tensor, "rows coefficients"]:
    """What is expected of frames at states and rotations, scaled as in `Expansion`."""
    count = frames.transfer.shape[-1]
    slices = generator.slices(z, rotation, lattice.frequency[:count])
    return slices * frames.transfer * lattice.multiplicity[:count].sqrt()


def normal_equations(
    slopes: Sequence[Complex[Tensor, "rows coefficients"]], residual: Complex[Tensor, "rows coefficients"]
) -> tuple[Float[Tensor, "rows unknowns unknowns"], Float[Tensor, "rows unknowns"]]:
    """JᵀJ and Jᵀr of real unknowns."""
    slope = torch.stack([torch.view_as_real(x).flatten(1) for x in slopes], dim=1)
    return slope @ slope.mT, (slope @ torch.view_as_real(residual).flatten(1)[..., None])[..., 0]


def _told(
    generator: Generator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    rows: Int[Tensor, " rows"],
    radius: int,
) -> tuple[Float[Tensor, "rows latent latent"], Float[Tensor, "rows latent"]]:
    expansion = expanded(generator, store, z, rows, radius)
    matrix, vector = normal_equations(expansion.slopes, expansion.residual)
    return matrix, vector + (matrix @ z[rows.to(z.device)][..., None])[..., 0]
