"""Frames at wrong poses stand out, and are found again."""

import torch
from blob_movies import SIGMA, Molecule, blob_store

from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.lost_frames import badly_foretold, place_anew
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.physics.rotations import angular_distance, random_rotations

BOX = 24


def rigid() -> DeformableGenerator:
    """The molecule in one state, exactly, and a field that moves nothing."""
    generator = DeformableGenerator(DeformableGeneratorConfig(BOX, 1, 6.0), torch.Generator().manual_seed(0))
    generator.place(Molecule(BOX).positions(torch.tensor([0.5]))[0], SIGMA)
    generator.amplitude = torch.ones(len(generator.points))
    torch.nn.init.zeros_(generator.field.where[-1].weight)  # type: ignore[arg-type]
    return generator.requires_grad_(False)


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
    placed = place_anew(rigid(), store.posed(given), z, 0)
    assert placed.lost >= 3
    after = torch.rad2deg(angular_distance(placed.poses.rotation, true.rotation))
    assert (after[lost] < 6).all()
    assert placed.poses.translation_in_pixels[lost].norm(dim=-1).max() < 0.5
    assert (before == after).sum() >= 40 - placed.found
    assert not torch.equal(placed.z[lost], z[lost])
