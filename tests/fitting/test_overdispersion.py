"""The factor of overdispersion, on scores whose variance is known."""

import math

import pytest
import torch
from torch import Tensor

from temporem.fitting import overdispersion
from temporem.fitting.overdispersion import disagreement, tempered
from temporem.physics.lattice import half_disc

FRAMES, STRENGTH = 3000, 3.0
FREQUENCY = half_disc(16).frequency
SIDEWAYS = FREQUENCY[:, 0].abs() >= FREQUENCY[:, 1].abs()
COARSE = torch.arange(len(FREQUENCY)) < len(FREQUENCY) // 2


def white(*shape: int, seed: int) -> Tensor:
    """Complex numbers, each part of unit variance."""
    return math.sqrt(2) * torch.randn(
        *shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed)
    )


SLOPES = white(FRAMES, 2, len(FREQUENCY), seed=0) / math.sqrt(2 * len(FREQUENCY))
"""Of frames that tell of two latents with unit information each, on average."""
PARTS = {
    "nothing": [],
    "coefficients of a quarter": [
        SIDEWAYS & COARSE,
        SIDEWAYS & ~COARSE,
        ~SIDEWAYS & COARSE,
        ~SIDEWAYS & ~COARSE,
    ],
    "coefficients of a direction": [SIDEWAYS, ~SIDEWAYS],
    "coefficients as fine": [COARSE, ~COARSE],
}


def shifted(parts: list[Tensor]) -> Tensor:
    """Errors that look like changes of state, another in each part of each frame."""
    errors = torch.zeros(FRAMES, len(FREQUENCY), dtype=torch.complex64)
    for seed, part in enumerate(parts):
        change = torch.randn(FRAMES, 2, generator=torch.Generator().manual_seed(10 + seed))
        errors += torch.einsum("fj,fjk->fk", STRENGTH**0.5 * change + 0j, SLOPES) * part
    return errors


def factor(residual: Tensor) -> float:
    return overdispersion._factor([disagreement(SLOPES, residual, FREQUENCY)])


@pytest.mark.parametrize("parts", PARTS)
def test_errors_that_parts_of_a_frame_share_are_counted_whole(parts: str) -> None:
    """A part holding a share s of the information adds strength × s² to the score's variance."""
    shares = [float(part.double().mean()) for part in PARTS[parts]]
    expected = 1 + STRENGTH * sum(share**2 for share in shares)
    found = factor(white(FRAMES, len(FREQUENCY), seed=1) + shifted(PARTS[parts]))
    assert found == pytest.approx(expected, rel=0.06)


def test_where_the_prior_has_pulled_states_does_not_matter() -> None:
    noise = white(FRAMES, len(FREQUENCY), seed=2)
    everywhere = torch.ones(len(FREQUENCY))
    assert factor(noise + shifted([everywhere])) == pytest.approx(factor(noise), rel=1e-4)


def test_frames_that_tell_nothing_say_nothing() -> None:
    """A latent that no coefficient depends on, and frames that depend on none."""
    noise, slopes = white(FRAMES, len(FREQUENCY), seed=3), SLOPES.clone()
    slopes[:, 1] = 0
    slopes[::2] = 0
    alone = disagreement(slopes[1::2, :1], noise[1::2], FREQUENCY)
    both = disagreement(slopes, noise, FREQUENCY)
    torch.testing.assert_close(both[0], alone[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(both[1], alone[1], rtol=1e-3, atol=1e-3)


def test_tempering_takes_from_what_frames_tell_and_leaves_the_prior() -> None:
    told = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    before, expected = torch.linalg.inv(told + eye), torch.linalg.inv(told / 2.5 + eye)
    torch.testing.assert_close(tempered(before[None], 2.5)[0], expected)
    torch.testing.assert_close(tempered(before[None], 1.0)[0], before)
    torch.testing.assert_close(tempered(eye[None], 9.0)[0], eye)
    torch.testing.assert_close(tempered(0 * eye[None], 9.0)[0], 0 * eye)
