"""A smooth map from one run's latent space to another's, learnt on frames that both have."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

__all__ = ["LatentMap", "fit_latent_map"]

DEGREES = (1, 2, 3)
RIDGE = 1e-3
"""Times the number of frames, which are scaled to unit variance: enough to keep a useless term small."""
FOLDS = 5


@dataclass(frozen=True, eq=False)
class LatentMap:
    """Polynomials of the first run's latents."""

    degree: int
    r_squared: float
    """Variance of the second run's latents that the map tells, in movies it has not seen; each latent counts
    by its variance times its weight."""
    model: Any

    def __call__(self, z: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Latents (frames, d) of the second run for those of the first."""
        # One latent alone comes without its axis.
        return np.asarray(self.model.predict(z), dtype=np.float32).reshape(len(z), -1)


def fit_latent_map(
    source: npt.NDArray[np.floating],
    target: npt.NDArray[np.floating],
    movie: npt.NDArray[np.integer],
    weight: npt.NDArray[np.floating] | None = None,
) -> LatentMap:
    """Fit `target` (frames, e) by polynomials of `source` (frames, d), the degree chosen across movies.

    `weight` (e,) says how much a latent counts in that choice, by default alike. Needs two movies.
    """
    root = np.ones(target.shape[-1]) if weight is None else np.sqrt(weight)
    splitter = GroupKFold(min(FOLDS, len(np.unique(movie))))
    scores = {}
    for degree in DEGREES:
        foretold = cross_val_predict(_model(degree, len(source)), source, target, groups=movie, cv=splitter)
        foretold = foretold.reshape(target.shape)
        scores[degree] = float(r2_score(root * target, root * foretold, multioutput="variance_weighted"))
    best = max(scores, key=lambda degree: scores[degree])
    return LatentMap(best, scores[best], _model(best, len(source)).fit(source, target))


def _model(degree: int, frames: int) -> Any:
    terms = PolynomialFeatures(degree, include_bias=False)
    return make_pipeline(StandardScaler(), terms, Ridge(alpha=RIDGE * frames))
