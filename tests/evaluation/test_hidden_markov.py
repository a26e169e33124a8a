from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from jumping_latents import jumping_latents

from temporem.errors import UserError
from temporem.evaluation.kinetics.hidden_markov import (
    GaussianStates,
    fit_states,
    forward_backward,
    most_likely_paths,
)
from temporem.evaluation.kinetics.number_of_states import choose_states
from temporem.evaluation.kinetics.trajectories import LatentTrajectories, principal_trajectories


def few_movies() -> LatentTrajectories:
    """Three movies of 2 to 4 steps, one frame missing."""
    random = np.random.default_rng(3)
    seen = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0]], dtype=bool)
    values = random.normal(size=(3, 4, 2)) * seen[..., None]
    return LatentTrajectories(values, seen, 1.0, "frames", ("a", "b", "c"), np.where(seen, 0, -1))


STATES = GaussianStates(
    np.array([0.3, 0.7]),
    np.array([[0.8, 0.2], [0.4, 0.6]]),
    np.array([[-1.0, 0.0], [1.0, 0.5]]),
    np.array([[[1.0, 0.2], [0.2, 0.5]], [[0.7, 0.0], [0.0, 2.0]]]),
)


def paths_with_weights(movies: LatentTrajectories, movie: int) -> tuple[np.ndarray, np.ndarray]:
    """Every path of states of a movie, and its joint density with what was seen."""
    length = int(movies.length[movie])
    paths = np.stack(np.meshgrid(*[range(2)] * length, indexing="ij"), axis=-1).reshape(-1, length)
    weights = []
    for path in paths:
        weight = STATES.start[path[0]]
        for a, b in pairwise(path):
            weight *= STATES.transition[a, b]
        for t, k in enumerate(path):
            if movies.seen[movie, t]:
                off, cov = movies.values[movie, t] - STATES.mean[k], STATES.covariance[k]
                density = np.exp(-0.5 * off @ np.linalg.inv(cov) @ off)
                weight *= density / np.sqrt(np.linalg.det(2 * np.pi * cov))
        weights.append(weight)
    return paths, np.array(weights)


def test_smoothing_and_paths_are_those_of_summing_over_every_path() -> None:
    movies = few_movies()
    density = STATES.log_density(movies)
    smoothed = forward_backward(density, movies.within, STATES.start, STATES.transition)
    likeliest = most_likely_paths(STATES, movies)
    for movie in range(3):
        paths, weights = paths_with_weights(movies, movie)
        length = paths.shape[1]
        assert smoothed.log_likelihood[movie] == pytest.approx(np.log(weights.sum()))
        posterior = weights / weights.sum()
        for t in range(length):
            assert smoothed.probability[movie, t, 1] == pytest.approx(posterior @ (paths[:, t] == 1))
        crossings = ((paths[:, :-1] == 0) & (paths[:, 1:] == 1)).sum(axis=1)
        assert smoothed.transitions[movie, 0, 1] == pytest.approx(posterior @ crossings)
        np.testing.assert_array_equal(likeliest[movie, :length], paths[weights.argmax()])
        assert (likeliest[movie, length:] == -1).all()


def test_models_side_by_side_are_as_one_by_one() -> None:
    movies = few_movies()
    density = STATES.log_density(movies)
    other = np.array([[0.5, 0.5], [0.1, 0.9]])
    both = forward_backward(
        density, movies.within, np.stack([STATES.start] * 2), np.stack([STATES.transition, other])
    )
    alone = forward_backward(density, movies.within, STATES.start, other)
    np.testing.assert_allclose(both.transitions[1], alone.transitions)
    np.testing.assert_allclose(both.log_likelihood[1], alone.log_likelihood)


def test_the_fit_is_as_likely_as_that_of_deeptime() -> None:
    hmm = pytest.importorskip("deeptime.markov.hmm")
    latents = jumping_latents(30, 20, 0.1, 0.2, 0.4, seed=1).drop(columns=["z2", "sd2"])
    movies = principal_trajectories(latents, "frames")
    ours = fit_states(movies, 2, seed=0)
    several = [movies.values[i, : movies.length[i], 0] for i in range(len(movies.seen))]
    start = hmm.init.gaussian.from_data(several, 2, reversible=False)
    theirs = hmm.MaximumLikelihoodHMM(start, lagtime=1, reversible=False).fit_fetch(several)
    order = np.argsort(theirs.output_model.means)
    np.testing.assert_allclose(ours.mean[:, 0], theirs.output_model.means[order], atol=0.02)
    matrix = theirs.transition_model.transition_matrix[np.ix_(order, order)]
    np.testing.assert_allclose(ours.transition, matrix, atol=0.01)


