"""`temporem kinetics`: everything measured on a run's latents, written as tables and one summary."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from temporem.errors import UserError
from temporem.evaluation.kinetics.dwell_times import dwells_of, survival_curve
from temporem.evaluation.kinetics.hidden_markov import (
    GaussianStates,
    fit_states,
    forward_backward,
    most_likely_paths,
)
from temporem.evaluation.kinetics.implied_timescales import clusters_of, lag_test, markov_tools
from temporem.evaluation.kinetics.number_of_states import StateCount, choose_states, state_certainty
from temporem.evaluation.kinetics.options import KineticsOptions
from temporem.evaluation.kinetics.rates import Rates, transition_rates
from temporem.evaluation.kinetics.trajectories import LatentTrajectories, principal_trajectories
from temporem.evaluation.kinetics.verdict import doubts, plateau
from temporem.files import replacing, write_json, write_text
from temporem.reconstruction.run import Run

__all__ = ["measure_kinetics"]


def measure_kinetics(run: Run, output: Path, options: KineticsOptions) -> dict[str, Any]:
    """Write into the folder `output`, and return the summary.

    - `kinetics.json`: number of states, rates, occupancies, dwell and relaxation times with 95 % intervals,
      and `doubts`: what the movies cannot tell, in sentences.
    - `states.csv`: each image's likeliest state (from 1) on its movie's likeliest path, and the probability
      of every state. `representatives.txt`: for each state the image nearest its mean.
    - `rates.csv`, `dwell_times.csv`, `survival.csv`, `implied_timescales.csv`, `number_of_states.csv`.

    Raises UserError where deeptime is missing, the run's movies are fewer than two, or its frames
    fewer than the states.
    """
    options.check()
    markov_tools()
    config = run.config
    movies = principal_trajectories(run.latents(), str(config.get("time_unit", "frames")))
    if len(movies.seen) < 2:
        raise UserError(f"the run {run.path} has one movie: kinetics need several.")
    asked, frames = options.states or options.most_states, int(movies.seen.sum())
    if asked > frames:
        raise UserError(f"{frames} frames do not tell {asked} states apart: ask for fewer with --states.")
    told: list[StateCount] = []
    if options.states is None:
        states, told = choose_states(movies, options.most_states, options.seed)
        _write_table(output / "number_of_states.csv", [asdict(x) for x in told])
    else:
        states = fit_states(movies, options.states, options.seed)
    rates = transition_rates(states, movies, options.replicates, options.seed)
    paths = most_likely_paths(states, movies)
    probability = forward_backward(
        states.log_density(movies), movies.within, states.start, states.transition
    ).probability
    # Of the states where there are some: within one of them the smoother has drawn latents together, and
    # places finer than states show that for a slow motion.
    places = np.where(movies.seen, paths, -1) if states.count > 1 else clusters_of(movies, options.seed)
    tests = lag_test(places, movies, options.seed)
    _write_states(output, movies, states, paths, probability)
    _write_table(output / "implied_timescales.csv", [asdict(x) for x in tests])
    dwell = _write_dwells(output, paths, states.count, movies.interval)
    _write_table(output / "rates.csv", _rate_rows(rates))
    movie_time = float(np.median(movies.length - 1)) * movies.interval
    certainty = state_certainty(states, movies, paths)
    steady = plateau(tests)
    summary = {
        "time_unit": movies.unit,
        "interval": movies.interval,
        "movies": len(movies.seen),
        "median_movie_time": movie_time,
        "states": states.count,
        "chosen_by": "--states" if options.states is not None else "held-out likelihood",
        "occupancy": _with_interval(rates.occupancy, rates.occupancy_interval),
        "certainty": certainty.tolist(),
        "mean_dwell_time": dwell,
        "relaxation_time": _number(rates.relaxation_time),
        "relaxation_time_interval": [_number(x) for x in rates.relaxation_time_interval],
        "markov_time_scale": None if steady is None else {k: _number(v) for k, v in asdict(steady).items()},
        "prior_relaxation_times": _prior_times(config),
        "transitions_expected": rates.expected_transitions.tolist(),
        "doubts": doubts(
            rates,
            tests,
            certainty,
            movie_time,
            movies.unit,
            told,
        ),
    }
    write_json(output / "kinetics.json", summary)
    return summary


def _prior_times(config: dict[str, Any]) -> list[float] | None:
    """The prior's Ornstein–Uhlenbeck relaxation times in the run's unit of time, where it learned them."""
    times = (config.get("found") or {}).get("relaxation_times")
    if times is None:
        return None
    return [float(x) * float(config.get("usual_interval", 1.0)) for x in times]


def _write_states(
    output: Path,
    movies: LatentTrajectories,
    states: GaussianStates,
    paths: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float64],
) -> None:
    movie, step = np.nonzero(movies.seen)
    images = movies.images[movie, step]
    table = pd.DataFrame(
        {"image": images, "movie": np.array(movies.movie_ids)[movie], "step": step}
        | {"time_from_first_frame": step * movies.interval, "state": paths[movie, step] + 1}
        | {f"probability{k + 1}": probability[movie, step, k] for k in range(states.count)}
    ).sort_values("image")
    with replacing(output / "states.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    distance = np.linalg.norm(movies.values[movie, step][:, None] - states.mean, axis=-1)
    nearest = images[distance.argmin(axis=0)]
    write_text(output / "representatives.txt", "".join(f"{image}\n" for image in nearest))


def _write_dwells(
    output: Path, paths: npt.NDArray[np.int64], count: int, interval: float
) -> list[dict[str, Any]]:
    stays: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    for state in range(count):
        dwells = dwells_of(paths, state)
        for steps, left, begun in zip(dwells.steps, dwells.left, dwells.begun, strict=True):
            stays.append({"state": state + 1, "time": steps * interval, "ended": left, "begun": begun})
        times, survival, error = survival_curve(dwells)
        for t, share, sd in zip(times, survival, error, strict=True):
            curves.append({"state": state + 1, "time": t * interval, "survival": share, "standard_error": sd})
        mean, low, high = dwells.mean_time(interval)
        means.append(
            {
                "state": state + 1,
                "mean": _number(mean),
                "interval": [_number(low), _number(high)],
                "stays": len(dwells.steps),
                "ends_seen": int(dwells.left.sum()),
            }
        )
    _write_table(output / "dwell_times.csv", stays)
    _write_table(output / "survival.csv", curves)
    return means


def _rate_rows(rates: Rates) -> list[dict[str, Any]]:
    count = len(rates.occupancy)
    return [
        {
            "from": i + 1,
            "to": j + 1,
            "rate": rates.rate[i, j],
            "low": rates.rate_interval[0, i, j],
            "high": rates.rate_interval[1, i, j],
            "transitions_expected": rates.expected_transitions[i, j],
        }
        for i in range(count)
        for j in range(count)
        if i != j
    ]


def _with_interval(
    values: npt.NDArray[np.float64], interval: npt.NDArray[np.float64]
) -> list[dict[str, Any]]:
    return [
        {"state": k + 1, "share": float(value), "interval": interval[:, k].tolist()}
        for k, value in enumerate(values)
    ]


def _number(value: float) -> float | None:
    """What JSON can hold: an infinite time is null."""
    return float(value) if math.isfinite(value) else None


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with replacing(path) as temporary:
        pd.DataFrame(list(rows)).to_csv(temporary, index=False, float_format="%.6g")
