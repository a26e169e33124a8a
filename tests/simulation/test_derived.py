import json
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from temporem.errors import UserError
from temporem.movies.reading import read_movies
from temporem.movies.reading_options import ReadingOptions
from temporem.simulation.densities import DensityOptions
from temporem.simulation.derived import derive
from temporem.simulation.molecules import Torsion
from temporem.simulation.motions import PassingThrough
from temporem.simulation.options import SimulationOptions
from temporem.simulation.simulate import simulate
from temporem.simulation.truth import Truth


@pytest.fixture(scope="module")
def options(peptide: Path) -> SimulationOptions:
    return SimulationOptions(
        molecule=Torsion(structure=str(peptide), residue=6),
        motion=PassingThrough(states=5),
        movies=8,
        frames=5,
        box_size=24,
        density=DensityOptions(method="gaussian", sigma_in_angstroms=3.0),
    )


@pytest.fixture(scope="module")
def simulation(options: SimulationOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("derived") / "simulation"
    simulate(options, folder)
    return folder


def images_of(folder: Path) -> np.ndarray:
    with mrcfile.open(folder / "movies.mrcs") as file:
        return np.array(file.data)


@pytest.mark.parametrize("snr", [0.02, 5.0])
def test_another_snr_is_what_simulating_at_it_gives(
    options: SimulationOptions, simulation: Path, tmp_path: Path, snr: float
) -> None:
    derive(simulation, tmp_path / "derived", "snr", snr)
    simulate(replace(options, snr=snr), tmp_path / "simulated")
    one, two = images_of(tmp_path / "derived"), images_of(tmp_path / "simulated")
    assert np.abs(one - two).max() < 1e-5 * two.std()
    truths = [Truth.load(tmp_path / name) for name in ("derived", "simulated")]
    assert truths[0].snr == truths[1].snr == snr
    assert truths[0].noise_variance == pytest.approx(truths[1].noise_variance)
    stars = [(tmp_path / name / "movies.star").read_text() for name in ("derived", "simulated")]
    assert stars[0] == stars[1]


def test_shuffled_frames_are_the_same_images_at_other_times(simulation: Path, tmp_path: Path) -> None:
    derive(simulation, tmp_path / "shuffled", "shuffled", 1)
    before, after = (
        read_movies(x / "movies.star", ReadingOptions()) for x in (simulation, tmp_path / "shuffled")
    )
    rows = np.arange(40)
    np.testing.assert_array_equal(after.images.read(rows), before.images.read(rows))
    np.testing.assert_array_equal(after.rotation, before.rotation)
    assert [after.movie_ids[i] for i in after.movie] == [before.movie_ids[i] for i in before.movie]
    assert (after.frame != before.frame).mean() > 0.5
    np.testing.assert_array_equal(after.frame.reshape(8, 5).sum(1), before.frame.reshape(8, 5).sum(1))
    states = Truth.load(tmp_path / "shuffled").states
    assert states.equals(Truth.load(simulation).states)


def test_repeated_frames_never_move(simulation: Path, tmp_path: Path) -> None:
    derive(simulation, tmp_path / "repeated", "repeated", 3)
    movies = read_movies(tmp_path / "repeated" / "movies.star", ReadingOptions())
    truth = Truth.load(tmp_path / "repeated")
    assert len(movies) == len(truth) == 120
    assert len(movies.movie_ids) == 40
    images = movies.images.read(np.arange(120)).reshape(40, 3, 24, 24)
    np.testing.assert_array_equal(images[:, 0], images_of(simulation))
    assert (images == images[:, :1]).all()
    assert list(movies.frame[:6]) == [0, 1, 2, 0, 1, 2]
    before = Truth.load(simulation)
    np.testing.assert_array_equal(
        truth.states["state"].to_numpy().reshape(40, 3)[:, 2], before.states["state"]
    )
    np.testing.assert_allclose(truth.rotation[::3], before.rotation)
    np.testing.assert_allclose(movies.rotation, truth.rotation, atol=1e-6)


def test_a_derived_data_set_says_what_it_is(simulation: Path, tmp_path: Path) -> None:
    derive(simulation, tmp_path / "repeated", "repeated", 2)
    assert json.loads((tmp_path / "repeated" / "simulation.json").read_text())["derived"] == {"repeated": 2}
    text = (tmp_path / "repeated" / "README.md").read_text()
    assert "repeated 2 times" in text
    assert "psi of residue 6" in text


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [("snr", -1.0, "positive"), ("repeated", 1, "at least 2"), ("turned", 1, "no way")],
)
def test_impossible_derivations_are_refused(
    simulation: Path, tmp_path: Path, kind: str, value: float, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        derive(simulation, tmp_path / "out", kind, value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_simulation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder of temporem simulate"):
        derive(tmp_path, tmp_path / "out", "snr", 1.0)
