"""Runs with poses of their own among the arms of a figure."""

import torch
from torch import Tensor

from temporem.experiments.alignment import in_frame_of_truth
from temporem.physics.rotations import random_rotations

BOX, PIXEL_SIZE = 32, 3.0
SD = 9.0


def blobs(at: Tensor) -> Tensor:
    """Gaussians of 9 Å around positions (blobs, 3) in Å, each less dense than the one before."""
    axis = PIXEL_SIZE * (torch.arange(BOX, dtype=torch.float32) - BOX // 2)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    distance = (torch.stack((x, y, z), dim=-1) - at[:, None, None, None]).square().sum(dim=-1)
    weight = 1 / torch.arange(1.0, len(at) + 1)
    return (weight[:, None, None, None] * torch.exp(-distance / (2 * SD**2))).sum(dim=0)


def test_a_turned_moved_and_mirrored_molecule_is_seen_where_the_truth_lies() -> None:
    """p ↦ Rᵀ M p + c of the alignment took the truth's atoms to the run's."""
    generator = torch.Generator().manual_seed(0)
    true = 8 * torch.randn(6, 3, generator=generator)
    rotation, offset = random_rotations(1, generator)[0], torch.tensor([4.0, -5.0, 2.0])
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    for mirrored in (False, True):
        found = torch.stack([rotation.T @ (mirror @ p if mirrored else p) + offset for p in true])
        facts = {"rotation": rotation.tolist(), "mirrored": mirrored, "offset_in_angstroms": offset.tolist()}
        shown, wanted = in_frame_of_truth(blobs(found), facts, PIXEL_SIZE), blobs(true)
        # Linear resampling is off by at most an eighth of the second derivative, on each axis.
        most = 3 / 8 * (PIXEL_SIZE / SD) ** 2 * float(wanted.max())
        torch.testing.assert_close(shown, wanted, rtol=0, atol=most)
        assert in_frame_of_truth(wanted, None, PIXEL_SIZE) is wanted
