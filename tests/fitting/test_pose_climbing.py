"""Climbing and searching in the pose, on frames whose poses are known."""

import math

import pytest
import roma
import torch
from blob_movies import Molecule, store_of
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.ab_initio import expected_sums, sphere
from temporem.fitting.poses.climbing import SlopedVolume, climb
from temporem.fitting.poses.found import PosePrior, Poses
from temporem.fitting.poses.half_volumes import half_volumes, sum_frames
from temporem.fitting.poses.search import log_likelihoods, search_poses, see, shift_grid, slices_of
from temporem.physics.rotation_grids import rotation_grid
from temporem.physics.rotations import angular_distance, random_rotations

BOX = 24


def known(count: int, noise: float = 0.05) -> tuple[FrameStore, Poses, Tensor]:
    """Frames of a molecule that stands still, their poses, unknown to the store, and its volume."""
    generator = torch.Generator().manual_seed(0)
    poses = Poses(random_rotations(count, generator), torch.randn(count, 2, generator=generator))
    state = torch.full((count,), 0.5)
    clean = Molecule(BOX).images(state, poses.rotation, poses.translation_in_pixels)
    images = clean + noise * clean.std() * torch.randn(clean.shape, generator=generator)
    rows = torch.arange(count).numpy()
    unturned = torch.eye(3).expand(count, 3, 3).clone()
    variance = float(noise * clean.std()) ** 2
    store = store_of(images, unturned, rows // 10, rows % 10 * 1.0, variance)
    return store, poses, Molecule(BOX).volumes(state[:1])[0]


def moved(poses: Poses, degrees: float, pixels: float) -> Poses:
    generator = torch.Generator().manual_seed(1)
    turn = torch.randn(len(poses), 3, generator=generator) * math.radians(degrees) / math.sqrt(3)
    shift = torch.randn(len(poses), 2, generator=generator) * pixels / math.sqrt(2)
    return Poses(roma.rotvec_to_rotmat(turn) @ poses.rotation, poses.translation_in_pixels + shift)


def degrees_apart(a: Poses, b: Poses) -> Tensor:
    return torch.rad2deg(angular_distance(a.rotation, b.rotation))


def test_climbing_brings_poses_back_to_where_the_frames_were_seen_from() -> None:
    store, true, volume = known(40)
    start = moved(true, 5, 1)
    climbed = climb(SlopedVolume(volume), store, torch.arange(40), start, len(store.lattice), 8)
    assert degrees_apart(start, true).median() > 3
    assert degrees_apart(climbed.poses, true).median() < 0.7
    off = climbed.poses.translation_in_pixels - true.translation_in_pixels
    assert off.norm(dim=-1).median() < 0.05


def test_no_step_goes_down_and_a_sharp_prior_holds_a_pose() -> None:
    store, true, volume = known(20)
    start, rows, count = moved(true, 5, 1), torch.arange(20), len(store.lattice)
    sloped = SlopedVolume(volume)
    before = climb(sloped, store, rows, start, count, 0).log_density
    assert (climb(sloped, store, rows, start, count, 4).log_density >= before).all()
    ones = torch.ones(20)
    held = climb(sloped, store, rows, start, count, 6, PosePrior(start, 1e9 * ones, 1e9 * ones))
    assert degrees_apart(held.poses, start).max() < 0.5


def test_log_density_is_the_likelihood_of_whitened_coefficients() -> None:
    store, true, volume = known(3)
    count = store.lattice.count_within(8)
    climbed = climb(SlopedVolume(volume), store, torch.arange(3), true, count, 0)
    shifts = torch.zeros(1, 2)
    for row in range(3):
        at = true.translation_in_pixels[row]
        seen = see(store, torch.tensor([row]), shifts + at, count)
        slices = slices_of(volume, true.rotation[row : row + 1], store.lattice, count)
        value = log_likelihoods(seen, slices, store.lattice)[0, 0, 0]
        assert value == pytest.approx(float(climbed.log_density[row]), rel=1e-3)


def test_search_finds_the_true_pose_where_the_grid_holds_it() -> None:
    store, true, volume = known(6)
    grid = torch.cat((rotation_grid(300), true.rotation))
    shifts = torch.cat((shift_grid(1.0, 3.0), true.translation_in_pixels))
    found = search_poses(store, volume, torch.arange(6), grid, shifts, 8, 4, lambda count, note: None)
    best = found.poses(torch.zeros(6, dtype=torch.long))
    assert torch.equal(best.rotation, true.rotation)
    assert torch.equal(best.translation_in_pixels, true.translation_in_pixels)
    assert (found.log_likelihood.diff(dim=-1) <= 0).all()
    assert (found.evidence <= found.log_likelihood[:, 0]).all()


def test_expected_back_projection_at_one_pose_is_that_of_frames_at_it() -> None:
    store, true, volume = known(5)
    box = 18
    count = len(store.lattice.cropped(box))
    rotation, shift = true.rotation[:1], torch.tensor([[1.0, -2.0]])
    soft = expected_sums(store, volume, torch.arange(5), rotation, shift, count, 1.0, box)
    same = Poses(rotation.expand(5, 3, 3), shift.expand(5, 2))
    hard = sum_frames(store, same, torch.arange(5), box)
    assert torch.allclose(
        soft.numerator, hard.numerator, rtol=1e-3, atol=1e-3 * float(hard.numerator.abs().max())
    )
    assert torch.allclose(soft.denominator, hard.denominator, rtol=1e-3, atol=1e-3)


def test_halves_at_true_poses_give_the_molecule() -> None:
    store, true, volume = known(120, noise=0.3)
    halves = half_volumes(store, true, BOX, sphere(BOX))
    inside = sphere(BOX) > 0.9
    for half in (halves.first, halves.second, halves.whole):
        assert torch.corrcoef(torch.stack((half[inside], volume[inside])))[0, 1] > 0.9
