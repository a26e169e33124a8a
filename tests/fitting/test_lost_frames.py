"""Frames at wrong poses stand out, and are found again."""

import torch
from blob_movies import blob_store, rigid

from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.lost_frames import badly_foretold, place_anew
from temporem.physics.rotations import angular_distance, random_rotations

BOX = 24


def test_few_beyond_the_spread_of_all_are_lost() -> None:
    generator = torch.Generator().manual_seed(0)
    misfits = 800 + 40 * torch.randn(1000, generator=generator)
    assert badly_foretold(misfits).sum() <= 2
    misfits[:50] += 500
    lost = badly_foretold(misfits)
    assert lost[:50].all()
    assert lost[50:].sum() <= 2


def test_lost_frames_are_found_again_and_others_left() -> None:
    store = blob_store(torch.full((8, 5), 0.5), BOX, snr=20.0)
    true, z = store.poses, torch.randn(40, 1, generator=torch.Generator().manual_seed(2))
    lost = torch.tensor([3, 17, 30])
    elsewhere = random_rotations(3, torch.Generator().manual_seed(5))
    given = true.with_rows(lost, Poses(elsewhere, torch.tensor([[1.0, -1.0]]).expand(3, 2)))
    before = torch.rad2deg(angular_distance(given.rotation, true.rotation))
    assert (before[lost] > 40).all()
    placed = place_anew(rigid(BOX, 1), store.posed(given), z, BOX // 2, 0)
    assert 3 <= placed.lost <= 8
    after = torch.rad2deg(angular_distance(placed.poses.rotation, true.rotation))
    assert (after[lost] < 6).all()
    assert placed.poses.translation_in_pixels[lost].norm(dim=-1).max() < 0.5
    others = [row for row in range(40) if row not in lost]
    moved = (placed.poses.rotation != given.rotation).flatten(1).any(1)
    assert int(moved.sum()) == placed.found
    assert torch.equal(placed.z[~moved], z[~moved])
    assert after[others].max() < 3
