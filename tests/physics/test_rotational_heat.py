"""The heat kernel on SO(3): a density, whose first harmonic decays as Debye says, whichever sum gives it."""

import math

import pytest
import torch

from temporem.physics.rotational_heat import log_heat_kernel


@pytest.mark.parametrize("time", [0.003, 0.05, 0.4, 0.999, 1.001, 4.0, math.inf])
def test_it_is_a_density_and_directions_decay_with_twice_the_coefficient(time: float) -> None:
    angle = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
    kernel = log_heat_kernel(angle, torch.full_like(angle, time)).double().exp()
    # The volume of rotations by θ, and the mean cosine between a direction and itself after such a turn.
    volume = (1 - angle.cos()) / math.pi
    cosine = (1 + 2 * angle.cos()) / 3
    assert float(torch.trapezoid(kernel * volume, angle)) == pytest.approx(1, abs=1e-3)
    assert float(torch.trapezoid(kernel * volume * cosine, angle)) == pytest.approx(
        math.exp(-2 * time), abs=1e-3
    )


def test_it_falls_with_the_angle_and_has_a_floor() -> None:
    angle = torch.linspace(0.01, math.pi, 500, dtype=torch.float64)
    for time in (0.002, 0.1, 2.0):
        kernel = log_heat_kernel(angle, torch.full_like(angle, time))
        assert (kernel.diff() <= 1e-5).all()
        assert kernel.isfinite().all()
