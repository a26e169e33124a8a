from collections import Counter

import numpy as np
import pandas as pd
import pytest

from temporem.evaluation.latent_manifold import (
    category_accuracy,
    latent_manifold,
    ordering,
    principal_axes,
    rank_correlation,
    silhouette,
    step_ratio,
)

RANDOM = np.random.default_rng(0)
MOVIES, FRAMES = 20, 15
MOVIE, FRAME = np.repeat(np.arange(MOVIES), FRAMES), np.tile(np.arange(FRAMES), MOVIES)


def test_principal_axes_of_an_ellipse_whatever_its_sign() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    skewed = RANDOM.exponential(size=(4000, 2)) - 1
    latents = (skewed * [3.0, 1.0]) @ turn.T
    axes = principal_axes(latents)
    assert axes.share == pytest.approx([0.9, 0.1], abs=0.03)
    np.testing.assert_allclose(principal_axes(-latents).share, axes.share)
    assert abs(np.corrcoef(axes.places[:, 0], skewed[:, 0])[0, 1]) > 0.99
    # A turn by 180° changes nothing but the sign, which is chosen by the data.
    assert np.corrcoef(axes.places[:, 0], skewed[:, 0])[0, 1] > 0


def test_silhouette_of_four_points_by_hand() -> None:
    points = np.array([[0.0], [1.0], [5.0], [6.0]])
    # Of 0: 1 − 1 / 5.5; of 1: 1 − 1 / 4.5; and the mirror image.
    expected = (1 - 1 / 5.5 + 1 - 1 / 4.5) / 2
    assert silhouette(points, np.array([0, 0, 1, 1])) == pytest.approx(expected)
    assert silhouette(points, np.zeros(4, int)) is None


def test_category_accuracy_is_that_of_a_plain_loop() -> None:
    latents = RANDOM.normal(size=(len(MOVIE), 2))
    category = np.digitize(latents[:, 0] + 0.5 * RANDOM.normal(size=len(MOVIE)), [-0.7, 0.7])
    right = 0
    for row, place in enumerate(latents):
        others = np.flatnonzero(MOVIE[row] != MOVIE)
        near = others[np.argsort(np.linalg.norm(latents[others] - place, axis=1))[:7]]
        votes = Counter(category[near].tolist())
        most = max(votes.values())
        right += next(x for x in category[near] if votes[x] == most) == category[row]
    assert category_accuracy(latents, category, MOVIE, neighbours=7) == pytest.approx(right / len(MOVIE))


def test_latents_that_only_name_the_movie_tell_no_category() -> None:
    of_movie = RANDOM.integers(5, size=MOVIES)
    latents = RANDOM.normal(size=(MOVIES, 8))[MOVIE]
    accuracy = category_accuracy(latents, of_movie[MOVIE], MOVIE)
    assert accuracy is not None
    assert accuracy < 0.5


def test_steps_along_a_line_and_of_noise() -> None:
    # Mean distance of two of 0 … n − 1, drawn independently, is (n² − 1) / 3n.
    line = step_ratio(FRAME[:, None].astype(float), MOVIE, FRAME)
    assert line == pytest.approx(3 * FRAMES / (FRAMES**2 - 1), rel=0.02)
    noise = step_ratio(RANDOM.normal(size=(len(MOVIE), 8)), MOVIE, FRAME)
    assert noise == pytest.approx(1.0, rel=0.05)


def test_steps_over_missing_frames_are_not_counted() -> None:
    places = np.array([[0.0], [1.0], [50.0], [51.0]])
    whole = step_ratio(places, np.zeros(4, int), np.array([0, 1, 5, 6]))
    broken = step_ratio(places, np.zeros(4, int), np.array([0, 1, 2, 3]))
    assert whole is not None
    assert broken is not None
    assert broken == pytest.approx(17 * whole)
    assert step_ratio(places, np.arange(4), np.zeros(4, int)) is None


def test_a_horseshoe_is_ordered_along_its_bend() -> None:
    along = RANDOM.random(len(MOVIE))
    angle = 1.8 * np.pi * along
    latents = np.stack((np.cos(angle), np.sin(angle)), axis=1) + 0.03 * RANDOM.normal(size=(len(MOVIE), 2))
    found = rank_correlation(ordering(latents), along)
    straight = rank_correlation(principal_axes(latents).places[:, 0], along)
    assert found is not None
    assert straight is not None
    assert found > 0.99
    assert straight < 0.9


def test_what_cannot_be_asked_is_none() -> None:
    apart = np.concatenate((RANDOM.normal(size=(40, 1)), 1e3 + RANDOM.normal(size=(40, 1))))
    assert ordering(apart) is None
    states = pd.DataFrame({"movie": ["a"] * 30, "frame": range(30), "state": 0.5, "category": 0})
    figures = latent_manifold(RANDOM.normal(size=(30, 3)), states)
    for name in ("leading_axis_spearman", "ordering_spearman", "silhouette", "category_accuracy"):
        assert figures[name] is None
    assert figures["step_ratio"] == pytest.approx(1.0, rel=0.3)
    assert figures["state_step_ratio"] is None
