"""What the movies can and cannot tell of the kinetics, in sentences."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from temporem.evaluation.kinetics.implied_timescales import LagTest
from temporem.evaluation.kinetics.number_of_states import CERTAIN, StateCount
from temporem.evaluation.kinetics.rates import Rates

__all__ = ["doubts", "plateau"]

FEWEST_TRANSITIONS = 10
MOST_LEFT = 0.2
"""Of what states explain, left to more than those that are told apart: beyond it, none are the right ones. On
adenylate kinase that jumps it was 0.05, on a steady drift 0.6."""


def plateau(tests: Sequence[LagTest]) -> LagTest | None:
    """The shortest lag whose time scale all longer lags agree with, within their intervals; the longest lag
    of all is no plateau."""
    for index, test in enumerate(tests[:-1]):
        later = tests[index + 1 :]
        if all(x.low <= test.time_scale <= x.high or test.low <= x.time_scale <= test.high for x in later):
            return test
    return None


def doubts(
    rates: Rates,
    tests: Sequence[LagTest],
    certainty: npt.NDArray[np.float64],
    movie_time: float,
    unit: str,
    tried: Sequence[StateCount],
) -> list[str]:
    """Reasons not to believe the figures, empty where there is none.

    `certainty` (states,): mean probability of a frame's state where it is the likeliest. `movie_time`: from
    the first to the last frame of the median movie. `tried`: numbers of states compared, empty where the
    number was given.
    """
    count = len(certainty)
    better = any(x.behind_best < -1 for x in tried)
    if count == 1 and better:
        return [
            "Several states explain the movies better than one, but do not last or are not told apart: the "
            "motion is likely continuous; there are no rates to report."
        ]
    if count == 1:
        return [
            "One state explains the movies as well as several: either nothing switches, or what changes is "
            "continuous, or the noise hides it; there are no rates to report."
        ]
    said = []
    if tried and count == tried[-1].states:
        said.append(
            f"The largest number of states tried, {count}, fits best: the motion is likely continuous, and "
            "its states are places along it."
        )
    elif better and _left(tried, count) > MOST_LEFT:
        said.append(
            f"More states than {count} explain much more, but do not last or are not told apart: the motion "
            "is likely continuous, and its states are places along it."
        )
    elif better:
        said.append(
            f"More states than {count} would fit the latents a little better, but not last or not be told "
            "apart: within a state the latents are not Gaussian, or their errors last."
        )
    slowest, (_, longest) = rates.relaxation_time, rates.relaxation_time_interval
    if not slowest < movie_time / 2:
        said.append(
            f"The movies are too short for the slowest change: its relaxation time is {slowest:.3g} {unit} "
            f"(up to {longest:.3g}), and the median movie spans {movie_time:.3g} {unit}; the rates come from "
            "counting rare changes over many movies, and hold only if all molecules are alike."
        )
    seen = rates.expected_transitions
    rare = int((seen[~np.eye(count, dtype=bool)] < FEWEST_TRANSITIONS).sum())
    if rare:
        said.append(
            f"{rare} of {count * (count - 1)} kinds of transition are seen fewer than {FEWEST_TRANSITIONS} "
            "times: their rates are guesses."
        )
    vague = [str(i + 1) for i in np.flatnonzero(certainty < CERTAIN)]
    if vague:
        said.append(
            f"Frames of state {', '.join(vague)} are told from the others with less than {CERTAIN:.0%} "
            "certainty: the states overlap, as they do where the motion is continuous."
        )
    if len(tests) < 2:
        said.append("The movies are too short for a lag-time test: whether the states are Markovian is open.")
    elif plateau(tests) is None:
        said.append(
            "The implied time scale keeps changing with the lag time: the frames are not Markovian at any "
            "lag that the movies allow, so the slowest change is likely slower than stated."
        )
    return said


def _left(tried: Sequence[StateCount], count: int) -> float:
    """Of the most that states explain better than one state, what this number leaves to larger ones."""
    explained = [
        x.held_out_log_likelihood_per_frame - tried[0].held_out_log_likelihood_per_frame for x in tried
    ]
    return 1 - explained[count - 1] / max(explained)
