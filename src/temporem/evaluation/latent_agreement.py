"""How well the latents tell the true state: regression across movies, so that no movie explains itself."""

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

__all__ = ["latent_agreement"]

FOLDS = 5
NEIGHBOURS = 15


def latent_agreement(
    latents: npt.NDArray[np.floating], state: npt.NDArray[np.floating], movie: npt.NDArray[np.integer]
) -> dict[str, float] | None:
    """Agreement of latents (frames, dimensions) with the true state (frames,), in any unit.

    Every prediction is for movies that the regression has not seen (five folds): `linear_r_squared` by a
    linear map; `neighbour_r_squared` by the mean of the 15 nearest latents, in the latents' own metric, which
    follows a curved path too; `spearman` the rank correlation of the linear prediction with the state, that
    is, of the best direction; `median_error` is the median distance from the state, in its unit, where a
    monotone map reads it off the place along that direction.

    None where that cannot be asked: a state that never changes, or fewer than two movies.
    """
    folds = min(FOLDS, len(np.unique(movie)))
    if folds < 2 or np.ptp(state) == 0:
        return None
    splitter = GroupKFold(folds)
    smallest = min(len(train) for train, _ in splitter.split(latents, state, movie))
    neighbours = KNeighborsRegressor(min(NEIGHBOURS, smallest))
    linear = cross_val_predict(LinearRegression(), latents, state, groups=movie, cv=splitter)
    near = cross_val_predict(neighbours, latents, state, groups=movie, cv=splitter)
    monotone = np.concatenate(
        [
            np.abs(_monotone(latents[others], state[others], latents[own]) - state[own])
            for others, own in splitter.split(latents, state, movie)
        ]
    )
    # Latents that all agree predict one value per fold, of which no rank can be taken.
    spearman = float(spearmanr(linear, state).statistic) if np.ptp(latents) > 0 else 0.0
    return {
        "linear_r_squared": float(r2_score(state, linear)),
        "neighbour_r_squared": float(r2_score(state, near)),
        "spearman": spearman,
        "median_error": float(np.median(monotone)),
    }


def _monotone(
    latents: npt.NDArray[np.floating], state: npt.NDArray[np.floating], asked: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """States of the latents asked for, by a monotone map along the direction that tells most of others."""
    direction = LinearRegression().fit(latents, state).coef_
    calibration = IsotonicRegression(out_of_bounds="clip").fit(latents @ direction, state)
    return np.asarray(calibration.predict(asked @ direction))
