import numpy as np
import pytest
from scipy import stats

from temporem.evaluation.bootstrap import MovieBootstrap

RANDOM = np.random.default_rng(0)
MOVIES, FRAMES = 40, 10
MOVIE = np.repeat(np.arange(MOVIES), FRAMES)
OF_MOVIES = RANDOM.normal(size=MOVIES)


def test_intervals_are_those_of_scipy_over_the_movies_means() -> None:
    values = OF_MOVIES[MOVIE] + 0.3 * RANDOM.normal(size=len(MOVIE))
    estimate = MovieBootstrap.of(MOVIE, draws=20_000, seed=1).mean(values)
    means = values.reshape(MOVIES, FRAMES).mean(axis=1)
    expected = stats.bootstrap(
        (means,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert estimate.value == pytest.approx(means.mean())
    assert estimate.low is not None
    assert estimate.high is not None
    width = expected.high - expected.low
    assert abs(estimate.low - expected.low) < 0.03 * width
    assert abs(estimate.high - expected.high) < 0.03 * width


def test_frames_that_repeat_their_movie_make_nothing_surer() -> None:
    many = MovieBootstrap.of(MOVIE, 2000, seed=0).mean(OF_MOVIES[MOVIE])
    one = MovieBootstrap.of(np.arange(MOVIES), 2000, seed=0).mean(OF_MOVIES)
    assert many.low == pytest.approx(one.low)
    assert many.high == pytest.approx(one.high)


def test_long_movies_weigh_by_their_frames() -> None:
    movie = np.array(["long"] * 9 + ["short"])
    bootstrap = MovieBootstrap.of(movie, draws=2000, seed=0)
    drawn = bootstrap.means(np.array([1.0] * 9 + [0.0]))
    # Both movies, one of them twice: nine of ten, all, or none.
    assert {round(float(x), 3) for x in drawn} == {0.0, 0.9, 1.0}
    assert np.mean(drawn == 0.0) == pytest.approx(0.25, abs=0.03)


def test_curves_are_averaged_shell_by_shell() -> None:
    curves = RANDOM.normal(size=(len(MOVIE), 3))
    bootstrap = MovieBootstrap.of(MOVIE, draws=50, seed=0)
    for shell in range(3):
        np.testing.assert_allclose(bootstrap.means(curves)[:, shell], bootstrap.means(curves[:, shell]))


def test_one_movie_has_no_interval() -> None:
    estimate = MovieBootstrap.of(np.zeros(5), 100, seed=0).mean(np.arange(5.0))
    assert (estimate.value, estimate.low, estimate.high) == (2.0, None, None)


def test_the_same_seed_gives_the_same_draws_and_another_does_not() -> None:
    first, again, other = (MovieBootstrap.of(MOVIE, 10, seed).count for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
