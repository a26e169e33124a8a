"""The factor of overdispersion, on scores whose variance is known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blob_movies import Molecule, blob_store, swinging, write_movies
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting import overdispersion
from temporem.fitting.options import FittingOptions
from temporem.fitting.overdispersion import disagreement, of_generator, tempered
from temporem.fitting.reconstruct import reconstruct
from temporem.model.generators import Generator
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.physics.lattice import half_disc
from temporem.physics.projection import central_slices
from temporem.physics.volumes import PADDING, slicing_grid

BOX, FRAMES, STRENGTH = 16, 3000, 3.0
FREQUENCY = half_disc(BOX).frequency
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


class Known(Generator):
    """The molecule of the movies, and something beside it that is not there."""

    def __init__(self, wrong: float) -> None:
        super().__init__()
        self.wrong = wrong

    def volumes(self, z: Tensor) -> Tensor:
        return Molecule(BOX).volumes(z[:, 0]) + self.wrong * Molecule(BOX).volumes(0 * z[:, 0]).flip(1, 2)

    def slices(self, z: Tensor, rotation: Tensor, frequency: Tensor) -> Tensor:
        grids = (slicing_grid(volume) for volume in self.volumes(z))
        each = [
            central_slices(grid, turn[None], frequency, PADDING)[0]
            for grid, turn in zip(grids, rotation, strict=True)
        ]
        return torch.stack(each)

    def describe(self) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def from_description(cls, description: dict[str, Any], build: object) -> "Known":
        raise NotImplementedError


def test_volumes_that_are_right_leave_noise_and_wrong_ones_more() -> None:
    state = swinging(64, 8)
    store = blob_store(state, BOX, snr=2.0)
    z = state.reshape(-1, 1)
    assert of_generator(Known(0.0), store, z) < 1.25
    assert of_generator(Known(0.3), store, z) > 1.5


def test_a_run_says_its_factor_and_its_deviations_are_those_of_its_covariance(tmp_path: Path) -> None:
    star = write_movies(tmp_path / "movies", swinging(6, 8), snr=2.0)
    options = FittingOptions(latent_dim=2, device="cpu", method="linear", width=16, layers=1, epochs=2)
    run = reconstruct(star, tmp_path / "run", ReadingOptions(), PreprocessingOptions(), options)
    assert run.config["found"]["overdispersion"] >= 1
    told = run.latents()[["sd1", "sd2"]].to_numpy()
    np.testing.assert_allclose(run.covariance().diagonal(dim1=1, dim2=2).sqrt(), told, rtol=1e-5)


def test_numbers_that_are_lost_are_a_sentence() -> None:
    lost = SLOPES.clone()
    lost[5, 0, 0] = float("nan")
    with pytest.raises(UserError, match="check the poses"):
        disagreement(lost, white(FRAMES, len(FREQUENCY), seed=4), FREQUENCY)


def test_tempering_takes_from_what_frames_tell_and_leaves_the_prior() -> None:
    told = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    before, expected = torch.linalg.inv(told + eye), torch.linalg.inv(told / 2.5 + eye)
    torch.testing.assert_close(tempered(before[None], 2.5)[0], expected)
    torch.testing.assert_close(tempered(before[None], 1.0)[0], before)
    torch.testing.assert_close(tempered(eye[None], 9.0)[0], eye)
    torch.testing.assert_close(tempered(0 * eye[None], 9.0)[0], 0 * eye)
