"""A generator that the package does not know goes through the whole fit, and a resumed one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from blob_movies import swinging, write_movies
from shortened import shorten, stop_after
from torch import Tensor

from temporem.fitting import generator_start, trainer
from temporem.fitting.generator_start import VolumesFound
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.model.generators import Generator
from temporem.model.store import KINDS
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.physics.projection import central_slices
from temporem.physics.volumes import volume_to_fourier
from temporem.reconstruction.run import Run


class Breathing(Generator):
    """One volume that grows brighter and darker with the state: V(z) = (1 + w · z) V."""

    volume: Tensor

    def __init__(self, box_size: int, latent_dim: int) -> None:
        super().__init__()
        self.box_size, self.latent_dim = box_size, latent_dim
        self.register_buffer("volume", torch.zeros(box_size, box_size, box_size))
        self.weight = torch.nn.Parameter(torch.zeros(latent_dim))

    def slices(self, z: Tensor, rotation: Tensor, frequency: Tensor) -> Tensor:
        slices = central_slices(volume_to_fourier(self.volume, 2), rotation, frequency, 2)
        return slices * (1 + z @ self.weight)[:, None]

    def volumes(self, z: Tensor) -> Tensor:
        return self.volume * (1 + z @ self.weight)[:, None, None, None]

    def describe(self) -> dict[str, Any]:
        return {"kind": "breathing", "box_size": self.box_size, "latent_dim": self.latent_dim}

    @classmethod
    def from_description(cls, description: dict[str, Any], build: object) -> "Breathing":
        return cls(description["box_size"], description["latent_dim"])


def start(options: FittingOptions, found: VolumesFound, before: Generator | None) -> Generator:
    generator = Breathing(found.consensus.volume.shape[-1], options.latent_dim)
    if before is None:
        generator.volume.copy_(found.consensus.volume)
    else:
        generator.load_state_dict(before.state_dict())
    return generator


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "breathing", Breathing)
    monkeypatch.setitem(generator_start.STARTS, "fourier", start)
    shorten(monkeypatch)


def fit(star: Path, output: Path, resume: bool = False) -> Run:
    options = FittingOptions(latent_dim=2, epochs=4, pretraining=True, device="cpu")
    return reconstruct(star, output, ReadingOptions(), PreprocessingOptions(), options, resume)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_fitted_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """24 frames in batches of 40 are a step an epoch; two are the baseline's, two the temporal model's."""
    star = write_movies(tmp_path / "movies", swinging(4, 6), snr=2.0)
    whole = fit(star, tmp_path / "whole")
    generator = whole.generator()
    assert isinstance(generator, Breathing)
    assert generator.weight.abs().min() > 0
    with monkeypatch.context() as patch:
        stop_after(patch, trainer, "elbo", steps)
        with pytest.raises(KeyboardInterrupt):
            fit(star, tmp_path / "run")
    run = fit(star, tmp_path / "run", resume=True)
    assert (run.path / "latents.csv").read_bytes() == (whole.path / "latents.csv").read_bytes()
    assert torch.equal(run.generator().weight, generator.weight)
