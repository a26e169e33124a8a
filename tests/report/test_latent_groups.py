"""Densities and classes of the latents."""

import numpy as np
import pandas as pd
import pytest

from temporem.report.classes_section import latent_classes
from temporem.report.latent_densities import movie_densities


def two_groups() -> pd.DataFrame:
    """Ten movies: four stay left, four stay right, two go from left to right."""
    random = np.random.default_rng(0)
    side = np.repeat([[-1, -1]] * 4 + [[1, 1]] * 4 + [[-1, 1]] * 2, 5, axis=1)
    z1 = 5.0 * side.ravel() + 0.1 * random.normal(size=100)
    frame = np.tile(np.arange(10), 10)
    movie = np.repeat([f"m{i}" for i in range(10)], 10)
    z2 = np.where(frame % 2 == 0, 1.0, -1.0) + 0.1 * random.normal(size=100)
    table = {"image": np.arange(100), "movie": movie, "frame": frame, "time": frame * 1.0, "z1": z1, "z2": z2}
    return pd.DataFrame(table | {"sd1": 0.5, "sd2": 0.1})


def test_densities_have_area_one_and_stand_in_order_of_their_means() -> None:
    movies, points, density = movie_densities(two_groups())
    area = density.sum(axis=1) * (points[1] - points[0])
    np.testing.assert_allclose(area, 1, atol=0.01)
    ends = [set(movies[:4]), set(movies[6:])]
    assert {"m0", "m1", "m2", "m3"} in ends
    assert {"m4", "m5", "m6", "m7"} in ends
    # A movie that goes across has two peaks, as high as each other, and little between.
    across = density[movies.index("m8")]
    assert across[80] < 0.05 * across.max()
    assert across[:80].max() == pytest.approx(across[80:].max(), rel=0.2)


def test_classes_say_who_visits_them() -> None:
    latents = two_groups()
    classes = latent_classes(latents)
    assert classes["share"].sum() == pytest.approx(1)
    assert len(classes) == 4
    # k-means splits each side by z2, so every movie visits two classes at least.
    assert (classes["movies"] == 6).all()
    assert (classes["through"] == 6).all()
    z1 = latents.set_index("image").loc[classes["image"], "z1"]
    assert (np.sign(z1.to_numpy()) == np.sign(z1.iloc[0]) * np.array([1, 1, -1, -1])).all()


def test_fewer_states_than_classes_are_as_many_classes() -> None:
    latents = two_groups()
    latents[["z1", "z2"]] = np.sign(latents[["z1"]].to_numpy()) * np.ones(2)
    assert len(latent_classes(latents)) == 2
