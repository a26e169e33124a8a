import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scored_runs import EDGE, scored

from temporem.errors import UserError
from temporem.evaluation.comparable import read_evaluations
from temporem.evaluation.compared_runs import compared_with, sentences_of, tell_runs
from temporem.evaluation.comparison import ComparisonOptions, compare_runs, improvement_in_percent
from temporem.evaluation.evaluation_folder import Evaluation
from temporem.reconstruction.run import Run

MOVIE = np.repeat(np.arange(10), 4)
RANDOM = np.random.default_rng(0)


def test_the_improvement_factor_by_hand() -> None:
    np.testing.assert_allclose(
        improvement_in_percent(np.array([8.0, 12.0, 6.0]), np.array([10.0, 10.0, 6.0])), [20.0, -20.0, 0.0]
    )


def test_every_figure_of_a_small_comparison_by_hand() -> None:
    movie = [0, 0, 1, 1]
    # Resolutions 192 / k: 12, 9.6, 8, Nyquist against 16, 9.6, 7.68, Nyquist.
    ours, baseline = scored([16, 20, 24, 99], movie, psnr=31.0), scored([12, 20, 25, 99], movie)
    summary = compare_runs({"ours": ours, "baseline": baseline}).summary
    assert summary["against"] == "baseline"
    assert (summary["frames"], summary["movies"]) == (4, 2)
    of_run = summary["runs"]["ours"]["moving"]
    assert of_run["resolution_in_angstroms"]["mean_over_frames"]["value"] == pytest.approx(
        (12 + 9.6 + 8 + 6) / 4, rel=1e-5
    )
    assert of_run["frames_at_nyquist"] == 1
    gain = summary["improvement"]["ours"]["moving"]
    assert gain["frames_both_at_nyquist"] == 1
    at_half = gain["at_half"]
    assert [at_half[f"fraction_{x}"]["value"] for x in ("improved", "tied", "worse")] == [0.25, 0.5, 0.25]
    percent = (25.0 + 0 + 100 * (7.68 - 8) / 7.68 + 0) / 4
    assert at_half["mean_over_frames"]["percent"]["value"] == pytest.approx(percent, rel=1e-4)
    assert at_half["mean_over_frames"]["angstroms"]["value"] == pytest.approx((4 - 0.32) / 4, rel=1e-4)
    assert summary["improvement"]["ours"]["psnr_in_decibels"]["difference"] == {
        "value": 1.0,
        "low": 1.0,
        "high": 1.0,
    }
    # The largest shell above 0.5 is the one before an exact crossing.
    largest = summary["runs"]["ours"]["whole"]["largest_k_above_half_in_angstroms"]["mean_over_frames"]
    assert largest["value"] == pytest.approx(EDGE * np.mean(1 / np.array([15, 19, 23, 32])))


def test_the_mean_curve_is_read_after_averaging_and_its_ceiling_is_told() -> None:
    # Two straight lines through shells 10 and 12 average to one through 11; the mean of resolutions differs.
    summary = compare_runs({"a": scored([10, 12], [0, 1]), "b": scored([99, 99], [0, 1])}).summary
    resolution = summary["runs"]["a"]["whole"]["resolution_in_angstroms"]
    assert resolution["of_mean_curve"]["value"] == pytest.approx(EDGE / 11, rel=1e-5)
    assert resolution["mean_over_frames"]["value"] == pytest.approx((EDGE / 10 + EDGE / 12) / 2, rel=1e-5)
    assert resolution["of_mean_curve"]["low"] == pytest.approx(EDGE / 12, rel=1e-5)
    assert resolution["of_mean_curve"]["high"] == pytest.approx(EDGE / 10, rel=1e-5)
    assert not summary["runs"]["a"]["whole"]["mean_curve_at_nyquist"]
    assert summary["runs"]["b"]["whole"]["mean_curve_at_nyquist"]
    gain = summary["improvement"]["a"]["whole"]["at_half"]["of_mean_curve"]
    assert gain["percent"]["value"] == pytest.approx(100 * (6 - EDGE / 11) / 6, rel=1e-5)


