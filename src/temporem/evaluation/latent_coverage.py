"""Whether intervals of latents hold what they say, against the true states of simulated movies."""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold

__all__ = ["HALF_WIDTH", "LEVEL", "latent_coverage"]

LEVEL = 0.9
"""Of the intervals, central ones of a Gaussian."""
HALF_WIDTH = NormalDist().inv_cdf(0.5 + LEVEL / 2)
"""Of such an interval, in standard deviations."""
FOLDS = 5


def latent_coverage(
    mean: npt.NDArray[np.floating],
    covariance: npt.NDArray[np.floating],
    state: npt.NDArray[np.floating],
    movie: npt.NDArray[np.integer],
) -> dict[str, float] | None:
    """How often a frame's interval holds its true state.

    `mean` (frames, d) and `covariance` (frames, d, d) are the posterior's. On other movies (five folds) a
    regression finds the direction that tells the state, and then the place along it where frames of each
    state lie, as a monotone map: fitted from states to latents, because latents have errors and true states
    none, and read backwards. `coverage` is of all frames, `mean_width` the intervals' in units of the state.

    None where that cannot be asked: a state that never changes, or fewer than two movies.
    """
    folds = min(FOLDS, len(np.unique(movie)))
    if folds < 2 or np.ptp(state) == 0:
        return None
    held, width = np.zeros(len(state), dtype=bool), np.zeros(len(state))
    for others, own in GroupKFold(folds).split(mean, state, movie):
        direction = LinearRegression().fit(mean[others], state[others]).coef_
        along = mean @ direction
        sd = np.sqrt(np.einsum("fij,i,j->f", covariance, direction, direction).clip(min=0))
        place = IsotonicRegression(out_of_bounds="clip").fit(state[others], along[others])
        held[own] = np.abs(along[own] - place.predict(state[own])) <= HALF_WIDTH * sd[own]
        states = np.unique(state[others])
        low, high = (
            np.interp(along[own] + sign * HALF_WIDTH * sd[own], place.predict(states), states)
            for sign in (-1, 1)
        )
        width[own] = high - low
    return {"coverage": float(held.mean()), "mean_width": float(width.mean())}
