"""Coverage of intervals whose Gaussians are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from temporem.evaluation import calibration
from temporem.evaluation.calibration import voxel_coverage
from temporem.evaluation.latent_coverage import latent_coverage
from temporem.evaluation.scoring import Scorer
from temporem.reconstruction.run import Run

FRAMES = 4000
RANDOM = np.random.default_rng(0)
STATE = RANDOM.uniform(size=FRAMES)
MOVIE = np.repeat(np.arange(40), FRAMES // 40)
COVARIANCE = np.array([[0.04, -0.03], [-0.03, 0.04]])
"""Of errors that cancel along the path: taken as independent they would be twice as large there."""


def latents() -> np.ndarray:
    path = np.column_stack((6 * STATE**2, 6 * STATE**2))
    return path + RANDOM.multivariate_normal(np.zeros(2), COVARIANCE, size=FRAMES)


def spread(scale: float = 1.0) -> np.ndarray:
    return np.broadcast_to(scale**2 * COVARIANCE, (FRAMES, 2, 2))


def test_intervals_of_the_true_covariance_hold_nine_in_ten() -> None:
    told = latent_coverage(latents(), spread(), STATE, MOVIE)
    assert told["coverage"] == pytest.approx(0.9, abs=0.025)


def test_states_along_an_arc_are_read_off_it() -> None:
    """No straight line through three quarters of a circle tells the place on it."""
    angle = 1.5 * np.pi * STATE
    arc = 10 * np.column_stack((np.cos(angle), np.sin(angle)))
    errors = RANDOM.multivariate_normal(np.zeros(2), COVARIANCE, size=FRAMES)
    told = latent_coverage(arc + errors, spread(), STATE, MOVIE)
    assert told["coverage"] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(("scale", "expected"), [(0.5, 0.589), (2.0, 0.999)])
def test_wrong_deviations_are_found_out(scale: float, expected: float) -> None:
    told = latent_coverage(latents(), spread(scale), STATE, MOVIE)
    assert told["coverage"] == pytest.approx(expected, abs=0.03)


def test_without_the_covariance_these_intervals_are_too_wide() -> None:
    told = latent_coverage(latents(), spread() * np.eye(2), STATE, MOVIE)
    assert told["coverage"] > 0.97


def test_there_is_nothing_to_ask_of_one_state_or_one_movie() -> None:
    assert latent_coverage(latents(), spread(), 0 * STATE, MOVIE) is None
    assert latent_coverage(latents(), spread(), STATE, 0 * MOVIE) is None


class KnownRun(Run):
    """Volumes off by a noise of deviation 0.3, in a scale and an offset of their own."""

    def volumes(self, rows, device="cpu"):
        for row in rows:
            generator = torch.Generator().manual_seed(int(row))
            yield row, (truth_of(row) + 0.3 * torch.randn(16, 16, 16, generator=generator)) * 5 + 2


class KnownTruth:
    box_size, pixel_size_in_angstroms = 16, 3.0
    states = pd.DataFrame({"state": [0.0, 1.0, 2.0]})
    conformation = np.arange(3)

    def volume(self, rows):
        return torch.stack([truth_of(int(row)) for row in rows])


def truth_of(row: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(100 + int(row))
    return 4 * torch.randn(16, 16, 16, generator=generator)


@pytest.mark.parametrize(("sd", "expected"), [(0.3, 0.9), (0.15, 0.589)])
def test_voxels_are_held_as_often_as_their_deviations_say(
    sd: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    deviation = torch.full((16, 16, 16), 5 * sd)
    monkeypatch.setattr(
        calibration, "voxel_deviations", lambda run, rows, resolution, seed: [deviation for _ in rows]
    )
    scorer = Scorer(16, {"whole": None, "molecule": torch.ones(16, 16, 16)})
    # To the box's corners, so that nothing is taken from truth or noise.
    told = voxel_coverage(KnownRun(Path("nowhere")), KnownTruth(), scorer, [0, 1, 2], [3.0], 0)[0]
    assert told["molecule"]["coverage"] == pytest.approx(expected, abs=0.02)
    assert told["molecule"]["error"] == pytest.approx(0.3, rel=0.03)
    assert told["molecule"]["sd"] == pytest.approx(sd, rel=0.03)