def test_states_are_found_in_spite_of_missing_frames() -> None:
    latents = jumping_latents(60, 20, 0.08, 0.15, 0.3, seed=2, missing=0.3)
    movies = principal_trajectories(latents, "seconds")
    assert movies.interval == 0.5
    states = fit_states(movies, 2, seed=0)
    paths = most_likely_paths(states, movies)
    movie, step = np.nonzero(movies.seen)
    true = latents.set_index("image").loc[movies.images[movie, step], "state"].to_numpy()
    found = paths[movie, step]
    assert max((found == true).mean(), (found != true).mean()) > 0.98


@pytest.mark.parametrize(("gap", "expected"), [(1.0, 2), (0.0, 1)])
def test_as_many_states_are_chosen_as_there_are(gap: float, expected: int) -> None:
    latents = jumping_latents(40, 16, 0.1, 0.1, 0.25, seed=3)
    latents["z1"] -= (1 - gap) * (2 * latents["state"] - 1)
    states, told = choose_states(principal_trajectories(latents, "frames"), 3, seed=0)
    assert states.count == expected
    # Another criterion, which sees all movies at once, agrees.
    assert min(told, key=lambda x: x.bic).states == expected


def test_frames_beside_a_jump_that_lie_between_the_states_are_no_state_of_their_own() -> None:
    """As a smoother leaves them that takes the motion for continuous."""
    latents = jumping_latents(40, 30, 0.1, 0.2, 0.1, seed=3)
    state = latents["state"].to_numpy()
    of_movie = latents.groupby("movie")["state"]
    beside = (of_movie.shift(1, fill_value=1) == 0) | (of_movie.shift(-1, fill_value=1) == 0)
    latents.loc[beside & (state == 1), "z1"] -= 0.7
    states, told = choose_states(principal_trajectories(latents, "frames"), 4, seed=0)
    assert states.count == 2
    # The likelihood alone would have them one.
    assert told[2].behind_best < -1
    assert told[2].shortest_stay_in_frames < 2


def test_the_shape_of_a_states_latents_is_no_further_state() -> None:
    """Errors that last within a stay, and are no Gaussian: states in a state, which overlap."""
    latents = jumping_latents(40, 30, 0.1, 0.2, 0.15, seed=3)
    random = np.random.default_rng(3)
    for _, rows in latents.groupby("movie").groups.items():
        error = random.normal(size=len(rows))
        for at in range(1, len(error)):
            error[at] = 0.6 * error[at - 1] + 0.8 * error[at]
        latents.loc[rows, "z1"] += np.where(latents.loc[rows, "state"] == 1, 0.35, 0.05) * error
    states, told = choose_states(principal_trajectories(latents, "frames"), 4, seed=0)
    assert states.count == 2
    assert any(x.behind_best < -1 and x.least_certainty < 0.9 for x in told[2:])


def test_axes_are_kept_that_hold_the_variance() -> None:
    random = np.random.default_rng(0)
    count = 200
    z = random.normal(size=(count, 5)) * [3.0, 2.0, 0.3, 0.2, 0.1]
    columns = {f"z{i + 1}": z[:, i] for i in range(5)} | {f"sd{i + 1}": 0.1 for i in range(5)}
    frame = np.tile(np.arange(20), 10)
    movie = np.repeat([f"m{i}" for i in range(10)], 20)
    table = {"image": np.arange(count), "movie": movie, "frame": frame, "time": frame * 1.0}
    movies = principal_trajectories(pd.DataFrame(table | columns), "frames")
    assert movies.values.shape == (10, 20, 2)
    assert movies.values[..., 0].std() == pytest.approx(z[:, 0].std(), rel=0.05)


def test_frame_numbers_that_do_not_count_frames_are_refused() -> None:
    latents = jumping_latents(3, 6, 0.1, 0.1, 0.3, seed=0)
    latents.loc[2, "frame"] = 10**9
    with pytest.raises(UserError, match="span"):
        principal_trajectories(latents, "frames")
