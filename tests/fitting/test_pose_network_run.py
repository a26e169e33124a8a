"""Runs whose poses a network infers: whole folders, at poses of their own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from blob_movies import swinging, write_movies

from temporem.errors import UserError
from temporem.fitting.options import FittingOptions, Method
from temporem.fitting.pose_network import exploring, inferring
from temporem.fitting.reconstruct import reconstruct
from temporem.fitting.trainer import Trainer
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.reconstruction.run import Run

BOX = 16


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploring, "DRAWS", 20)
    monkeypatch.setattr(exploring, "ROUNDS", ((2, 2),))


def fitted(
    folder: Path, movies: Path, resume: bool = False, method: Method = "hetem", epochs: int = 2
) -> Run:
    options = FittingOptions(
        method=method,
        pose_network=True,
        pretraining=method == "tempor",
        latent_dim=1,
        epochs=epochs,
        width=16,
        layers=1,
        learning_rate=1e-3,
        prior="standard",
    )
    return reconstruct(movies, folder, ReadingOptions(), PreprocessingOptions(sign="bright"), options, resume)


@pytest.fixture(scope="module")
def unposed_movies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movies")
    return write_movies(folder, swinging(8, 5), BOX, snr=10.0, with_poses=False)


@pytest.mark.parametrize("method", ["hetem", "tempor"])
def test_a_run_from_nothing_is_whole_and_at_its_own_poses(
    method: Method, unposed_movies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two passes teach little: by one measure these poses are lost, by the other not.
    monkeypatch.setattr(inferring, "LOST_IN_DEGREES", 1.0 if method == "hetem" else 90.0)
    run = fitted(tmp_path / "run", unposed_movies, method=method)
    assert run.config["answer_of"] == method
    told = run.config["poses"]
    assert told["kind"] == "network"
    assert ("do not trust" in told["warning"]) == (method == "hetem")
    again = fitted(tmp_path / "run", unposed_movies, resume=True, method=method)
    assert again.config["poses"] == told
    movies, _ = run.movies()
    assert movies.rotation is not None
    assert movies.translation_in_angstroms is not None
    assert len(np.unique(movies.rotation.round(3), axis=0)) > 10
    determinant = np.linalg.det(movies.rotation)
    np.testing.assert_allclose(determinant, 1, atol=1e-4)
    (row, volume), *_ = run.volumes([3])
    assert row == 3
    assert volume.shape == (BOX, BOX, BOX)
    assert torch.isfinite(volume).all()
    stages = {record["stage"] for record in run.metrics() if "stage" in record}
    assert stages == ({"hetem"} if method == "hetem" else {"hetem", "temporal"})


def test_poses_of_the_file_are_passed_over(tmp_path: Path, unposed_movies: Path) -> None:
    """The same images with poses and without give the same run."""
    posed = write_movies(tmp_path / "posed", swinging(8, 5), BOX, snr=10.0)
    assert read_movies(posed).rotation is not None
    found = [
        fitted(tmp_path / name, movies).latents()["z1"]
        for name, movies in (("with", posed), ("without", unposed_movies))
    ]
    np.testing.assert_array_equal(*found)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    tmp_path: Path, unposed_movies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted(tmp_path / "whole", unposed_movies, epochs=2)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Trainer, "_save", _stopping(at=1))
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path / "broken", unposed_movies, epochs=2)
    resumed = fitted(tmp_path / "broken", unposed_movies, resume=True, epochs=2)
    assert resumed.poses_path.read_text() == whole.poses_path.read_text()


def _stopping(at: int) -> Callable[[Trainer], None]:
    save = Trainer._save

    def stop(trainer: Trainer) -> None:
        save(trainer)
        if trainer.epoch == at:
            raise KeyboardInterrupt

    return stop


def test_a_pose_network_has_no_place_in_the_linear_method() -> None:
    with pytest.raises(UserError, match="pose-network"):
        FittingOptions(method="linear", pose_network=True).check()
