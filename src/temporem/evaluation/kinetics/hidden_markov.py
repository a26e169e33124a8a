"""Hidden Markov model with Gaussian states over ragged movies with missing frames.

s_1 ~ Cat(π), s_t | s_{t−1} ~ Cat(P), z_t | s_t ~ N(μ_s, Σ_s); a frame not seen has no z. Fitted by the
algorithm of Baum and Welch (Rabiner 1989), all movies together.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from temporem.evaluation.kinetics.trajectories import LatentTrajectories

__all__ = ["GaussianStates", "Smoothed", "fit_states", "forward_backward", "most_likely_paths"]

FloatArray = npt.NDArray[np.float64]
STARTS = 3
MOST_ROUNDS = 200
TOLERANCE_PER_FRAME = 1e-4
FLOOR = 0.01
"""Part of the covariance of all frames that every state's has: no state can close on a few of them."""
PSEUDO_COUNT = 1e-3


@dataclass(frozen=True, eq=False)
class GaussianStates:
    """π (states,), P (states, states), μ (states, dimensions), Σ (states, dimensions, dimensions); in order
    of the first dimension's mean."""

    start: FloatArray
    transition: FloatArray
    mean: FloatArray
    covariance: FloatArray

    @property
    def count(self) -> int:
        """Number of states."""
        return len(self.start)

    @property
    def parameters(self) -> int:
        """Free numbers of the model, as BIC counts them."""
        states, dimensions = self.mean.shape
        return int(states**2 - 1 + states * (dimensions + dimensions * (dimensions + 1) // 2))

    def log_density(self, movies: LatentTrajectories) -> FloatArray:
        """log p(z_t | s_t), (movies, steps, states); 0 where not seen."""
        factor = np.linalg.cholesky(self.covariance)
        difference = movies.values[:, :, None] - self.mean
        white = np.einsum("kij,mtkj->mtki", np.linalg.inv(factor), difference)
        dimensions = self.mean.shape[1]
        log_volume = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(-1)
        density = -0.5 * (white**2).sum(-1) - log_volume - 0.5 * dimensions * np.log(2 * np.pi)
        return np.where(movies.seen[..., None], density, 0.0)

    def log_likelihood(self, movies: LatentTrajectories) -> FloatArray:
        """log p(movie) of each movie."""
        log_density = self.log_density(movies)
        return forward_backward(log_density, movies.within, self.start, self.transition).log_likelihood


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What the movies say of their states, given a model; leading dimensions as those of the parameters."""

    probability: FloatArray
    """p(s_t | movie), (…, movies, steps, states)."""
    transitions: FloatArray
    """Expected numbers of transitions, (…, movies, states, states)."""
    log_likelihood: FloatArray
    """(…, movies)."""


def forward_backward(
    log_density: FloatArray, within: npt.NDArray[np.bool_], start: FloatArray, transition: FloatArray
) -> Smoothed:
    """Exact smoothing, scaled at every step.

    log_density (movies, steps, states), within (movies, steps); start (…, states) and transition
    (…, states, states) may have leading dimensions, one model each.
    """
    highest = log_density.max(axis=-1, keepdims=True)
    density = np.exp(log_density - highest)
    steps = density.shape[1]
    shape = (*start.shape[:-1], *density.shape)
    ahead, scale = np.empty(shape), np.empty(shape[:-1])
    state = np.broadcast_to(start[..., None, :], (*start.shape[:-1], len(density), density.shape[-1]))
    for t in range(steps):
        predicted = state if t == 0 else state @ transition
        joint = predicted * density[:, t]
        scale[..., t] = joint.sum(-1)
        state = joint / scale[..., t, None]
        ahead[..., t, :] = state
    behind = np.ones_like(ahead)
    pairs = np.zeros((*shape[:-2], shape[-1], shape[-1]))
    for t in range(steps - 2, -1, -1):
        told = density[:, t + 1] * behind[..., t + 1, :] / scale[..., t + 1, None]
        pair = ahead[..., t, :, None] * transition[..., None, :, :] * told[..., None, :]
        # Steps past a movie's end tell nothing, and would only slow the fit down.
        pairs += pair * within[:, t + 1, None, None]
        behind[..., t, :] = told @ np.swapaxes(transition, -1, -2)
    likelihood = ((np.log(scale) + highest[..., 0]) * within).sum(-1)
    return Smoothed(ahead * behind, pairs, likelihood)


def fit_states(movies: LatentTrajectories, count: int, seed: int, starts: int = STARTS) -> GaussianStates:
    """Fit by maximum likelihood from k-means, the best of a few starts."""
    frames = movies.values[movies.seen]
    fits = []
    for start in range(starts if count > 1 else 1):
        label = KMeans(count, n_init=1, random_state=seed + start).fit_predict(frames)
        weight = np.zeros((*movies.seen.shape, count))
        weight[movies.seen, label] = 1.0
        transition = np.full((count, count), 0.1 / count) + 0.9 * np.eye(count)
        first = GaussianStates(np.full(count, 1 / count), transition, *_moments(movies, weight))
        fits.append(_fitted(movies, first))
    best = max(fits, key=lambda states: float(states.log_likelihood(movies).sum()))
    order = np.argsort(best.mean[:, 0])
    return GaussianStates(
        best.start[order], best.transition[np.ix_(order, order)], best.mean[order], best.covariance[order]
    )


def most_likely_paths(states: GaussianStates, movies: LatentTrajectories) -> npt.NDArray[np.int64]:
    """The most likely path of states of each movie, (movies, steps), −1 past its end (Viterbi 1967)."""
    log_density = states.log_density(movies)
    with np.errstate(divide="ignore"):
        log_start, log_transition = np.log(states.start), np.log(states.transition)
    count, steps, _ = log_density.shape
    best = log_start + log_density[:, 0]
    came_from = np.zeros(log_density.shape, dtype=np.int64)
    for t in range(1, steps):
        reached = best[:, :, None] + log_transition
        came_from[:, t] = reached.argmax(axis=1)
        # Past its end a movie's path stands still.
        still = ~movies.within[:, t]
        came_from[still, t] = np.arange(states.count)
        best = np.where(still[:, None], best, reached.max(axis=1) + log_density[:, t])
    path = np.empty((count, steps), dtype=np.int64)
    path[:, -1] = best.argmax(axis=-1)
    for t in range(steps - 1, 0, -1):
        path[:, t - 1] = came_from[np.arange(count), t, path[:, t]]
    return np.where(movies.within, path, -1)


def _fitted(movies: LatentTrajectories, states: GaussianStates) -> GaussianStates:
    before = -np.inf
    for _ in range(MOST_ROUNDS):
        density = states.log_density(movies)
        smoothed = forward_backward(density, movies.within, states.start, states.transition)
        likelihood = float(smoothed.log_likelihood.sum())
        if likelihood - before < TOLERANCE_PER_FRAME * int(movies.seen.sum()):
            break
        before = likelihood
        weight = smoothed.probability * movies.seen[..., None]
        markov = _markov(smoothed.probability[:, 0].sum(0), smoothed.transitions.sum(0))
        states = GaussianStates(*markov, *_moments(movies, weight))
    return states


def _moments(movies: LatentTrajectories, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """μ and Σ of frames weighted (movies, steps, states), 0 where not seen."""
    frames = movies.values[movies.seen]
    centred = frames - frames.mean(axis=0)
    floor = FLOOR * centred.T @ centred / len(frames) + 1e-12 * np.eye(frames.shape[1])
    total = np.maximum(weight.sum(axis=(0, 1)), 1e-9)
    mean = np.einsum("mtk,mtd->kd", weight, movies.values) / total[:, None]
    second = np.einsum("mtk,mtd,mte->kde", weight, movies.values, movies.values, optimize=True)
    covariance = second / total[:, None, None] - mean[:, :, None] * mean[:, None, :]
    return mean, covariance + floor


def _markov(first: FloatArray, transitions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """π and P of expected counts; the pseudo-count keeps a state that was never left a probability."""
    first, transitions = first + PSEUDO_COUNT, transitions + PSEUDO_COUNT
    return first / first.sum(), transitions / transitions.sum(-1, keepdims=True)
