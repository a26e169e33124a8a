"""Whether intervals of latents hold what they say, against the true states of simulated movies."""

import warnings
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import GroupKFold

__all__ = ["HALF_WIDTH", "LEVEL", "latent_coverage"]

LEVEL = 0.9
"""Of the intervals, central ones of a Gaussian."""
HALF_WIDTH = NormalDist().inv_cdf(0.5 + LEVEL / 2)
"""Of such an interval, in standard deviations."""
FOLDS = 5
FRAMES_FOR_KERNEL, FRAMES_FOR_READING = 400, 2000
"""At most, drawn at random: a Gaussian process costs the cube of them."""
FRAMES_AT_ONCE = 2000
"""Read: each has a number for every frame that the process was fitted to."""
STEP = 0.01
"""Of the finite differences, in standard deviations of each latent over frames."""

FloatArray = npt.NDArray[np.float64]


def latent_coverage(
    mean: npt.NDArray[np.floating],
    covariance: npt.NDArray[np.floating],
    state: npt.NDArray[np.floating],
    movie: npt.NDArray[np.integer],
) -> dict[str, float] | None:
    """How often a frame's interval holds its true state.

    `mean` (frames, d) and `covariance` (frames, d, d) are the posterior's. On other movies (five folds) a
    smooth map, a Gaussian process, is learnt that reads the state off the latents, for states need not lie
    along a line; the interval is that of its linearisation at the mean. Then the place that it gives frames
    of each state is learnt as a monotone map: fitted from states to places, because places have errors and
    true states none, and read backwards. `coverage` is of all frames, `mean_width` the intervals' in units of
    the state.

    None where that cannot be asked: a state that never changes, or fewer than two movies.
    """
    folds = min(FOLDS, len(np.unique(movie)))
    if folds < 2 or np.ptp(state) == 0:
        return None
    held, width = np.zeros(len(state), dtype=bool), np.zeros(len(state))
    scale = np.std(mean, axis=0)
    # A latent that never changes tells nothing, and its size is no matter.
    scale = np.where(scale > 0, scale, 1)
    scaled, covariance = (mean - np.mean(mean, axis=0)) / scale, covariance / scale / scale[:, None]
    for others, own in GroupKFold(folds).split(scaled, state, movie):
        read = _reading(scaled[others], state[others])
        place = read(scaled)
        monotone = IsotonicRegression(out_of_bounds="clip").fit(state[others], place[others])
        slope = np.stack(
            [(read(scaled[own] + e) - read(scaled[own] - e)) / (2 * STEP) for e in STEP * np.eye(len(scale))],
            axis=1,
        )
        sd = np.sqrt(np.einsum("fij,fi,fj->f", covariance[own], slope, slope).clip(min=0))
        held[own] = np.abs(place[own] - monotone.predict(state[own])) <= HALF_WIDTH * sd
        states = np.unique(state[others])
        low, high = (
            np.interp(place[own] + sign * HALF_WIDTH * sd, monotone.predict(states), states)
            for sign in (-1, 1)
        )
        width[own] = high - low
    return {"coverage": float(held.mean()), "mean_width": float(width.mean())}


def _reading(
    latents: npt.NDArray[np.floating], state: npt.NDArray[np.floating]
) -> Callable[[npt.NDArray[np.floating]], FloatArray]:
    """A smooth map from latents of unit variance to states."""
    order = np.random.default_rng(0).permutation(len(state))
    kernel = ConstantKernel() * RBF(np.ones(latents.shape[-1])) + WhiteKernel(0.01)
    few, many = order[:FRAMES_FOR_KERNEL], order[:FRAMES_FOR_READING]
    with warnings.catch_warnings():
        # A latent that tells nothing has a length without bound, and states without noise a noise of none.
        warnings.simplefilter("ignore", ConvergenceWarning)
        kernel = GaussianProcessRegressor(kernel, normalize_y=True).fit(latents[few], state[few]).kernel_
    process = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
    process.fit(latents[many], state[many])

    def read(at: npt.NDArray[np.floating]) -> FloatArray:
        parts = np.array_split(at, 1 + len(at) // FRAMES_AT_ONCE)
        return np.concatenate([process.predict(part) for part in parts])

    return read