def test_differences_are_paired() -> None:
    """Movies differ much, the runs always by one shell: the difference is sure where neither run is."""
    shell = RANDOM.uniform(8, 24, size=10)[MOVIE]
    summary = compare_runs({"ours": scored(shell + 1, MOVIE), "other": scored(shell, MOVIE)}).summary
    gain = summary["improvement"]["ours"]["whole"]["at_half"]
    assert gain["fraction_improved"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    of_run = summary["runs"]["ours"]["whole"]["resolution_in_angstroms"]["mean_over_frames"]
    difference = gain["mean_over_frames"]["angstroms"]
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert difference["high"] - difference["low"] < 0.4 * (of_run["high"] - of_run["low"])


def test_a_run_is_no_better_than_itself() -> None:
    shell = RANDOM.uniform(8, 24, size=len(MOVIE))
    summary = compare_runs({"one": scored(shell, MOVIE), "two": scored(shell, MOVIE)}).summary
    for mask in summary["masks"]:
        gain = summary["improvement"]["one"][mask]["at_half"]
        assert gain["fraction_tied"]["value"] == 1.0
        for mean in ("mean_over_frames", "of_mean_curve"):
            assert gain[mean]["percent"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_only_common_frames_are_compared_in_any_order_of_images() -> None:
    few = scored([10, 12, 14], [1, 0, 0], image=[2, 0, 1], state=[1.0, 0.0, 0.5])
    more = scored([11, 11, 11, 11], [0, 0, 1, 1], state=[0.0, 0.5, 1.0, 0.7])
    comparison = compare_runs({"few": few, "more": more}, ComparisonOptions(draws=10))
    assert comparison.summary["frames"] == 3
    table = comparison.frames[comparison.frames["run"] == "few"]
    assert list(table["image"]) == [0, 1, 2]
    np.testing.assert_allclose(
        table["whole_resolution_in_angstroms"], EDGE / np.array([12, 14, 10]), rtol=1e-5
    )
    np.testing.assert_allclose(
        table["whole_improvement_in_percent"], 100 * (1 - 11 / np.array([12, 14, 10])), atol=1e-3
    )
    assert comparison.frames[comparison.frames["run"] == "more"]["whole_improvement_in_percent"].isna().all()


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (scored([10, 11], [0, 1], image=[7, 8]), "no frame was scored in all of a, b"),
        (scored([10, 11], [0, 1], state=[0.0, 0.9]), "different truths"),
        (scored([10, 11], [0, 2]), "different truths"),
        (
            scored([10, 11], [0, 1], masks={"whole": None, "molecule": 0.3, "moving": 0.05}),
            "different truths",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(other, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        compare_runs({"a": scored([10, 11], [0, 1]), "b": other})


def of_movies(snr: float, variance: float) -> Evaluation:
    one = scored([10, 11], [0, 1])
    return replace(one, summary=one.summary | {"noise": {"snr": snr, "variance": variance}})


@pytest.mark.parametrize(("snr", "variance"), [(10.0, 0.003), (1.0, 0.0302)])
def test_other_movies_of_one_truth_are_refused(snr: float, variance: float) -> None:
    """Another SNR; and another seed, whose poses make images of another variance."""
    evaluations = {"old": scored([10, 11], [0, 1]), "a": of_movies(1.0, 0.03), "b": of_movies(snr, variance)}
    told = (
        "a was scored on movies of SNR 1 (noise of variance 0.03), and b on movies of"
        f" SNR {snr:g} (noise of variance {variance:g}): compare runs of the same movies."
    )
    with pytest.raises(UserError, match=re.escape(told)):
        compare_runs(evaluations)


def test_the_same_movies_are_compared_though_rounded_otherwise_or_scored_before_noise_was_noted() -> None:
    evaluations = {
        "old": scored([10, 11], [0, 1]),
        "here": of_movies(1.0, 0.03),
        "there": of_movies(1.0, 0.03 * (1 + 1e-7)),
    }
    assert list(compare_runs(evaluations).summary["runs"]) == ["old", "here", "there"]


def in_run(path: Path, evaluation: Evaluation) -> Evaluation:
    Run.create(path, {})
    return replace(evaluation, path=path / "evaluation")


def test_each_run_is_told_how_it_did(tmp_path: Path) -> None:
    shell = np.array([12.0, 12, 16, 16])
    ours = in_run(tmp_path / "ours", scored(shell * 1.25, [0, 0, 1, 1], psnr=31.5))
    other = in_run(tmp_path / "other", scored(shell, [0, 0, 1, 1]))
    elsewhere = scored(shell, [0, 0, 1, 1])
    summary = compare_runs({"ours": ours, "same": elsewhere, "other": other}).summary
    assert [run.path.name for run in tell_runs(summary)] == ["ours", "other"]
    # 192 / 12 − 192 / 15 and 192 / 16 − 192 / 20.
    by = (
        "2.80 Å {} in the mean of 4 frames (FSC 0.5; 95 % interval 2.40 to 3.20 Å), {} of them finer,"
        " PSNR 1.50 dB {}."
    )
    assert compared_with(Run(tmp_path / "ours")) == [
        "Better than other where the molecule moves: " + by.format("finer", 4, "higher")
    ]
    worse, equal = compared_with(Run(tmp_path / "other"))
    assert worse == "Worse than ours where the molecule moves: " + by.format("coarser", 0, "lower")
    assert equal.startswith("Not beyond doubt better or worse than same")


def test_frames_that_are_equal_are_told_beside_those_that_are_finer() -> None:
    ours, other = scored([16, 20, 24, 99, 99], [0, 0, 1, 1, 2]), scored([12, 20, 25, 99, 99], [0, 0, 1, 1, 2])
    (sentence,) = sentences_of(compare_runs({"ours": ours, "other": other}).summary)["ours"]
    assert ", 1 of them finer and 3 equal (2 at Nyquist in both), " in sentence
    (turned,) = sentences_of(compare_runs({"ours": other, "other": ours}).summary)["other"]
    assert ", 1 of them finer and 3 equal (2 at Nyquist in both), " in turned


def test_one_run_or_an_unknown_baseline_is_refused() -> None:
    one = scored([10, 11], [0, 1])
    with pytest.raises(UserError, match="two runs or more"):
        compare_runs({"a": one})
    with pytest.raises(UserError, match="no run 'c' among those given: a, b"):
        compare_runs({"a": one, "b": one}, ComparisonOptions(against="c"))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    one = scored([10, 11], [0, 1])
    with pytest.raises(UserError, match=f"--seed is {seed}, but must be from 0"):
        compare_runs({"a": one, "b": one}, ComparisonOptions(seed=seed))


def test_a_folder_without_an_evaluation_and_one_given_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no evaluation"):
        read_evaluations([tmp_path, tmp_path / "other"])
    with pytest.raises(UserError, match="given twice"):
        read_evaluations([tmp_path, tmp_path / "evaluation"])
