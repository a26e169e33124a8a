import pytest
import torch

from temporem.evaluation.masks import mean_and_deviation, molecule_mask, moving_mask

AXIS = torch.arange(32) - 16
Z, Y, X = torch.meshgrid(AXIS, AXIS, AXIS, indexing="ij")


def ball(x=0.0, radius=5.0):
    return (((X - x) ** 2 + Y**2 + Z**2) <= radius**2).float()


def test_mean_and_deviation_are_those_of_the_stack():
    stack = torch.randn(7, 8, 8, 8, generator=torch.Generator().manual_seed(0)) + 100
    mean, deviation = mean_and_deviation(iter(stack))
    torch.testing.assert_close(mean, stack.mean(dim=0))
    torch.testing.assert_close(deviation, stack.std(dim=0, correction=0))


def test_the_molecule_is_inside_its_mask_and_the_solvent_is_not():
    mask = molecule_mask(ball())
    radius = (X**2 + Y**2 + Z**2).sqrt()
    assert mask[radius < 4].min() > 0.95
    assert mask[radius > 13].max() < 0.01
    assert 0 <= mask.min() <= mask.max() <= 1 + 1e-6


def test_moving_is_where_the_volumes_differ():
    volumes = [ball(-8) + ball(x, 3) for x in (6.0, 8.0, 10.0)]
    mask = moving_mask(*mean_and_deviation(volumes))
    assert mask is not None
    assert mask[16, 16, 16 + 8] > 0.4
    assert mask[16, 16, 16 - 8] < 0.01


def test_nothing_moves_in_a_static_molecule():
    assert moving_mask(*mean_and_deviation([ball()] * 3)) is None


def test_the_mask_does_not_depend_on_the_scale_of_the_volumes():
    torch.testing.assert_close(molecule_mask(1e-4 * ball()), molecule_mask(ball()))


@pytest.mark.parametrize("fraction", [0.05, 0.2])
def test_the_threshold_is_a_tenth_of_the_maximum(fraction):
    mask = molecule_mask(ball(-8) + fraction * ball(8))
    assert (mask[16, 16, 24] > 0.5) == (fraction > 0.1)
