import numpy as np
import pytest

from temporem.evaluation.latent_map import fit_latent_map

RANDOM = np.random.default_rng(0)
MOVIE = np.repeat(np.arange(12), 10)
Z = RANDOM.normal(size=(120, 2))


def test_a_turned_and_scaled_space_is_found_by_degree_one() -> None:
    turn = np.array([[0.6, -0.8], [1.6, 1.2]])
    found = fit_latent_map(Z, Z @ turn + 3.0, MOVIE)
    new = RANDOM.normal(size=(50, 2))
    assert found.r_squared > 0.999
    np.testing.assert_allclose(found(new), new @ turn + 3.0, atol=0.02)


def test_a_bent_space_takes_a_higher_degree() -> None:
    bent = np.column_stack((Z[:, 0], Z[:, 0] ** 2 + Z[:, 1]))
    found = fit_latent_map(Z, bent, MOVIE)
    assert found.degree >= 2
    assert found.r_squared > 0.99


def test_noise_tells_nothing_of_noise() -> None:
    assert fit_latent_map(Z, RANDOM.normal(size=(120, 2)), MOVIE).r_squared < 0.1


def test_latents_count_by_their_variance() -> None:
    """A latent that hardly varies, and is not told at all, hardly counts."""
    target = np.column_stack((10 * Z[:, 0], 0.1 * RANDOM.normal(size=120)))
    assert fit_latent_map(Z, target, MOVIE).r_squared == pytest.approx(1.0, abs=1e-3)


def test_latents_count_by_their_weight_too() -> None:
    target = np.column_stack((Z[:, 0], RANDOM.normal(size=120)))
    even = fit_latent_map(Z, target, MOVIE).r_squared
    assert fit_latent_map(Z, target, MOVIE, np.array([1.0, 1e-4])).r_squared > 0.99 > even + 0.3
