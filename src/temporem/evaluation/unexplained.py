"""What a run's volumes leave of its images beyond the noise, by shell: their error, without a truth.

A frame less its predicted image is noise, and the volume's error seen through the CTF, whatever its cause: a
motion too stiff, a density that the model cannot take on, a state that is off. Two halves that err alike do
not show it. Volumes have been fitted to the same images, and have some of their noise: that takes twice the
error that finite data leave away from what is left, as of any Wiener filter, and `uncertainty` gives it back.
How far the noise is known limits what can be told: every group of movies has its noise measured apart, in the
corners of its images.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.evaluation.evaluation_folder import write_table
from temporem.fitting.frames import FrameStore
from temporem.model.generators import Generator
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.progress import progress
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import UNEXPLAINED

__all__ = ["unexplained", "write_unexplained"]

GROUPS = 10
MOST_MOVIES = 200
"""Evenly chosen; more tell little more."""
_ROWS_AT_ONCE = 32

Power = Float[Tensor, " shells"]


def write_unexplained(run: Run, folder: Path) -> None:
    """Write the table for `uncertainty.fit_error` to find; raises UserError as `unexplained` does."""
    with progress("What the images tell beyond", len(_looked_at(run))) as advance:
        write_table(folder / UNEXPLAINED, unexplained(run, advance))


@torch.no_grad()
def unexplained(run: Run, advance: Callable[[int, str], None]) -> pd.DataFrame:
    """By group of movies and shell, from 1: columns `group`, `shell`, `resolution_in_angstroms`, `error`.

    `error` is the power of what is left of the images less that of the noise, over that of all groups' images
    predicted: of the volume's error over the volume's own, as the CTF lets it through, but for what was
    fitted of the noise. Negative where noise hides it. `advance` is told how many more movies are done.

    Raises UserError where the run's images are no longer there.
    """
    movies, preprocessing = run.movies()
    # Known from all images, and not to be doubted by a group.
    preprocessing = replace(preprocessing, sign="bright" if run.configured("sign") > 0 else "dark")
    looked_at = _looked_at(run)
    generator, scale = run.generator().requires_grad_(False), float(run.configured("image_scale"))
    z = run.states(np.arange(len(movies)))
    told = []
    for group in range(min(GROUPS, len(looked_at))):
        chosen = looked_at[group::GROUPS]
        rows = torch.from_numpy(np.flatnonzero(np.isin(movies.movie, chosen)))
        told.append(_of_group(generator, movies.only(chosen), preprocessing, z[rows], scale))
        advance(len(chosen), "")
    left, predicted = (torch.stack(powers) for powers in zip(*told, strict=True))
    error = (left / predicted.mean(0).clamp(min=torch.finfo(left.dtype).tiny))[:, 1:]
    groups, shells = error.shape
    shell = np.tile(np.arange(1, shells + 1), groups)
    return pd.DataFrame(
        {
            "group": np.repeat(np.arange(groups), shells),
            "shell": shell,
            "resolution_in_angstroms": len(run.mask()) * run.pixel_size_in_angstroms / shell,
            "error": error.flatten().numpy(),
        }
    )


def _looked_at(run: Run) -> list[int]:
    """Indices of movies."""
    count = run.latents()["movie"].nunique()
    chosen = np.linspace(0, count - 1, min(MOST_MOVIES, count)).round()
    return [int(index) for index in chosen]


def _of_group(
    generator: Generator,
    movies: MovieSet,
    preprocessing: PreprocessingOptions,
    z: Float[Tensor, "frames latent"],
    image_scale: float,
) -> tuple[Power, Power]:
    """A frame's mean power in a shell: of what is left less the noise, and of what is predicted."""
    prepared = prepare_frames(movies, preprocessing)
    store = FrameStore(movies, prepared, torch.device("cpu"))
    lattice, frames = store.lattice, len(movies)
    left, predicted = (torch.zeros(lattice.radius + 1, dtype=torch.float64) for _ in range(2))
    for rows in torch.split(torch.arange(frames), _ROWS_AT_ONCE):
        batch = store.frames(rows)
        slices = generator.slices(z[rows], batch.rotation, lattice.frequency)
        expected = batch.transfer * slices * (image_scale / prepared.image_scale)
        # Whitened by the noise before the window, of which the window leaves so much.
        beyond = (batch.coefficients - expected).abs().square() - prepared.window_mean_square
        left.index_add_(0, lattice.shell, beyond.double().sum(0))
        predicted.index_add_(0, lattice.shell, expected.abs().square().double().sum(0))
    return left / frames, predicted / frames
