"""Wrapped Gaussians on SO(3) against integrals over the group, and their limits."""

import math

import pytest
import torch

from temporem.physics.rotation_density import log_density, relative_entropy, turned
from temporem.physics.rotations import angular_distance, random_rotations


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def spread(*sd: float) -> torch.Tensor:
    return torch.tensor(sd, dtype=torch.float64).log()


@pytest.mark.parametrize("sd", [(0.4, 0.5, 0.6), (1.0, 1.0, 0.5), (1.5, 1.5, 1.5)])
def test_the_density_integrates_to_one_and_its_entropy_to_the_divergence(sd: tuple[float, ...]) -> None:
    """Over rotations drawn uniformly, by another way than the density's own: quaternions."""
    uniform = random_rotations(60_000, seeded()).double()
    mean = random_rotations(1, seeded(5)).double().expand_as(uniform)
    log_sd = spread(*sd).expand(len(uniform), 3)
    log_q = log_density(uniform, mean, log_sd)
    assert float(log_q.exp().mean()) == pytest.approx(1, abs=0.02)
    expected = float((log_q * log_q.exp()).mean())
    found = float(relative_entropy(normal(40_000, 3), spread(*sd).expand(40_000, 3)).mean())
    assert found == pytest.approx(expected, abs=0.03 * max(1, expected))


def test_a_narrow_one_has_the_entropy_of_a_flat_gaussian() -> None:
    log_sd = spread(0.01, 0.02, 0.005)
    flat = math.log(8 * math.pi**2) - 1.5 * math.log(2 * math.pi * math.e) - float(log_sd.sum())
    found = relative_entropy(normal(1000, 3), log_sd.expand(1000, 3))
    torch.testing.assert_close(found, torch.full_like(found, flat), atol=2e-3, rtol=0)


def test_it_is_never_less_told_than_uniform() -> None:
    """A divergence is not negative; a wide one tells little, but wrapped it is not uniform."""
    for sd in (1.0, 1.5, 2.0):
        found = float(relative_entropy(normal(50_000, 3), spread(sd, sd, sd).expand(50_000, 3)).mean())
        assert 0 < found < 0.7


def test_draws_have_the_density() -> None:
    """The divergence estimated at draws is the mean of the density's own logarithm there."""
    log_sd = spread(0.9, 0.3, 0.6).expand(40_000, 3)
    noise = normal(40_000, 3)
    mean = random_rotations(1, seeded(3)).double().expand(40_000, 3, 3)
    drawn = turned(mean, noise * log_sd.exp())
    assert float(log_density(drawn, mean, log_sd).mean()) == pytest.approx(
        float(relative_entropy(noise, log_sd).mean()), abs=0.02
    )


def test_the_third_axis_turns_in_the_plane() -> None:
    rotation = random_rotations(5, seeded()).double()
    quarter = torch.tensor([0.0, 0, math.pi / 2], dtype=torch.float64).expand(5, 3)
    # A point that lands at (1, 0, z) lands at (0, 1, z).
    point = rotation.mT @ torch.tensor([1.0, 0, 0.3], dtype=torch.float64)
    landed = (turned(rotation, quarter) @ point[..., None])[..., 0]
    expected = torch.tensor([0.0, 1, 0.3], dtype=torch.float64).expand(5, 3)
    torch.testing.assert_close(landed, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        angular_distance(turned(rotation, quarter), rotation), quarter[:, 2], atol=1e-6, rtol=0
    )


def test_turning_the_whole_group_changes_no_density() -> None:
    """Right multiplication turns the molecule, of which the tangent space in the image knows nothing."""
    a, b, q = (random_rotations(50, seeded(i)).double() for i in range(3))
    log_sd = spread(0.5, 0.7, 1.0).expand(50, 3)
    torch.testing.assert_close(
        log_density(a @ q, b @ q, log_sd), log_density(a, b, log_sd), rtol=1e-6, atol=1e-6
    )


def test_gradients_are_those_of_differences() -> None:
    mean = random_rotations(4, seeded()).double()
    vector = 0.5 * normal(4, 3)
    log_sd = spread(0.5, 0.7, 0.3).expand(4, 3).clone()
    noise = normal(4, 3, seed=2)
    inputs = [x.requires_grad_() for x in (vector, log_sd)]
    assert torch.autograd.gradcheck(lambda v, s: log_density(turned(mean, v), mean, s), inputs)
    assert torch.autograd.gradcheck(lambda s: relative_entropy(noise, s), inputs[1:])
    at_mean = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    log_density(turned(mean, at_mean), mean, log_sd.detach()).sum().backward()
    assert at_mean.grad is not None
    torch.testing.assert_close(at_mean.grad, torch.zeros(4, 3, dtype=torch.float64), atol=1e-3, rtol=0)
