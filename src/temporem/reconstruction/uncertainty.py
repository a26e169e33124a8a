"""How far to believe a voxel: posterior samples of a frame's state, and the fit's error where it is known.

The fit's error is known once two halves of the movies have been fitted apart (`temporem halves`). Volumes
are means of what the data leave open, as a Wiener filter gives: where two halves of the data correlate by F
in a shell, and err apart, a volume of all of them lacks (1 − F) / 2F of its own power there. Part of that is
where the halves differ; the rest lies where detail as fine does. Errors that both halves share, of a motion
too stiff or a density that the model cannot take on, are seen in the images instead: what the volumes leave
of them beyond the noise (`evaluation.unexplained`). Shell by shell that is hardly known; so it tells one
factor for all shells, how many times more is wrong than the halves say, and that only as far as it stands
out from how well the noise is known.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, uniform_filter1d
from torch import Tensor

from temporem.errors import UserError
from temporem.physics.volumes import filtered, grid_radius, low_passed
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import read_volume

__all__ = [
    "CORRELATIONS",
    "DRAWS",
    "OF_HALVES",
    "SPREAD",
    "SUMMARY",
    "UNEXPLAINED",
    "drawn_states",
    "fit_error",
    "voxel_deviations",
]

DRAWS = 32
"""States drawn for a frame: a standard deviation from so many is itself known to an eighth."""
OF_HALVES, SPREAD, CORRELATIONS, SUMMARY = "halves", "spread.mrc", "fsc.csv", "halves.json"
"""In a run's folder what `temporem halves` leaves, and in that the root mean square of half the difference of
the halves' volumes, how these correlate, and to what resolution."""
UNEXPLAINED = "unexplained.csv"
"""In that folder too: what the images tell of the volumes' error."""
LEAST_CORRELATION = 0.1
"""Of halves: where they share less, a volume says too little for its error to be a multiple of it."""
CERTAIN = 2.0
"""Standard errors beyond which what the images tell counts; chosen with simulations in sight."""
SHELLS_ALIKE = 5
"""Over which the scatter of what groups of movies tell is averaged: of so few it is known to a third."""
TINY = 1e-30
SMOOTHING_IN_VOXELS = 2.0
"""Standard deviation of the Gaussian over which squares are averaged: at one voxel alone they have one
degree of freedom."""


@dataclass(frozen=True)
class FitError:
    """What halves of the movies and the images say of a fit."""

    variance: Float[Tensor, "n n n"]
    """Of each voxel, from the halves' difference."""
    differing: Float[Tensor, " shells"]
    """By shell, the power of that difference over a volume's."""
    missing: Float[Tensor, " shells"]
    """By shell, the power of what else is wrong over a volume's."""
    resolution_in_angstroms: float
    """Up to which the halves agree."""

    def of(self, volume: Float[Tensor, "n n n"], shell: float) -> Float[Tensor, "n n n"]:
        """Variance of a volume's voxels, up to `shell`; what is missing lies where detail as fine does."""
        lacking, differing = (_weighted(volume, power.sqrt()) for power in (self.missing, self.differing))
        all_of_it, kept = (x.square().sum() + TINY for x in (differing, low_passed(differing, shell)))
        share = kept / all_of_it
        return share * self.variance + _smoothed(low_passed(lacking, shell).square())


def fit_error(run: Run) -> FitError | None:
    """The fit's error as the halves of its movies and its images tell it; None where there are none.

    Raises UserError for tables that cannot be read.
    """
    folder = run.path / OF_HALVES
    if not (folder / SUMMARY).exists():
        return None
    correlation = torch.from_numpy(
        _table(folder / CORRELATIONS, "curve", "fsc").loc["corrected"].to_numpy(copy=True)
    )
    # The curves begin at shell 1; shell 0 is a volume's offset, which says nothing.
    correlation = torch.cat((torch.ones(1), correlation.float())).clamp(LEAST_CORRELATION, 1)
    apart = (1 - correlation) / (2 * correlation)
    # Of the power of a volume of all movies, which is less shrunk than a half's.
    differing = (1 - correlation.square()) / 4
    told = _table(folder / UNEXPLAINED, "group", "error")
    if len(told) < 2 or told.shape[1] != len(apart) - 1:
        raise UserError(f"{folder / UNEXPLAINED} does not fit the rest: run temporem halves again.")
    return FitError(
        variance=_smoothed(read_volume(folder / SPREAD).square()),
        differing=differing,
        missing=_times_more(told, apart) * apart - differing,
        resolution_in_angstroms=_agreed(run),
    )


