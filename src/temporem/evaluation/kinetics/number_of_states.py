"""How many states the movies ask for."""

from dataclasses import dataclass

import numpy as np

from temporem.evaluation.kinetics.hidden_markov import GaussianStates, fit_states
from temporem.evaluation.kinetics.trajectories import LatentTrajectories

__all__ = ["StateCount", "choose_states"]

FOLDS = 5


@dataclass(frozen=True)
class StateCount:
    """How well a number of states explains the movies."""

    states: int
    held_out_log_likelihood_per_frame: float
    """Of movies by models fitted to the others."""
    behind_best: float
    """How far that is below the best number's, per movie, in standard errors of the difference."""
    bic: float
    """Of all movies; smaller is better."""


def choose_states(
    movies: LatentTrajectories, most: int, seed: int
) -> tuple[GaussianStates, list[StateCount]]:
    """The states of the smallest number whose held-out likelihood is within a standard error of the best.

    The difference is paired over movies. Held out are whole movies, two at least, in up to five parts.
    """
    fold = np.random.default_rng(seed).permutation(len(movies.seen)) % min(FOLDS, len(movies.seen))
    fits, held_out = [], np.zeros((most, len(movies.seen)))
    for count in range(1, most + 1):
        fits.append(fit_states(movies, count, seed))
        for part in np.unique(fold):
            ours, others = np.flatnonzero(fold == part), np.flatnonzero(fold != part)
            states = fit_states(movies.of(others), count, seed, starts=1)
            held_out[count - 1, ours] = states.log_likelihood(movies.of(ours))
    behind = held_out[held_out.sum(axis=1).argmax()] - held_out
    error = behind.std(axis=1) / np.sqrt(behind.shape[1])
    behind_best = np.divide(behind.mean(axis=1), error, out=np.zeros(most), where=error > 0)
    chosen = int(np.argmax(behind_best <= 1))
    frames = int(movies.seen.sum())
    told = [
        StateCount(
            states=fit.count,
            held_out_log_likelihood_per_frame=float(held_out[i].sum() / frames),
            behind_best=float(behind_best[i]),
            bic=float(fit.parameters * np.log(frames) - 2 * fit.log_likelihood(movies).sum()),
        )
        for i, fit in enumerate(fits)
    ]
    return fits[chosen], told
