"""Sums over points, against the same sums term by term and against projections by another program's rules."""

import math

import pytest
import torch

from temporem.physics.lattice import half_disc
from temporem.physics.points import point_slices, point_volume

BOX = 24


def rms(values: torch.Tensor) -> float:
    return float(values.abs().square().mean().sqrt())


def points(count: int, dimensions: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    position = torch.randn(count, dimensions, generator=generator, dtype=torch.float64) * BOX / 10
    return position, torch.randn(count, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("radius", [3, 7, BOX // 2])
def test_slices_are_the_sums(radius: int) -> None:
    position, amplitude = points(40, 2)
    frequency = half_disc(BOX, radius).frequency
    phase = 2 * math.pi / BOX * frequency.double() @ position.T
    expected = (torch.exp(-1j * phase) @ (amplitude + 0j)) / BOX
    found = point_slices(position[None].float(), amplitude.float(), frequency, BOX)[0]
    assert rms(found - expected) < 1e-3 * rms(expected)


def test_points_beyond_the_box_come_in_on_the_other_side() -> None:
    position, amplitude = points(10, 2)
    frequency = half_disc(BOX).frequency
    beside = point_slices((position + BOX)[None].float(), amplitude.float(), frequency, BOX)
    assert torch.allclose(
        beside, point_slices(position[None].float(), amplitude.float(), frequency, BOX), atol=1e-4
    )


def test_gradients() -> None:
    position, amplitude = points(2, 2)
    frequency = half_disc(BOX, 2).frequency.double()
    inputs = (position[None].clone().requires_grad_(), amplitude.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda x, a: point_slices(x, a, frequency, BOX), inputs)


def test_volume_is_of_gaussians() -> None:
    """Wide enough not to feel that frequencies beyond Nyquist are left out, far enough from the edge."""
    position, amplitude = points(6, 3)
    width = 1.4
    axis = torch.arange(BOX) - BOX // 2
    profile = torch.exp(-((axis - position[..., None]) ** 2) / (2 * width**2)) / (
        width * math.sqrt(2 * math.pi)
    )
    expected = torch.einsum("p,px,py,pz->zyx", amplitude, *profile.unbind(1))
    found = point_volume(position.float(), amplitude.float(), BOX, width)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()
    assert float(found.sum()) == pytest.approx(
        float(amplitude.sum()), abs=1e-3 * float(amplitude.abs().sum())
    )


def test_slices_are_projections_of_the_volume() -> None:
    position, amplitude = points(30, 3, seed=1)
    disc = half_disc(BOX, BOX // 2 - 1)
    volume = point_volume(position.float(), amplitude.float(), BOX)
    expected = disc.from_images(volume.sum(0))
    found = point_slices(position[None, :, :2].float(), amplitude.float(), disc.frequency, BOX)[0]
    assert rms(found - expected) < 2e-3 * rms(expected)
