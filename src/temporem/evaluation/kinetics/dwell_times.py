"""How long states last, from paths that begin and end in the middle of a stay."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

__all__ = ["Dwells", "dwells_of", "survival_curve"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Dwells:
    """Stays in one state, and the mean stay by maximum likelihood of an exponential law.

    A stay that a movie's end cuts short is censored. One that a movie's beginning cuts short counts as well:
    how long an exponential stay goes on does not depend on how long it has lasted.
    """

    steps: npt.NDArray[np.int64]
    """How many steps each was seen for."""
    left: npt.NDArray[np.bool_]
    """Whether its end was seen; else it is censored."""
    begun: npt.NDArray[np.bool_]
    """Whether its beginning was seen."""

    def mean_time(self, interval: float) -> tuple[float, float, float]:
        """Mean stay with its 95 % interval, in the unit of `interval`; infinite where no end was seen.

        The interval is the exact one of a Poisson count of ends, after Garwood 1936.
        """
        # A stay of n steps was at risk of ending n times if its end was seen, n − 1 times if not.
        exposed = float((self.steps - ~self.left).sum())
        ends = float(self.left.sum())
        low, high = (
            float(chi2.ppf(0.025, 2 * ends)) / 2 if ends else 0.0,
            float(chi2.ppf(0.975, 2 * ends + 2)) / 2,
        )
        mean, shortest, longest = (_mean_stay(x, exposed, interval) for x in (ends, high, low))
        return mean, shortest, longest


def dwells_of(paths: npt.NDArray[np.int64], state: int) -> Dwells:
    """The stays in one state along paths (movies, steps), −1 past a movie's end."""
    found = []
    for path in paths:
        path = path[path >= 0]
        edges = np.concatenate(([0], np.flatnonzero(np.diff(path)) + 1, [len(path)]))
        for begin, end in pairwise(edges.tolist()):
            if path[begin] == state:
                found.append((end - begin, end < len(path), begin > 0))
    columns = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return Dwells(columns[0], columns[1].astype(bool), columns[2].astype(bool))


def survival_curve(dwells: Dwells) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
    """Share of stays that last longer than so many steps, and its standard error, of those seen to begin.

    Kaplan and Meier 1958, with Greenwood's error.
    """
    steps, ended = dwells.steps[dwells.begun], dwells.left[dwells.begun]
    if not len(steps):
        return np.zeros(1, np.int64), np.ones(1), np.zeros(1)
    times = np.arange(int(steps.max()) + 1)
    # A stay cut off after n steps was not seen at its n-th chance to end.
    at_risk = np.array([((steps > t) | ((steps == t) & ended)).sum() for t in times])
    ends = np.array([((steps == t) & ended).sum() for t in times])
    risk = np.maximum(at_risk, 1)
    survival = np.cumprod(1 - ends / risk)
    remaining = at_risk - ends
    terms = np.where(remaining > 0, ends / (risk * np.maximum(remaining, 1)), 0.0)
    return times, survival, survival * np.sqrt(np.cumsum(terms))


def _mean_stay(ends: float, exposed: float, interval: float) -> float:
    """Mean of the exponential stay whose chance to end within a step is ends / exposed."""
    if ends <= 0 or exposed <= 0:
        return float("inf")
    chance = min(ends / exposed, 1 - 1e-9)
    return float(-interval / np.log1p(-chance))