def _times_more(unexplained: pd.DataFrame, apart: Float[Tensor, " shells"]) -> float:
    """How many times the power `apart` the images say is wrong; 1 where they cannot tell it from that.

    What is left of images that a Wiener filter was fitted to falls short of its error by twice that error.
    By least squares over shells in each group of movies; of the groups' mean as much counts as stands out
    from its standard error, by the non-negative garrote (Breiman 1995, Technometrics 37, 373).
    """
    error, wrong = unexplained.to_numpy(), apart[1:].numpy()
    variance = uniform_filter1d(error.var(axis=0, ddof=1), SHELLS_ALIKE, mode="nearest") + TINY
    times = 2 + (error * wrong / variance).sum(1) / ((wrong**2 / variance).sum() + TINY)
    more, doubt = float(times.mean()) - 1, CERTAIN * float(times.std(ddof=1)) / len(times) ** 0.5
    return 1.0 + (more - doubt**2 / more if more > doubt else 0.0)


def _table(path: Path, rows: str, values: str) -> pd.DataFrame:
    """What `temporem halves` left there, by its rows' names and by shell, from 1."""
    try:
        table = pd.read_csv(path).pivot(index=rows, columns="shell", values=values)
        if not np.isfinite(table.to_numpy()).all():
            raise ValueError("numbers are missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): run temporem halves again.") from None
    return table


def _agreed(run: Run) -> float:
    """Resolution in Å to which the halves' volumes agree; the soft edge of a filter there ends at Nyquist."""
    path = run.path / OF_HALVES / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        agreed = float(summary["resolution_in_angstroms"]["corrected"]["mean_over_frames"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): run temporem halves again.") from None
    box = len(run.mask())
    return max(box * run.pixel_size_in_angstroms / (box // 2 - 1), agreed)


def drawn_states(
    run: Run, positions: Sequence[int], count: int, generator: torch.Generator
) -> Float[Tensor, "frames draws latent"]:
    """Draws from the posterior of the states of some frames, by their positions in `Run.latents`."""
    latents = run.latents()
    mean = torch.from_numpy(latents[latent_columns(latents)].to_numpy(copy=True))[list(positions)]
    covariance = run.covariance()[list(positions)]
    # By eigenvalues and not Cholesky's factors: of a latent known for certain there are none.
    values, vectors = torch.linalg.eigh(covariance.double())
    root = (vectors * values.clamp(min=0).sqrt()[:, None]).float()
    noise = torch.randn(len(positions), count, mean.shape[-1], generator=generator)
    return mean[:, None] + torch.einsum("fij,fdj->fdi", root, noise)


def voxel_deviations(
    run: Run,
    rows: Sequence[int],
    resolution_in_angstroms: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Iterator[Float[Tensor, "n n n"]]:
    """Standard deviation of each voxel of the volumes of these image rows, in the scale of the images.

    Of volumes up to a resolution; without one, up to that to which the halves of the movies agree, or where
    there are none, of all frequencies. It joins what the state's posterior leaves open with the fit's error,
    where `temporem halves` was run, as independent.
    """
    latents = run.latents()
    position = dict(zip(latents["image"].tolist(), range(len(latents)), strict=True))
    generator = torch.Generator().manual_seed(seed)
    fit = fit_error(run)
    shell = None
    if resolution_in_angstroms is None and fit is not None:
        resolution_in_angstroms = fit.resolution_in_angstroms
    if resolution_in_angstroms is not None:
        shell = len(run.mask()) * run.pixel_size_in_angstroms / resolution_in_angstroms
    for row in rows:
        volumes = run.volumes_at(drawn_states(run, [position[int(row)]], draws, generator)[0])
        if shell is not None:
            volumes = map(low_passed, volumes, repeat(shell))
        variance = _variance(volumes, draws)
        if fit is not None and shell is not None:
            variance = variance + fit.of(next(run.volumes([row]))[1], shell)
        yield variance.sqrt()


def _variance(volumes: Iterator[Tensor], count: int) -> Tensor:
    """Of each voxel, by sums of differences from the first volume, which lose no digits to the mean."""
    first = next(volumes)
    total, squared = torch.zeros_like(first), torch.zeros_like(first)
    for volume in volumes:
        total += volume - first
        squared += (volume - first).square()
    return ((squared - total.square() / count) / (count - 1)).clamp(min=0)


def _weighted(volume: Float[Tensor, "n n n"], of_shell: Float[Tensor, " shells"]) -> Float[Tensor, "n n n"]:
    shell = grid_radius(volume.shape[-1]).round().long().clamp(max=len(of_shell) - 1)
    return filtered(volume, of_shell[shell])


def _smoothed(squared: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    return torch.from_numpy(gaussian_filter(squared.numpy(), SMOOTHING_IN_VOXELS)).clamp(min=0)
