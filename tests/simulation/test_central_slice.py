import math

import pytest
import torch

from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations
from temporem.simulation.central_slice import oversampled_transform


def test_slices_are_the_sum_over_voxels() -> None:
    n = 16
    generator = torch.Generator().manual_seed(0)
    # White noise has as much power at the box's edge and at Nyquist as anywhere: the hardest case.
    volume = torch.randn(n, n, n, generator=generator)
    rotation = random_rotations(4, generator).float()
    frequency = half_disc(2 * n).frequency / 2
    values = oversampled_transform(volume).slices(rotation, frequency)

    r = torch.arange(n, dtype=torch.float64) - n // 2
    k = torch.einsum("ci,bij->bcj", frequency.double(), rotation[:, :2].double())
    wave_x, wave_y, wave_z = torch.exp(-2j * math.pi * k[..., None] * r / n).unbind(-2)
    expected = torch.einsum("zyx,bcx,bcy,bcz->bc", volume.to(torch.complex128), wave_x, wave_y, wave_z)
    error = (values - expected).abs().max() / expected.abs().pow(2).mean().sqrt()
    assert error < 1e-4


def test_the_slice_across_the_beam_is_the_transform_of_the_projection() -> None:
    n = 32
    volume = torch.randn(n, n, n, generator=torch.Generator().manual_seed(1))
    lattice = half_disc(n)
    values = oversampled_transform(volume).slices(torch.eye(3)[None], lattice.frequency)[0] / n
    torch.testing.assert_close(values, lattice.from_images(volume.sum(0)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n", [8, 10, 30])
def test_turning_volume_and_pose_together_changes_nothing(n: int) -> None:
    volume = torch.randn(n, n, n, generator=torch.Generator().manual_seed(2))
    # Voxels at index 0 have no partner under a half turn about z, p → (−x, −y, z).
    volume[:, 0] = 0
    volume[:, :, 0] = 0
    turned = volume.flip((1, 2)).roll((1, 1), (1, 2))
    frequency = half_disc(n).frequency
    rotation = random_rotations(1, torch.Generator().manual_seed(3)).float()
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    before = oversampled_transform(volume).slices(rotation, frequency)
    after = oversampled_transform(turned).slices(rotation @ half_turn, frequency)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4 * n**1.5)
