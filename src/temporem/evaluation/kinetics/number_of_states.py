"""How many states the movies ask for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from temporem.evaluation.kinetics.hidden_markov import (
    GaussianStates,
    fit_states,
    forward_backward,
    most_likely_paths,
)
from temporem.evaluation.kinetics.trajectories import LatentTrajectories

__all__ = ["CERTAIN", "SHORTEST_STAY", "StateCount", "choose_states", "state_certainty"]

FOLDS = 5
SHORTEST_STAY = 2.0
"""In frames, on average: what is left sooner is told neither from a passage between states nor from a state
whose latents are not Gaussian."""


CERTAIN = 0.9
"""Probability with which frames must be told from those of other states: less, and the states are places
along a continuous motion, or the shape of one state's latents."""


@dataclass(frozen=True)
class StateCount:
    """How well a number of states explains the movies."""

    states: int
    held_out_log_likelihood_per_frame: float
    """Of movies by models fitted to the others."""
    behind_best: float
    """How far that is below that of the best number whose states last and are told apart, per movie, in
    standard errors of the difference; below 0 where it is above."""
    bic: float
    """Of all movies; smaller is better."""
    shortest_stay_in_frames: float
    """Mean stay in the state that is left soonest."""
    least_certainty: float
    """Mean probability of the frames of the state that is told worst."""


def choose_states(
    movies: LatentTrajectories, most: int, seed: int
) -> tuple[GaussianStates, list[StateCount]]:
    """The states of the smallest number whose held-out likelihood is within a standard error of the best.

    Of numbers whose states all last and are told apart: other Gaussian states are how the likelihood mends
    the shape of these. The difference is paired over movies. Held out are whole movies, two at least, in up
    to five parts.
    """
    fold = np.random.default_rng(seed).permutation(len(movies.seen)) % min(FOLDS, len(movies.seen))
    fits, held_out = [], np.zeros((most, len(movies.seen)))
    for count in range(1, most + 1):
        fits.append(fit_states(movies, count, seed))
        for part in np.unique(fold):
            ours, others = np.flatnonzero(fold == part), np.flatnonzero(fold != part)
            states = fit_states(movies.of(others), count, seed, starts=1)
            held_out[count - 1, ours] = states.log_likelihood(movies.of(ours))
    stay = [_shortest_stay(fit) for fit in fits]
    certainty = [float(state_certainty(fit, movies, most_likely_paths(fit, movies)).min()) for fit in fits]
    holds = np.array([x >= SHORTEST_STAY and y >= CERTAIN for x, y in zip(stay, certainty, strict=True)])
    behind = held_out[np.where(holds, held_out.sum(axis=1), -np.inf).argmax()] - held_out
    error = behind.std(axis=1) / np.sqrt(behind.shape[1])
    behind_best = np.divide(behind.mean(axis=1), error, out=np.zeros(most), where=error > 0)
    chosen = int(np.argmax(holds & (behind_best <= 1)))
    frames = int(movies.seen.sum())
    told = [
        StateCount(
            states=fit.count,
            held_out_log_likelihood_per_frame=float(held_out[i].sum() / frames),
            behind_best=float(behind_best[i]),
            bic=float(fit.parameters * np.log(frames) - 2 * fit.log_likelihood(movies).sum()),
            shortest_stay_in_frames=stay[i],
            least_certainty=certainty[i],
        )
        for i, fit in enumerate(fits)
    ]
    return fits[chosen], told


def _shortest_stay(states: GaussianStates) -> float:
    """Mean of the geometric stays, in frames; endless where there is one state."""
    left = 1 - np.diagonal(states.transition)
    return float(1 / left.max()) if left.max() > 0 else float("inf")


def state_certainty(
    states: GaussianStates, movies: LatentTrajectories, paths: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(states,): mean probability of a state over the frames that the paths put there, 0 without such."""
    density = states.log_density(movies)
    probability = forward_backward(density, movies.within, states.start, states.transition).probability
    label = paths[movies.seen]
    certain = probability[movies.seen][np.arange(len(label)), label]
    total = np.bincount(label, weights=certain, minlength=states.count)
    return np.asarray(total / np.maximum(np.bincount(label, minlength=states.count), 1))
