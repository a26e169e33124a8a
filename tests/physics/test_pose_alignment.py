"""Poses of one reconstruction and of another that was turned, moved and mirrored."""

import math

import pytest
import roma
import torch
from torch import Tensor

from temporem.physics.pose_alignment import Alignment, align_poses
from temporem.physics.rotations import angular_distance, random_rotations


def poses(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return random_rotations(count, generator).double(), torch.randn(count, 2, generator=generator).double()


def seen(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """Where points land in the images."""
    return (points @ rotation.mT)[..., :2] + translation[:, None]


@pytest.mark.parametrize("mirrored", [False, True])
def test_points_and_poses_of_an_alignment_give_the_same_images(mirrored: bool) -> None:
    first = poses(20, 0)
    turn = random_rotations(1, torch.Generator().manual_seed(1))[0].double()
    alignment = Alignment(turn, mirrored, torch.tensor([1.0, -2.0, 0.5]).double())
    points = torch.randn(7, 3, generator=torch.Generator().manual_seed(2)).double()
    after = seen(alignment.points(points), *alignment.poses(*first))
    assert torch.allclose(seen(points, *first), after, atol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_shift_and_hand_are_found_among_wrong_poses(mirrored: bool) -> None:
    count, wrong = 300, 120
    turn, offset = random_rotations(1, torch.Generator().manual_seed(4))[0].double(), [2.0, 1.0, -3.0]
    true = Alignment(turn, mirrored, torch.tensor(offset).double())
    first = poses(count, 3)
    rotation, translation = true.poses(*first)
    noise = torch.randn(count, 3, generator=torch.Generator().manual_seed(5)).double() * math.radians(2)
    rotation = roma.rotvec_to_rotmat(noise) @ rotation
    rotation[:wrong], translation[:wrong] = poses(wrong, 6)
    found = align_poses(first, (rotation, translation))
    assert found.mirrored is mirrored
    assert angular_distance(found.rotation, turn) < math.radians(0.6)
    assert torch.allclose(found.offset, true.offset, atol=0.25)
