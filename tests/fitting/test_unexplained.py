"""What images tell of a volume's error, where the error is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from blob_movies import PIXEL_SIZE, Molecule, write_movies
from torch import Tensor

from temporem.evaluation.fsc import spectrum
from temporem.evaluation.unexplained import unexplained, write_unexplained
from temporem.model.anchor_generator import AnchorGenerator
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.reconstruction.run import Run

BOX, STILL = 32, torch.zeros(20, 12)


class KnownVolume(Run):
    """One volume, whatever the state."""

    volume: Tensor

    def generator(self, device: str = "cpu") -> AnchorGenerator:
        generator = AnchorGenerator(BOX, 1, 1)
        generator.fill(self.volume)
        return generator


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movies(tmp_path_factory.mktemp("movies"), STILL, BOX, snr=2.0)


def run_of(volume: Tensor, star: Path, path: Path, image_scale: float = 1.0) -> KnownVolume:
    facts = {"input": star, "reading": ReadingOptions(), "preprocessing": PreprocessingOptions()}
    scales = {"pixel_size_in_angstroms": PIXEL_SIZE, "image_scale": image_scale, "sign": 1}
    run = KnownVolume.create(path, facts | scales)
    run.volume = volume / image_scale
    run.write_latents(
        read_movies(star, ReadingOptions()), torch.zeros(STILL.numel(), 1), torch.ones(STILL.numel(), 1)
    )
    run.write_mask(torch.ones(BOX, BOX, BOX))
    return run


@pytest.mark.parametrize(("size", "image_scale"), [(0.0, 1.0), (0.5, 1.0), (0.5, 7.0)])
def test_the_error_is_told_without_the_truth(
    size: float, image_scale: float, star: Path, tmp_path: Path
) -> None:
    """A molecule with something of its mirror image in it."""
    true = Molecule(BOX).volumes(torch.zeros(1))[0]
    error = size * true.roll(-1, 2).flip(2)
    run = run_of(true + error, star, tmp_path / "run", image_scale)
    expected = (spectrum(error).power / spectrum(true + error).power)[2:8].numpy()
    told = unexplained(run, lambda count, note: None).pivot(index="group", columns="shell", values="error")
    error, standard_error = told.mean().loc[2:7], told.sem().loc[2:7]
    assert len(told) == 10
    np.testing.assert_allclose(error.mean(), expected.mean(), atol=0.02)
    assert ((error - expected).abs() < 4 * standard_error).all()


def test_it_is_written_for_the_deviations_of_voxels(star: Path, tmp_path: Path) -> None:
    run = run_of(Molecule(BOX).volumes(torch.zeros(1))[0], star, tmp_path / "run")
    write_unexplained(run, tmp_path)
    lines = (tmp_path / "unexplained.csv").read_text().splitlines()
    assert lines[0] == "group,shell,resolution_in_angstroms,error"
    assert len(lines) == 1 + 10 * BOX // 2
