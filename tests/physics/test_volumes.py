import math

import pytest
import torch
from gaussians import volume_of

from temporem.physics.volumes import (
    fourier_resize,
    fourier_to_volume,
    grid_frequency,
    grid_radius,
    gridding_correction,
    volume_to_fourier,
)


def random_volumes(*batch: int, box: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*batch, box, box, box, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("padding", [1, 2, 3])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_volumes_return_from_their_grids(padding, batch):
    volumes = random_volumes(*batch)
    grid = volume_to_fourier(volumes, padding)
    assert grid.shape == (*batch, 6 * padding, 6 * padding, 3 * padding + 1)
    torch.testing.assert_close(fourier_to_volume(grid, padding), volumes)


@pytest.mark.parametrize("padding", [1, 2])
def test_each_grid_point_is_the_fourier_sum_of_the_convention(padding):
    box = 6
    volume = random_volumes(box=box)
    axis = torch.arange(box, dtype=torch.float64) - box // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    frequency = grid_frequency(box, padding).double()
    grid = volume_to_fourier(volume, padding)
    for point in ((0, 0, 0), (1, 2, 1), (-1, 0, 2), (2, -2, 0)):
        kx, ky, kz = frequency[point]
        wave = torch.polar(torch.ones_like(volume), -2 * math.pi * (kx * x + ky * y + kz * z) / box)
        torch.testing.assert_close(grid[point], (volume * wave).sum() / box)


def test_a_gaussian_has_a_gaussian_transform():
    box, sigma = 24, 2.0
    volume = volume_of(torch.zeros(1, 3, dtype=torch.float64), sigma, box)
    radius = grid_radius(box, padding=2).double()
    expected = (2 * math.pi * sigma**2) ** 1.5 / box * torch.exp(-2 * (math.pi * sigma * radius / box) ** 2)
    grid = volume_to_fourier(volume, padding=2)
    torch.testing.assert_close(grid.real, expected, atol=1e-6, rtol=0)
    assert grid.imag.abs().max() < 1e-6


@pytest.mark.parametrize("size", [8, 12, 16, 30])
def test_resizing_keeps_the_transform_within_both_boxes(size):
    volume = random_volumes(2, box=12)
    resized = fourier_resize(volume, size)
    assert resized.shape == (2, size, size, size)
    inner = min(size, 12) // 2 - 1
    before, after = (volume_to_fourier(x) for x in (volume, resized))
    for z, y in ((0, 1), (inner, -inner), (-inner, 0), (-1, inner)):
        torch.testing.assert_close(after[:, z, y, : inner + 1], before[:, z, y, : inner + 1])
    if size > 12:
        beyond = (grid_frequency(size).abs() >= 6).any(dim=-1)
        assert after[:, beyond].abs().max() < 1e-12


def test_grid_frequencies_are_cycles_per_unpadded_box():
    frequency = grid_frequency(8, padding=2)
    assert frequency[0, 0, 3].tolist() == [1.5, 0, 0]
    assert frequency[0, -1, 0].tolist() == [0, -0.5, 0]
    assert frequency[2, 0, 0].tolist() == [0, 0, 1]
    torch.testing.assert_close(grid_radius(8, padding=2), frequency.norm(dim=-1))


def test_gridding_correction_is_the_transform_of_the_interpolating_tent():
    box, padding = 8, 2
    correction = gridding_correction(box, padding)
    assert correction[4, 4, 4] == 1
    # ∫ (1 − |u|) cos(2π u x / m) du over the tent −1 … 1, by the midpoint rule.
    u = (torch.arange(2000) + 0.5) / 1000 - 1
    for index in range(box):
        tent = ((1 - u.abs()) * torch.cos(2 * math.pi * u * (index - 4) / (padding * box))).mean() * 2
        assert correction[4, 4, index].item() == pytest.approx(tent.item(), abs=1e-5)
        assert correction[index, 4, 4] == correction[4, index, 4] == correction[4, 4, index]
    torch.testing.assert_close(
        correction[1, 2, 3], correction[1, 4, 4] * correction[4, 2, 4] * correction[4, 4, 3]
    )
