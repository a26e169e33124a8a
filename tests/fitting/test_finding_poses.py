"""Poses refined, and poses found from nothing, of a small molecule that stands still."""

import math

import pytest
import roma
import torch
from blob_movies import blob_store
from torch import Tensor

from temporem.fitting import linear
from temporem.fitting.frames import FrameStore
from temporem.fitting.poses import ab_initio, estimating, refining, wide_search
from temporem.fitting.poses.ab_initio import Level
from temporem.fitting.poses.estimating import agreement_of, estimate_poses
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.refining import refine_poses, with_mean_of
from temporem.fitting.poses.search import Candidates
from temporem.fitting.poses.settling import changes_told
from temporem.physics.pose_alignment import align_poses
from temporem.physics.rotations import angular_distance, random_rotations


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "FIRST_EPOCHS", 3)
    monkeypatch.setattr(linear, "MORE_EPOCHS", 2)
    monkeypatch.setattr(refining, "STATE_RESOLUTIONS", (15.0,))
    monkeypatch.setattr(estimating, "STATE_RESOLUTIONS", (15.0,))
    monkeypatch.setattr(estimating, "STARTS", 2)
    for module in (estimating, wide_search):
        monkeypatch.setattr(module, "GRID", 1000)
    levels = (Level(4, 400, 3.0, 60, 12, (10.0, 1.0), 0.3), Level(6, 1000, 2.5, 80, 8, (2.0, 1.0), 0.3))
    monkeypatch.setattr(ab_initio, "LEVELS", levels)
    monkeypatch.setattr(estimating, "LEVELS", levels)


def hidden(movies: int, frames: int) -> tuple[FrameStore, Poses]:
    """Movies of a molecule that stands still, whose poses the store does not know, and these."""
    store = blob_store(torch.full((movies, frames), 0.5), box=24, snr=8.0)
    true = store.poses
    return store.unposed(), true


def degrees(a: Tensor, b: Tensor) -> Tensor:
    return torch.rad2deg(angular_distance(a, b))


def test_refining_brings_poses_nearer_to_the_truth() -> None:
    store, true = hidden(24, 10)
    generator = torch.Generator().manual_seed(0)
    turn = torch.randn(len(store), 3, generator=generator) * math.radians(6)
    given = Poses(
        roma.rotvec_to_rotmat(turn) @ true.rotation,
        true.translation_in_pixels + torch.randn(len(store), 2, generator=generator),
    )
    found = refine_poses(store, given, generator)
    before, after = (degrees(poses.rotation, true.rotation).median() for poses in (given, found))
    assert after < 0.6 * before
    off = (found.translation_in_pixels - true.translation_in_pixels).norm(dim=-1)
    assert off.median() < 0.5


@pytest.mark.parametrize("turned_in_degrees", [4.0, 15.0])
def test_how_far_poses_moved_is_told_and_too_far_is_warned_of(turned_in_degrees: float) -> None:
    generator = torch.Generator().manual_seed(0)
    given = Poses(random_rotations(50, generator), torch.zeros(50, 2))
    about_x = roma.rotvec_to_rotmat(torch.tensor([math.radians(turned_in_degrees), 0, 0]))
    told = changes_told(given, Poses(about_x @ given.rotation, torch.full((50, 2), 3.0)), 2.0)
    assert told["median_turn_in_degrees"] == pytest.approx(turned_in_degrees, rel=1e-3)
    assert told["percentile_90_shift_in_angstroms"] == pytest.approx(6 * math.sqrt(2))
    assert bool(told["warning"]) == (turned_in_degrees > 10)


def test_what_varies_with_the_state_is_kept_from_the_poses_given() -> None:
    generator = torch.Generator().manual_seed(0)
    given = Poses(random_rotations(200, generator), torch.randn(200, 2, generator=generator))
    z = torch.randn(200, 2, generator=generator)
    turn = torch.stack((0.1 * z[:, 0], 0.05 * z[:, 1] ** 2, 0.02 + 0 * z[:, 0]), -1)
    rotation = given.rotation @ roma.rotvec_to_rotmat(turn)
    offset = torch.stack((z[:, 0], 2 * z[:, 1], 0.5 + 0 * z[:, 0]), -1)
    shift = given.translation_in_pixels + (given.rotation @ offset[..., None])[:, :2, 0]
    found = with_mean_of(Poses(rotation, shift), given, z)
    assert degrees(found.rotation, given.rotation).max() < 0.1
    assert (found.translation_in_pixels - given.translation_in_pixels).norm(dim=-1).max() < 0.02


def test_poses_are_found_from_nothing() -> None:
    store, true = hidden(24, 10)
    found = estimate_poses(store, torch.Generator().manual_seed(0))
    own = (found.poses.rotation, found.poses.translation_in_pixels)
    turned, _ = align_poses((true.rotation, true.translation_in_pixels), own).poses(
        true.rotation, true.translation_in_pixels
    )
    # By chance the median is above 100 degrees.
    assert degrees(turned, own[0]).median() < 15
    assert found.facts["words"]


def start(rotation: Tensor, evidence: float) -> Candidates:
    frames = len(rotation)
    values = torch.full((frames,), evidence)
    return Candidates(rotation[:, None], torch.zeros(frames, 1, 2), values[:, None], values)


def test_starts_that_differ_by_a_turn_and_a_hand_agree_and_others_are_warned_of() -> None:
    generator = torch.Generator().manual_seed(0)
    rotation = random_rotations(100, generator)
    sign = torch.tensor([1.0, 1.0, -1.0])
    mirrored = sign[:, None] * rotation * sign @ random_rotations(1, generator)[0]
    same = agreement_of([start(rotation, 2.0), start(mirrored, 1.5)])
    assert same["warning"] == ""
    assert same["agreeing_starts"] == 2
    assert same["confidence"] > 0.99
    assert same["best_start_ahead_by"] == pytest.approx(0.5)
    other = agreement_of([start(rotation, 2.0), start(random_rotations(100, generator), 1.5)])
    assert "disagree" in other["warning"]
    assert other["confidence"] < 0.5
