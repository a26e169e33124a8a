"""How well the latents tell the true state: regression across movies, so that no movie explains itself."""

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
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
    """Agreement of latents (frames, dimensions) with the true state coordinate (frames,).

    Every prediction is for movies that the regression has not seen (five folds): `linear_r_squared` by a
    linear map; `neighbour_r_squared` by the mean of the 15 nearest latents, in the latents' own metric, which
    follows a curved path too; `spearman` the rank correlation of the linear prediction with the state, that
    is, of the best direction.

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
    # Latents that all agree predict one value per fold, of which no rank can be taken.
    spearman = float(spearmanr(linear, state).statistic) if np.ptp(latents) > 0 else 0.0
    return {
        "linear_r_squared": float(r2_score(state, linear)),
        "neighbour_r_squared": float(r2_score(state, near)),
        "spearman": spearman,
    }
