"""A truth turned, moved and mirrored into a run's frame is still the truth of the same images."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from temporem.evaluation.alignment import align_truth
from temporem.movies.movie_set import MovieSet
from temporem.physics.projection import project
from temporem.physics.rotations import random_rotations
from temporem.simulation.densities import DensityOptions
from temporem.simulation.structures import Structure
from temporem.simulation.truth import Truth

BOX, PIXEL_SIZE = 32, 4.0


@dataclass(frozen=True)
class Blank:
    """Images that nobody looks at."""

    box_size: int
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        raise AssertionError("nothing is read")


def some_truth(count: int) -> Truth:
    generator = torch.Generator().manual_seed(0)
    atoms = (25 * torch.rand(12, 3, generator=generator) - torch.tensor([5.0, 15.0, 10.0])).numpy()
    names, numbers = np.array(["C"] * 12), np.arange(12)
    structure = Structure(
        positions=atoms,
        elements=np.full(12, 6),
        b_factors=np.full(12, 30.0, np.float32),
        chain=names,
        residue=numbers,
        residue_name=names,
        atom_name=names,
        source="",
    )
    return Truth(
        states=pd.DataFrame({"state": np.zeros(count), "conformation": np.zeros(count, np.int64)}),
        unit="",
        rotation=random_rotations(count, generator).numpy(),
        translation_in_angstroms=(3 * torch.randn(count, 2, generator=generator)).numpy(),
        structure=structure,
        positions=atoms[None],
        density=DensityOptions(method="gaussian", sigma_in_angstroms=5.0),
        box_size=BOX,
        pixel_size_in_angstroms=PIXEL_SIZE,
        snr=1.0,
        noise_variance=1.0,
    )


def images(truth: Truth) -> torch.Tensor:
    shift = torch.from_numpy(truth.translation_in_angstroms) / PIXEL_SIZE
    return project(truth.conformation_volume(0), torch.from_numpy(truth.rotation), shift)


def test_moved_truth_makes_the_same_images_and_its_poses_are_the_run_s() -> None:
    truth = some_truth(30)
    # A run of the other hand, elsewhere: A ↦ Z A Z R, t ↦ t − (A c)_xy.
    sign, turn = np.diag([1.0, 1.0, -1.0]), random_rotations(1, torch.Generator().manual_seed(1))[0].numpy()
    rotation = sign @ truth.rotation @ sign @ turn
    translation = truth.translation_in_angstroms - (rotation @ np.array([6.0, -4.0, 3.0]))[:, :2]
    rows = np.arange(len(truth))
    movies = MovieSet(
        Blank(BOX, len(truth)),
        PIXEL_SIZE,
        ("a",),
        0 * rows,
        rows,
        1.0 * rows,
        "frames",
        rotation,
        translation,
    )
    moved, facts = align_truth(movies, truth)
    assert facts["mirrored"] is True
    assert facts["pose_errors"]["percentile_90_rotation_in_degrees"] < 0.1
    assert facts["pose_errors"]["percentile_90_shift_in_angstroms"] < 0.1
    before, after = images(truth), images(moved)
    # Trilinear resampling of one volume and of another: alike, not equal.
    assert (before - after).norm() < 0.05 * before.norm()
    np.testing.assert_allclose(moved.rotation, rotation, atol=1e-3)
