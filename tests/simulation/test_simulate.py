import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pandas as pd
import pytest
import torch

from temporem.errors import UserError
from temporem.movies.reading import read_movies
from temporem.movies.reading_options import ReadingOptions
from temporem.physics.ctf import contrast_transfer_function
from temporem.physics.lattice import half_disc
from temporem.simulation import simulate as simulate_module
from temporem.simulation.densities import DensityOptions
from temporem.simulation.molecules import Torsion
from temporem.simulation.motions import ConstantSpeed, PassingThrough, Static, Telegraph
from temporem.simulation.options import MicroscopeOptions, PoseOptions, SimulationOptions
from temporem.simulation.simulate import simulate
from temporem.simulation.truth import Truth


@pytest.fixture
def options(peptide: Path) -> SimulationOptions:
    return SimulationOptions(
        molecule=Torsion(structure=str(peptide), residue=6),
        motion=PassingThrough(states=5),
        movies=4,
        frames=5,
        box_size=32,
        pixel_size_in_angstroms=2.0,
        density=DensityOptions(method="gaussian", sigma_in_angstroms=3.0),
    )


def images_of(folder: Path) -> np.ndarray:
    with mrcfile.open(folder / "movies.mrcs") as file:
        assert file.voxel_size.x == pytest.approx(2.0)
        return np.array(file.data)


def test_the_movies_read_back_as_the_truth_has_them(options: SimulationOptions, tmp_path: Path) -> None:
    simulate(options, tmp_path / "movies")
    truth = Truth.load(tmp_path / "movies")
    movies = read_movies(tmp_path / "movies" / "movies.star", ReadingOptions())
    assert len(movies) == len(truth) == 20
    assert movies.pixel_size_in_angstroms == 2.0
    assert [movies.movie_ids[i] for i in movies.movie] == list(truth.states["movie"])
    assert list(movies.frame) == list(truth.states["frame"])
    np.testing.assert_allclose(movies.rotation, truth.rotation, atol=1e-6)
    np.testing.assert_allclose(movies.translation_in_angstroms, truth.translation_in_angstroms, atol=1e-6)
    np.testing.assert_array_equal(movies.images.read(np.arange(20)), images_of(tmp_path / "movies"))


def test_images_are_projections_of_the_true_volumes_times_the_ctf_plus_noise(
    options: SimulationOptions, tmp_path: Path
) -> None:
    # Rotations about the beam by quarter turns need no interpolation, so the second way is exact; without
    # padding the CTF just multiplies.
    poses = PoseOptions(shift_sd_in_angstroms=0.0)
    options = replace(options, snr=1e9, poses=poses, microscope=MicroscopeOptions(padding=1))
    with pytest.MonkeyPatch.context() as patch:
        quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        turns = torch.stack([torch.matrix_power(quarter, k % 4) for k in range(20)])
        patch.setattr(simulate_module, "draw_rotations", lambda *_: turns)
        simulate(options, tmp_path / "movies")
    truth = Truth.load(tmp_path / "movies")
    movies = read_movies(tmp_path / "movies" / "movies.star", ReadingOptions())
    lattice = half_disc(32)
    assert movies.contrast_transfer is not None
    ctf = contrast_transfer_function(movies.contrast_transfer, lattice.frequency / 64.0)
    for row, (image, volume) in enumerate(zip(images_of(tmp_path / "movies"), truth.volumes(), strict=True)):
        projection = volume.sum(0)
        # (x, y) → (−y, x): what was at column j is at row j, what was at row i at column −i.
        for _ in range(row % 4):
            projection = projection.T.flip(1).roll(1, 1)
        expected = lattice.to_images(ctf[row] * lattice.from_images(projection))
        assert (torch.from_numpy(image) - expected).norm() < 1e-3 * expected.norm()


@pytest.mark.parametrize("noise", ["white", "coloured"])
def test_the_noise_has_the_variance_that_the_snr_says(
    options: SimulationOptions, tmp_path: Path, noise: str
) -> None:
    options = replace(options, snr=0.2, noise=noise)
    simulate(options, tmp_path / "noisy")
    simulate(replace(options, snr=1e12), tmp_path / "clean")
    clean = images_of(tmp_path / "clean")
    residual = images_of(tmp_path / "noisy") - clean
    assert residual.var() == pytest.approx(clean.var() / 0.2, rel=0.05)
    truth = Truth.load(tmp_path / "noisy")
    assert truth.signal_variance == pytest.approx(clean.var(), rel=1e-4)
    assert truth.noise_variance == pytest.approx(residual.var(), rel=0.05)


