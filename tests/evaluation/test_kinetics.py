"""Rates, dwell times and time scales against the truth of molecules that jump."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jumping_latents import jumping_latents

from temporem.errors import UserError
from temporem.evaluation.kinetics.analysis import measure_kinetics
from temporem.evaluation.kinetics.dwell_times import Dwells, dwells_of, survival_curve
from temporem.evaluation.kinetics.hidden_markov import fit_states
from temporem.evaluation.kinetics.implied_timescales import LagTest, clusters_of, lag_test
from temporem.evaluation.kinetics.options import KineticsOptions
from temporem.evaluation.kinetics.rates import generator_of, transition_rates
from temporem.evaluation.kinetics.trajectories import principal_trajectories
from temporem.evaluation.kinetics.verdict import plateau
from temporem.reconstruction.run import Run

UP, DOWN = 0.08, 0.16
"""Per frame; a frame is half a second."""


def run_with(latents: pd.DataFrame, folder: Path) -> Run:
    found = {"relaxation_times": [4.0]}
    run = Run.create(folder, {"time_unit": "seconds", "usual_interval": 0.5, "found": found})
    latents.drop(columns="state").to_csv(folder / "latents.csv", index=False)
    return run


def test_intervals_of_the_rates_hold_the_truth_as_often_as_they_say() -> None:
    held, relaxed = [], []
    for seed in range(8):
        movies = principal_trajectories(jumping_latents(40, 16, UP, DOWN, 0.3, seed), "seconds")
        rates = transition_rates(fit_states(movies, 2, seed=0), movies, 40, seed=seed)
        low, high = rates.rate_interval
        # The sign of a principal axis is free, and with it which state comes first.
        first = 0 if rates.occupancy[0] > 0.5 else 1
        for a, b, true in ((first, 1 - first, UP / 0.5), (1 - first, first, DOWN / 0.5)):
            held.append(low[a, b] <= true <= high[a, b])
        relaxed.append(rates.relaxation_time)
    # Sixteen intervals of 95 %: fewer than 13 right happens in 7 of 1,000 cases.
    assert sum(held) >= 13
    assert np.mean(relaxed) == pytest.approx(0.5 / (UP + DOWN), rel=0.1)


def test_a_rate_matrix_comes_back_from_its_transition_matrix() -> None:
    from scipy.linalg import expm

    rates = np.array([[-0.3, 0.2, 0.1], [0.05, -0.05, 0.0], [0.0, 0.4, -0.4]])
    np.testing.assert_allclose(generator_of(expm(rates * 0.5), 0.5), rates, atol=1e-9)
    # One that oscillates is no Markov process in continuous time: the first order is given.
    np.testing.assert_allclose(
        generator_of(np.array([[0.2, 0.8], [0.9, 0.1]]), 1.0), [[-0.8, 0.8], [0.9, -0.9]]
    )


def test_stays_are_cut_at_both_ends_of_a_movie() -> None:
    dwells = dwells_of(np.array([[0, 0, 1, 0, 0, 0], [1, 0, 1, 1, -1, -1]]), 0)
    assert dwells.steps.tolist() == [2, 3, 1]
    assert dwells.left.tolist() == [True, False, True]
    assert dwells.begun.tolist() == [False, True, True]


def test_the_mean_stay_allows_for_stays_cut_short() -> None:
    random = np.random.default_rng(0)
    chance = 0.1
    steps = random.geometric(chance, size=400)
    cut = np.minimum(steps, 6)
    dwells = Dwells(cut, steps <= 6, np.ones(400, dtype=bool))
    true = -1 / np.log(1 - chance)
    mean, low, high = dwells.mean_time(1.0)
    assert low < true < high
    assert mean == pytest.approx(true, rel=0.15)
    # Taking the cut stays for whole ones would halve it.
    assert cut.mean() < 0.55 * true


def test_where_no_stay_ends_its_mean_is_bounded_from_below_only() -> None:
    dwells = Dwells(np.array([11, 11]), np.array([False, False]), np.array([True, False]))
    mean, low, high = dwells.mean_time(2.0)
    assert mean == high == np.inf
    # No event in 20 chances: the rule of three and a bit, 20 / 3.69.
    assert low == pytest.approx(-2 / np.log1p(-3.689 / 20), rel=1e-3)


def test_kaplan_and_meier_by_hand() -> None:
    dwells = Dwells(
        np.array([1, 2, 2, 3, 9]), np.array([True, True, False, True, True]), np.array([True] * 4 + [False])
    )
    times, survival, error = survival_curve(dwells)
    assert times.tolist() == [0, 1, 2, 3]
    # At the second chance two stays are at risk: the censored one was last seen before it.
    np.testing.assert_allclose(survival, [1, 3 / 4, 3 / 8, 0])
    assert error[1] == pytest.approx(np.sqrt(3 / 64))


def test_the_lag_test_finds_the_true_time_scale() -> None:
    pytest.importorskip("deeptime")
    movies = principal_trajectories(jumping_latents(80, 40, UP, DOWN, 0.2, seed=4), "seconds")
    tests = lag_test(clusters_of(movies, seed=0), movies, seed=0)
    assert len(tests) > 3
    steady = plateau(tests)
    assert steady is not None
    assert steady.time_scale == pytest.approx(0.5 / (UP + DOWN), rel=0.25)


def test_slow_errors_within_a_state_are_not_taken_for_a_slow_change(tmp_path: Path) -> None:
    pytest.importorskip("deeptime")
    latents = jumping_latents(60, 40, 2 * UP, 2 * DOWN, 0.1, seed=6)
    error = np.random.default_rng(6).normal(size=len(latents))
    for at in range(1, len(error)):
        error[at] += 0.9 * error[at - 1]
    latents["z1"] += 0.1 * error
    movies = principal_trajectories(latents, "seconds")
    true = 0.25 / (UP + DOWN)
    assert lag_test(clusters_of(movies, seed=0), movies, seed=0)[0].low > true
    run = run_with(latents, tmp_path / "run")
    summary = measure_kinetics(run, tmp_path / "out", KineticsOptions(states=2, replicates=20))
    assert summary["markov_time_scale"]["low"] < true < summary["markov_time_scale"]["high"]


def test_no_plateau_while_time_scales_rise() -> None:
    rising = [LagTest(float(x), 2.0 * x, 1.8 * x, 2.2 * x) for x in range(1, 6)]
    assert plateau(rising) is None
    flat = [LagTest(float(x), 5.0, 4.0, 6.0) for x in range(1, 6)]
    assert plateau([LagTest(0.5, 2.0, 1.8, 2.2), *flat]) == flat[0]


def test_a_run_of_jumping_molecules_gives_tables_and_no_doubts(tmp_path: Path) -> None:
    pytest.importorskip("deeptime")
    latents = jumping_latents(60, 40, UP, DOWN, 0.25, seed=5)
    run = run_with(latents, tmp_path / "run")
    summary = measure_kinetics(run, tmp_path / "out", KineticsOptions(most_states=3, replicates=40))
    assert summary["states"] == 2
    assert summary["doubts"] == []
    assert json.loads((tmp_path / "out" / "kinetics.json").read_text()) == summary
    assert summary["prior_relaxation_times"] == [2.0]
    low, high = summary["relaxation_time_interval"]
    assert low < 0.5 / (UP + DOWN) < high
    states = pd.read_csv(tmp_path / "out" / "states.csv")
    assert states["image"].tolist() == latents["image"].tolist()
    agree = (states["state"] - 1 == latents["state"]).mean()
    assert max(agree, 1 - agree) > 0.98
    assert len((tmp_path / "out" / "representatives.txt").read_text().split()) == 2


def test_movies_too_short_to_tell_are_said_to_be(tmp_path: Path) -> None:
    pytest.importorskip("deeptime")
    run = run_with(jumping_latents(40, 6, 0.01, 0.01, 0.2, seed=6), tmp_path / "run")
    summary = measure_kinetics(run, tmp_path / "out", KineticsOptions(states=2, replicates=20))
    assert any("too short" in x for x in summary["doubts"])
    assert any("fewer than 10 times" in x for x in summary["doubts"])


def test_molecules_that_rest_have_no_rates(tmp_path: Path) -> None:
    pytest.importorskip("deeptime")
    latents = jumping_latents(30, 10, 0.1, 0.1, 0.3, seed=7)
    latents["z1"] = latents["z2"].to_numpy()[::-1]
    summary = measure_kinetics(
        run_with(latents, tmp_path / "run"), tmp_path / "out", KineticsOptions(most_states=2)
    )
    assert summary["states"] == 1
    assert "no rates to report" in summary["doubts"][0]


def test_motion_without_states_is_said_to_be_continuous(tmp_path: Path) -> None:
    pytest.importorskip("deeptime")
    latents = jumping_latents(40, 12, 0.1, 0.1, 0.05, seed=8)
    # Every molecule drifts from where it starts, at an even pace.
    start = latents.groupby("movie")["z1"].transform("first")
    latents["z1"] = start + 0.4 * latents["frame"] + 0.1 * latents["z2"]
    options = KineticsOptions(most_states=3, replicates=20)
    summary = measure_kinetics(run_with(latents, tmp_path / "run"), tmp_path / "out", options)
    assert any("likely continuous" in x for x in summary["doubts"])


def test_without_deeptime_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deeptime.markov.tools", None)
    run = run_with(jumping_latents(3, 6, 0.1, 0.1, 0.3, seed=0), tmp_path / "run")
    with pytest.raises(UserError, match=r"temporem\[kinetics\]"):
        measure_kinetics(run, tmp_path / "out", KineticsOptions())


def test_options_that_make_no_sense_are_a_sentence(tmp_path: Path) -> None:
    run = run_with(jumping_latents(3, 6, 0.1, 0.1, 0.3, seed=0), tmp_path / "run")
    with pytest.raises(UserError, match="states must be at least 1"):
        measure_kinetics(run, tmp_path / "out", KineticsOptions(states=0))
    with pytest.raises(UserError, match=f"{len(run.latents())} frames do not tell 19 states apart"):
        measure_kinetics(run, tmp_path / "out", KineticsOptions(states=19))
