"""Implied time scales of a Markov state model against its lag time (extra "kinetics": deeptime)."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from temporem.errors import UserError
from temporem.evaluation.kinetics.trajectories import LatentTrajectories

__all__ = ["LagTest", "clusters_of", "lag_test", "markov_tools"]

CLUSTERS = 10
SAMPLES, STEPS_PER_SAMPLE = 100, 10
MOST_LAGS = 8
FRAMES_PER_CLUSTER, FEWEST_PAIRS_PER_PLACE = 10, 5


@dataclass(frozen=True)
class LagTest:
    """The slowest implied time scale −τ / ln λ₂(τ) at one lag τ, with its 95 % interval, in units of time."""

    lag: float
    time_scale: float
    low: float
    high: float


@dataclass(frozen=True)
class Tools:
    """What of deeptime is used: estimation and analysis of transition matrices, and a sampler with a seed."""

    estimation: ModuleType
    analysis: ModuleType
    sampler: type[Any]


def markov_tools() -> Tools:
    """deeptime's tools; raises UserError where it is not installed."""
    try:
        from deeptime.markov.tools import analysis, estimation
        from deeptime.markov.tools.estimation.dense.tmat_sampling import tmatrix_sampler
    except ImportError:
        raise UserError(
            "kinetics needs the package deeptime, which is not installed: pip install 'temporem[kinetics]'."
        ) from None
    return Tools(estimation, analysis, tmatrix_sampler.TransitionMatrixSampler)


def clusters_of(movies: LatentTrajectories, seed: int) -> npt.NDArray[np.int64]:
    """(movies, steps): of each frame one of ten clusters by k-means, fewer for few frames; −1 not seen."""
    count = max(1, min(CLUSTERS, int(movies.seen.sum()) // FRAMES_PER_CLUSTER))
    label = np.full(movies.seen.shape, -1)
    label[movies.seen] = KMeans(count, n_init=1, random_state=seed).fit_predict(movies.values[movies.seen])
    return label


def lag_test(label: npt.NDArray[np.int64], movies: LatentTrajectories, seed: int) -> list[LagTest]:
    """Slowest implied time scale at lags up to a third of the median movie, where there are pairs enough.

    `label` (movies, steps): the place of each frame, −1 where not seen. Pairs of frames a lag apart, missing
    frames between them or not, are counted at all offsets and divided by the lag, because pairs that overlap
    tell the same. The interval is that of a reversible Bayesian model (Trendelkamp-Schroer et al. 2015). A
    process that is Markovian at some lag shows the same time scale at all longer ones. States on the
    likeliest paths of a hidden Markov model lean towards that model: what they show against it is worth more
    than what they show for it.
    """
    tools = markov_tools()
    places = int(label.max()) + 1
    if places < 2:
        return []
    longest = max(1, int(np.median(movies.length)) // 3)
    lags = np.unique(np.geomspace(1, longest, MOST_LAGS).round().astype(int))
    tests = []
    for lag in lags.tolist():
        counts = _counts(label, lag, places)
        if counts.sum() < FEWEST_PAIRS_PER_PLACE * places:
            break
        tests.append(_test(tools, counts / lag, lag * movies.interval, seed))
    return [test for test in tests if test is not None]


def _counts(label: npt.NDArray[np.int64], lag: int, places: int) -> npt.NDArray[np.float64]:
    before, after = label[:, :-lag].ravel(), label[:, lag:].ravel()
    both = (before >= 0) & (after >= 0)
    counts = np.zeros((places, places))
    np.add.at(counts, (before[both], after[both]), 1.0)
    return counts


def _test(tools: Tools, counts: npt.NDArray[np.float64], lag: float, seed: int) -> LagTest | None:
    connected = tools.estimation.largest_connected_submatrix(counts)
    if len(connected) < 2:
        return None
    likeliest = tools.estimation.transition_matrix(connected, reversible=True)
    sampler = tools.sampler(connected, reversible=True, P0=likeliest, n_steps=STEPS_PER_SAMPLE, seed=seed)
    scales = [_slowest(tools, sample, lag) for sample in sampler.sample(SAMPLES)]
    low, high = np.percentile(scales, [2.5, 97.5], method="nearest")
    return LagTest(lag, _slowest(tools, likeliest, lag), float(low), float(high))


def _slowest(tools: Tools, transition: npt.NDArray[np.float64], lag: float) -> float:
    return float(tools.analysis.timescales(transition, tau=lag, k=2)[1].real)