def test_the_same_seed_gives_the_same_movies_and_another_seed_others(
    options: SimulationOptions, tmp_path: Path
) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        simulate(replace(options, seed=seed), tmp_path / name)
    names = {x.relative_to(tmp_path / "first") for x in (tmp_path / "first").rglob("*") if x.is_file()}
    assert {str(x) for x in names} >= {"movies.star", "movies.mrcs", "simulation.json"}
    for name in names - {Path("truth/structure.npz"), Path("truth/poses.npz")}:
        # .npz files are zip archives and hold the time they were made.
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    first, again, other = (Truth.load(tmp_path / name) for name in ("first", "again", "other"))
    assert np.array_equal(first.rotation, again.rotation)
    assert torch.equal(first.volume(np.arange(20)), again.volume(np.arange(20)))
    assert not np.array_equal(images_of(tmp_path / "first"), images_of(tmp_path / "other"))
    assert not np.array_equal(first.states["state"], other.states["state"])


def test_movies_of_several_lengths_with_missing_frames(options: SimulationOptions, tmp_path: Path) -> None:
    options = replace(options, movies=12, frames=9, shortest_movie=4, missing_fraction=0.3)
    simulate(options, tmp_path / "movies")
    states = Truth.load(tmp_path / "movies").states
    counts = states.groupby("movie").size()
    assert len(counts) == 12
    assert counts.min() >= 2
    assert counts.nunique() > 2
    gaps = states.groupby("movie")["frame"].diff().dropna()
    assert (gaps >= 1).all()
    assert (gaps > 1).any()
    movies = read_movies(tmp_path / "movies" / "movies.star", ReadingOptions())
    assert list(movies.frame) == list(states["frame"])


def test_the_frame_number_tells_the_state_but_not_in_the_twin(
    options: SimulationOptions, tmp_path: Path
) -> None:
    correlation = {}
    for twin in (False, True):
        simulate(replace(options, movies=20, box_size=16, twin=twin), tmp_path / f"{twin}")
        states = Truth.load(tmp_path / f"{twin}").states
        correlation[twin] = np.corrcoef(states["frame"], states["state"])[0, 1]
    assert correlation[False] > 0.95
    assert abs(correlation[True]) < 0.4


@pytest.mark.parametrize(
    "motion", [ConstantSpeed(5.0, 5), Telegraph(0.3, 0.3), Static()], ids=["constant", "telegraph", "static"]
)
def test_other_motions_tumbling_and_no_ctf(
    options: SimulationOptions, tmp_path: Path, motion: ConstantSpeed | Telegraph | Static
) -> None:
    options = replace(
        options,
        motion=motion,
        poses=PoseOptions(tumbling="diffusion"),
        microscope=MicroscopeOptions(ctf=False),
        twin=True,
    )
    simulate(options, tmp_path / "movies")
    assert read_movies(tmp_path / "movies" / "movies.star", ReadingOptions()).contrast_transfer is None
    assert Truth.load(tmp_path / "movies").states["state"].between(0, 1).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"movies": 0}, "movies"),
        ({"frames": 1}, "one frame"),
        ({"shortest_movie": 7}, "shortest-movie"),
        ({"missing_fraction": 1.0}, "missing-fraction"),
        ({"box_size": 31}, "even"),
        ({"pixel_size_in_angstroms": float("nan")}, "pixel-size"),
        ({"snr": 0.0}, "snr"),
        ({"seed": -1}, "seed"),
        ({"pixel_size_in_angstroms": 0.2}, "raise box-size"),
        ({"microscope": MicroscopeOptions(defocus_in_micrometres=(2.0, 1.0))}, "defocus"),
        ({"poses": PoseOptions(shift_sd_in_angstroms=-1.0)}, "shift-sd"),
    ],
)
def test_mistakes_are_sentences_and_leave_nothing(
    options: SimulationOptions, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        simulate(replace(options, **change), tmp_path / "movies")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_holds_something_is_left_alone(options: SimulationOptions, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="choose another"):
        simulate(options, tmp_path)
    assert [x.name for x in tmp_path.iterdir()] == ["notes.txt"]


def test_an_interruption_leaves_nothing(
    options: SimulationOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate_module, "write_mrcs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulate(options, tmp_path / "movies")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(options: SimulationOptions, tmp_path: Path) -> None:
    (tmp_path / "movies").mkdir()
    simulate(options, tmp_path / "movies")
    assert isinstance(Truth.load(tmp_path / "movies").states, pd.DataFrame)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve room on the disk")
def test_a_full_disk_is_an_error_and_leaves_nothing(
    options: SimulationOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # The images are written through a memory map, where a full disk would be the end of the process.
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        simulate(options, tmp_path / "movies")
    assert list(tmp_path.iterdir()) == []
