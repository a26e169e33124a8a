"""Transition rates of the states with intervals by bootstrap over movies."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import logm

from temporem.evaluation.kinetics.hidden_markov import GaussianStates, forward_backward
from temporem.evaluation.kinetics.trajectories import LatentTrajectories

__all__ = ["Rates", "generator_of", "transition_rates"]

FloatArray = npt.NDArray[np.float64]
ROUNDS = 20
AT_ONCE = 20


@dataclass(frozen=True, eq=False)
class Rates:
    """Rates per unit of time with 95 % intervals (low, high), and what follows from them."""

    rate: FloatArray
    """(states, states): from row to column; 0 on the diagonal."""
    rate_interval: FloatArray
    """(2, states, states)."""
    occupancy: FloatArray
    """(states,) at equilibrium."""
    occupancy_interval: FloatArray
    """(2, states)."""
    relaxation_time: float
    """Slowest: minus one over the largest rate eigenvalue below zero; infinite where nothing changes."""
    relaxation_time_interval: FloatArray
    """(2,)."""
    expected_transitions: FloatArray
    """(states, states): how many the movies hold, in the mean over paths."""


def transition_rates(states: GaussianStates, movies: LatentTrajectories, replicates: int, seed: int) -> Rates:
    """Rates of the fitted states; intervals are percentiles over data sets of movies drawn with repetition.

    In each of those π and P are fitted anew, with the states' Gaussians kept: what a state looks like is
    known far better than how often it is left.
    """
    log_density = states.log_density(movies)
    smoothed = forward_backward(log_density, movies.within, states.start, states.transition)
    random, count = np.random.default_rng(seed), len(movies.seen)
    draws = random.multinomial(count, np.full(count, 1 / count), size=replicates).astype(np.float64)
    transitions = [
        _refitted(log_density, movies, states, draws[i : i + AT_ONCE]) for i in range(0, replicates, AT_ONCE)
    ]
    several = [_told(x, movies.interval) for x in np.concatenate(transitions)]
    rate, occupancy, relaxation = _told(states.transition, movies.interval)
    ends = [2.5, 97.5]
    times = np.array([x[2] for x in several])
    return Rates(
        rate=rate,
        rate_interval=np.percentile([x[0] for x in several], ends, axis=0),
        occupancy=occupancy,
        occupancy_interval=np.percentile([x[1] for x in several], ends, axis=0),
        relaxation_time=relaxation,
        relaxation_time_interval=np.percentile(times, ends, method="nearest"),
        expected_transitions=smoothed.transitions.sum(0) * (1 - np.eye(states.count)),
    )


def generator_of(transition: FloatArray, interval: float) -> FloatArray:
    """Rate matrix K with exp(K Δ) = P, rows summing to 0; where P has none, (P − 1) / Δ.

    P has none where it says that states change more often than frames can show.
    """
    if len(transition) > 1 and np.linalg.eigvals(transition).real.min() > 1e-9:
        logarithm = np.asarray(logm(transition)).real / interval
        off = logarithm - np.diag(np.diag(logarithm))
        if off.min() >= -0.01 * off.max():
            off = off.clip(min=0)
            return np.asarray(off - np.diag(off.sum(axis=1)))
    return (transition - np.eye(len(transition))) / interval


def _told(transition: FloatArray, interval: float) -> tuple[FloatArray, FloatArray, float]:
    """Rates, occupancy at equilibrium and slowest relaxation time of one P."""
    generator = generator_of(transition, interval)
    count = len(generator)
    occupancy = np.linalg.lstsq(
        np.vstack((generator.T, np.ones(count))), np.append(np.zeros(count), 1.0), rcond=None
    )[0]
    decays = np.sort(-np.linalg.eigvals(generator).real)[1:]
    relaxation = float(1 / decays[0]) if len(decays) and decays[0] > 0 else np.inf
    return generator - np.diag(np.diag(generator)), occupancy, relaxation


def _refitted(
    log_density: FloatArray, movies: LatentTrajectories, states: GaussianStates, weight: FloatArray
) -> FloatArray:
    """P (replicates, states, states) fitted to movies of these weights (replicates, movies)."""
    start = np.repeat(states.start[None], len(weight), axis=0)
    transition = np.repeat(states.transition[None], len(weight), axis=0)
    for _ in range(ROUNDS):
        smoothed = forward_backward(log_density, movies.within, start, transition)
        first = np.einsum("rm,rmk->rk", weight, smoothed.probability[:, :, 0])
        pairs = np.einsum("rm,rmkl->rkl", weight, smoothed.transitions)
        start = (first + 1e-9) / (first + 1e-9).sum(-1, keepdims=True)
        transition = (pairs + 1e-9) / (pairs + 1e-9).sum(-1, keepdims=True)
    return transition
