"""Grids on SO(3) are as even as their spacing says."""

import math

import pytest
import torch

from temporem.physics.rotation_grids import angular_spacing, rotation_grid
from temporem.physics.rotations import angular_distance, random_rotations


def test_rotations_are_rotations() -> None:
    grid = rotation_grid(500).double()
    assert torch.allclose(grid @ grid.mT, torch.eye(3, dtype=torch.float64).expand_as(grid), atol=1e-6)
    assert (torch.linalg.det(grid) > 0.99).all()


def test_every_orientation_is_near_a_grid_point_and_none_is_crowded() -> None:
    count = 2000
    grid, spacing = rotation_grid(count), angular_spacing(count)
    anywhere = random_rotations(300, torch.Generator().manual_seed(0))
    nearest = distances(anywhere, grid).amin(1)
    # The corner of a cube is half its diagonal away.
    assert nearest.max() < math.sqrt(3) / 2 * spacing * 1.2
    between = distances(grid[:300], grid)
    between[torch.arange(300), torch.arange(300)] = math.inf
    assert between.amin(1).min() > 0.5 * spacing


def distances(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return torch.stack([angular_distance(one.expand_as(others), others) for one in some])


def test_no_grid_is_empty() -> None:
    with pytest.raises(ValueError, match="at least one"):
        rotation_grid(0)
