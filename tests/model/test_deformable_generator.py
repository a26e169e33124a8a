"""The density that moves, appears and vanishes: slices are projections, and mass changes as it should."""

import math

import pytest
import torch

from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.model.store import build_generator
from temporem.physics.lattice import half_disc
from temporem.physics.projection import central_slices
from temporem.physics.rotations import random_rotations
from temporem.physics.volumes import gridding_correction, volume_to_fourier

BOX, POINTS, LATENT = 24, 60, 2


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moving(still: bool = False, conserved: bool = False) -> DeformableGenerator:
    config = DeformableGeneratorConfig(BOX, LATENT, 4.0)
    torch.manual_seed(0)
    generator = DeformableGenerator(config, torch.Generator().manual_seed(0))
    generator.place(normal(POINTS, 3, seed=1) * 2.5, 1.1)
    generator.amplitude = normal(POINTS, seed=2).abs()
    if still:
        for parameter in generator.field.state.parameters():
            torch.nn.init.zeros_(parameter)
    if not conserved:
        last = generator.occupancy_field.where[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight = torch.nn.Parameter(0.3 * normal(*last.weight.shape, seed=12))
    return generator.requires_grad_(False)


def test_slices_are_projections_of_volumes() -> None:
    """By the projector that trilinear interpolation of a padded grid makes, from directions at random."""
    generator = moving()
    z = normal(3, LATENT, seed=3)
    axes = normal(3, 3, 3, seed=4)
    rotation = torch.linalg.qr(axes).Q
    rotation[torch.linalg.det(rotation) < 0, 2] *= -1
    frequency = half_disc(BOX, BOX // 3).frequency
    volumes = generator.volumes(z) / gridding_correction(BOX, 4)
    expected = torch.cat(
        [
            central_slices(volume_to_fourier(volume, 4), turn[None], frequency, 4)
            for volume, turn in zip(volumes, rotation, strict=True)
        ]
    )
    found = generator.slices(z, rotation, frequency)
    assert (found - expected).abs().square().mean() < 1e-4 * expected.abs().square().mean()


def test_mass_changes_by_the_occupancy() -> None:
    generator = moving()
    z = normal(4, LATENT, seed=5)
    changes = generator.occupancy_changes(z)
    assert changes.std() > 0.02
    expected = (generator.amplitude * (1 + changes)).sum(1)
    assert generator.volumes(z).sum((1, 2, 3)).tolist() == pytest.approx(expected.tolist(), rel=1e-3)
    assert torch.allclose(generator.amplitudes(z).sum(1), expected)


def test_mass_is_kept_at_the_start() -> None:
    generator = moving(conserved=True)
    mass = float(generator.amplitude.sum())
    assert generator.volumes(normal(4, LATENT, seed=5)).sum((1, 2, 3)).tolist() == pytest.approx(
        [mass] * 4, rel=1e-3
    )


def test_without_motion_all_states_are_one() -> None:
    generator = moving(still=True, conserved=True)
    first, second = generator.volumes(normal(2, LATENT, seed=6))
    assert torch.equal(first, second)
    assert generator.displacements(normal(2, LATENT, seed=6)).abs().max() == 0
    assert torch.equal(generator.volume_changes(normal(2, LATENT, seed=6)), torch.ones(2, POINTS))


def test_volume_change_is_that_of_a_small_tetrahedron() -> None:
    generator = moving().double()
    z, step = normal(2, LATENT, seed=7).double(), 1e-4
    corners = [generator.points] + [generator.points + step * axis for axis in torch.eye(3).double()]
    moved = [x + generator.displacements(z, x) / 4.0 for x in corners]
    edges = torch.stack([x - moved[0] for x in moved[1:]], dim=-1)
    expected = torch.linalg.det(edges) / step**3
    assert torch.allclose(generator.volume_changes(z), expected, rtol=1e-3)


def test_slices_pull_at_field_and_states() -> None:
    generator = moving().double()
    generator.requires_grad_()
    z = normal(2, LATENT, seed=8).double().requires_grad_()
    frequency = half_disc(BOX, 6).frequency.double()
    target = normal(2, len(frequency), seed=9)
    rotation = random_rotations(2, torch.Generator().manual_seed(10)).double()

    def term_by_term(states: torch.Tensor) -> torch.Tensor:
        across = torch.einsum("fij,fpj->fpi", rotation[:, :2], generator.positions(states))
        waves = torch.exp(-2j * math.pi / BOX * (across @ frequency.T))
        width = float(generator.width_in_pixels) / BOX
        envelope = torch.exp(-2 * (math.pi * width) ** 2 * frequency.square().sum(-1))
        amplitude = generator.amplitude * (1 + generator.occupancy_changes(states))
        return torch.einsum("fp,fpk->fk", amplitude + 0j, waves) * envelope / BOX

    slopes = []
    wanted = (z, *generator.parameters())
    for slices in (term_by_term(z), generator.slices(z, rotation, frequency)):
        energy = (slices - target).abs().square().sum()
        slopes.append(torch.cat([x.flatten() for x in torch.autograd.grad(energy, wanted)]))
    expected, found = slopes
    assert (found - expected).norm() < 2e-3 * expected.norm()


def test_described_and_built_again() -> None:
    generator = moving()
    again = build_generator(generator.describe())
    again.load_state_dict(generator.state_dict())
    z = normal(2, LATENT, seed=11)
    assert torch.equal(again.volumes(z), generator.volumes(z))
