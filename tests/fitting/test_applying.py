"""States of new movies under a model that is held: the angles that made them, and the gain between images."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from blob_movies import silent
from torch import Tensor

from temporem.cli.main import main
from temporem.fitting.applying import infer_states
from temporem.fitting.frames import FrameStore
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.model.fields import DeformationField
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations

BOX, PIXEL, MOVIES, FRAMES = 32, 4.0, 8, 10
GAIN = 3.0


class Hinge(DeformationField):
    """What lies at x > 6 Å turns about the z axis by half the state, in radians."""

    def __init__(self) -> None:
        super().__init__(1, 2, 2, torch.Generator())

    def shapes(self, position: Tensor) -> Tensor:
        x, y, o = position[:, 0], position[:, 1], torch.zeros_like(position[:, 0])
        across, along = torch.stack((-y, x, o), -1), torch.stack((x, y, o), -1)
        return torch.stack((across, along), -1) * (x > 6)[:, None, None]

    def amounts(self, z: Tensor) -> Tensor:
        angle = z[:, 0] / 2
        return torch.stack((angle.sin(), angle.cos() - 1), -1)


def hinged() -> DeformableGenerator:
    random = torch.Generator().manual_seed(0)
    points = torch.randn(400, 3, generator=random) * 2.2
    points[:, 0] += torch.where(torch.arange(400) < 250, -4.0, 6.0)
    generator = DeformableGenerator(DeformableGeneratorConfig(BOX, 1, PIXEL), random)
    generator.field = Hinge()
    generator.place(points, 1.0)
    generator.amplitude = torch.full((400,), 1.0)
    return generator


class Images:
    box_size = BOX

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.images[rows]


def store_of(generator: DeformableGenerator, state: Tensor, snr: float) -> tuple[FrameStore, float]:
    """White noise; the gray values hold the generator's slices `GAIN` times."""
    random = torch.Generator().manual_seed(1)
    disc = half_disc(BOX)
    rotation = random_rotations(len(state), random).float()
    with torch.no_grad():
        clean = GAIN * disc.to_images(generator.slices(state[:, None], rotation, disc.frequency))
    noisy = clean + math.sqrt(float(clean.var()) / snr) * torch.randn(clean.shape, generator=random)
    movie = np.repeat(np.arange(MOVIES), FRAMES)
    frame = np.tile(np.arange(FRAMES), MOVIES)
    movies = MovieSet(
        Images(noisy.numpy()),
        PIXEL,
        tuple(f"m{i}" for i in range(MOVIES)),
        movie,
        frame,
        frame * 1.0,
        "frames",
        rotation=rotation.numpy(),
        translation_in_angstroms=np.zeros((len(state), 2), np.float32),
    )
    prepared = prepare_frames(movies, PreprocessingOptions(), lambda count, note: None)
    return FrameStore(movies, prepared, torch.device("cpu")), prepared.image_scale


def test_states_and_gain_are_those_of_the_images() -> None:
    generator = hinged()
    random = torch.Generator().manual_seed(2)
    start, step = torch.rand(MOVIES, 1, generator=random) * 2 - 1.5, torch.full((MOVIES, 1), 0.12)
    state = (start + step * torch.arange(FRAMES)).flatten()
    store, image_scale = store_of(generator, state, snr=1.0)
    before = generator.amplitude.clone()
    known = torch.linspace(-2, 2, 50)[:, None]
    found, gain = infer_states(generator, store, known, torch.tensor([10.0]), silent)
    assert gain * image_scale == pytest.approx(GAIN, rel=0.02)
    assert torch.equal(generator.amplitude, before)
    missed = found.mean[:, 0] - state
    sd = found.covariance[:, 0, 0].sqrt()
    assert missed.square().mean().sqrt() < 0.1
    # The posterior knows how far off it is.
    assert 0.7 < float((missed / sd).square().mean().sqrt()) < 1.4


def test_a_run_of_averages_cannot_be_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from temporem.model.anchor_generator import AnchorGenerator
    from temporem.reconstruction.run import Run

    Run.create(tmp_path / "run", {})
    monkeypatch.setattr(Run, "generator", lambda run, device="cpu": AnchorGenerator(BOX, 1, 1))
    assert main(["apply", str(tmp_path / "run"), "movies.star", "-o", str(tmp_path / "new")]) == 2
    assert "not one density that moves" in capsys.readouterr().err
