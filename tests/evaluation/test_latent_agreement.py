import numpy as np
import pytest

from temporem.evaluation.latent_agreement import latent_agreement

GENERATOR = np.random.default_rng(0)
MOVIE = np.repeat(np.arange(20), 15)
STATE = np.tile(np.linspace(0, 1, 15), 20)


def test_a_turned_and_scaled_state_is_found_whole():
    noise = 0.01 * GENERATOR.standard_normal((len(STATE), 4))
    latents = noise + STATE[:, None] * np.array([0.3, -2.0, 1.0, 0.0])
    agreement = latent_agreement(latents, STATE, MOVIE)
    assert agreement is not None
    assert agreement["linear_r_squared"] > 0.99
    assert agreement["neighbour_r_squared"] > 0.99
    assert agreement["spearman"] > 0.99


def test_the_median_error_is_that_of_the_latents_whatever_their_scale():
    # Along a bent but monotone path, noise moves the state by as much as its slope says.
    state, noise = GENERATOR.random(len(STATE)), 0.02 * GENERATOR.standard_normal(len(STATE))
    latents = 7.0 - 3.0 * (state + noise)[:, None] ** 3
    agreement = latent_agreement(latents, 90 * state, MOVIE)
    assert agreement is not None
    # The median of a half-normal distribution is 0.674 of its scale.
    assert agreement["median_error"] == pytest.approx(90 * 0.02 * 0.674, rel=0.2)


def test_a_circle_is_followed_by_neighbours_but_not_by_a_line():
    angle = 2 * np.pi * STATE * 0.95
    latents = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.01 * GENERATOR.standard_normal(
        (len(STATE), 2)
    )
    agreement = latent_agreement(latents, STATE, MOVIE)
    assert agreement is not None
    assert agreement["neighbour_r_squared"] > 0.95
    assert agreement["linear_r_squared"] < 0.8


def test_latents_that_only_name_the_movie_explain_nothing():
    # Within a movie the state hardly changes: naming the movie would explain it, were its own frames used.
    state = GENERATOR.random(20)[MOVIE] + 0.01 * GENERATOR.standard_normal(len(MOVIE))
    latents = GENERATOR.standard_normal((20, 8))[MOVIE]
    agreement = latent_agreement(latents, state, MOVIE)
    assert agreement is not None
    assert agreement["linear_r_squared"] < 0.2
    assert agreement["neighbour_r_squared"] < 0.2


def test_collapsed_latents_explain_nothing():
    agreement = latent_agreement(np.zeros((len(STATE), 3)), STATE, MOVIE)
    assert agreement is not None
    assert agreement["spearman"] == 0.0
    assert agreement["linear_r_squared"] == pytest.approx(0.0, abs=0.01)
    assert agreement["median_error"] == pytest.approx(np.median(np.abs(STATE - STATE.mean())))


def test_there_is_nothing_to_ask_of_a_static_molecule_or_of_one_movie():
    assert latent_agreement(STATE[:, None], np.zeros_like(STATE), MOVIE) is None
    assert latent_agreement(STATE[:, None], STATE, np.zeros_like(MOVIE)) is None
