import pytest
import torch

from temporem.physics.lattice import half_disc
from temporem.physics.projection import central_slices
from temporem.physics.rotations import random_rotations
from temporem.physics.volume_families import family_grid, family_slices
from temporem.physics.volumes import gridding_correction, volume_to_fourier

BOX = 12


def volumes(count: int, box: int = BOX) -> torch.Tensor:
    return torch.randn(count, box, box, box, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def rotations(count: int) -> torch.Tensor:
    return random_rotations(count, torch.Generator().manual_seed(2)).double()


def one_by_one(
    family: torch.Tensor, rotation: torch.Tensor, frequency: torch.Tensor, padding: int
) -> torch.Tensor:
    grids = volume_to_fourier(family / gridding_correction(family.shape[-1], padding), padding)
    return torch.stack([central_slices(grid, rotation, frequency, padding) for grid in grids], dim=-1)


@pytest.mark.parametrize("padding", [1, 2])
@pytest.mark.parametrize("count", [1, 3])
def test_slices_are_central_slices_of_each(padding: int, count: int) -> None:
    family, rotation, frequency = volumes(count), rotations(5), half_disc(BOX).frequency.double()
    found = family_slices(family_grid(family, padding), rotation, frequency, BOX, padding)
    torch.testing.assert_close(found, one_by_one(family, rotation, frequency, padding))


def test_gradient_is_that_of_central_slices_of_each() -> None:
    family, rotation, frequency = volumes(3).requires_grad_(), rotations(4), half_disc(BOX).frequency.double()
    found = family_slices(family_grid(family, 2), rotation, frequency, BOX, 2)
    direction = torch.randn(found.shape, generator=torch.Generator().manual_seed(3), dtype=torch.complex128)
    (gradient,) = torch.autograd.grad((found * direction).real.sum(), family)
    expected = one_by_one(family, rotation, frequency, 2)
    (expected_gradient,) = torch.autograd.grad((expected * direction).real.sum(), family)
    torch.testing.assert_close(gradient, expected_gradient)


def test_gradient_is_that_of_finite_differences() -> None:
    rotation, frequency = rotations(2), half_disc(4).frequency.double()
    assert torch.autograd.gradcheck(
        lambda family: family_slices(family_grid(family, 2), rotation, frequency, 4, 2),
        volumes(2, 4).requires_grad_(),
    )
