"""Whether intervals hold what they say: of latents, and of voxels, against the truth of simulated movies."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor

from temporem.evaluation.fsc import half_grid_radius
from temporem.evaluation.resampling import fourier_pad
from temporem.evaluation.scoring import Scorer
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import voxel_deviations
from temporem.simulation.truth import Truth

__all__ = ["LEVEL", "latent_coverage", "voxel_coverage"]

LEVEL = 0.9
"""Of the intervals, central ones of a Gaussian."""
FOLDS = 5
INSIDE = 0.5
"""Of a mask: voxels above are in it."""


def latent_coverage(
    mean: npt.NDArray[np.floating],
    covariance: npt.NDArray[np.floating],
    state: npt.NDArray[np.floating],
    movie: npt.NDArray[np.integer],
) -> dict[str, float] | None:
    """How often a frame's interval holds its true state.

    `mean` (frames, d) and `covariance` (frames, d, d) are the posterior's. On other movies (five folds) a
    regression finds the direction that tells the state, and along it the monotone map to the state; a
    frame's interval along the direction is mapped by it. `coverage` is of all frames, `mean_width` of the
    intervals in units of the state.

    None where that cannot be asked: a state that never changes, or fewer than two movies.
    """
    folds = min(FOLDS, len(np.unique(movie)))
    if folds < 2 or np.ptp(state) == 0:
        return None
    half_width = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    held, width = np.zeros(len(state), dtype=bool), np.zeros(len(state))
    for others, own in GroupKFold(folds).split(mean, state, movie):
        direction = LinearRegression().fit(mean[others], state[others]).coef_
        along = mean @ direction
        sd = np.sqrt(np.einsum("fij,i,j->f", covariance, direction, direction).clip(min=0))
        to_state = IsotonicRegression(out_of_bounds="clip").fit(along[others], state[others])
        low, high = (to_state.predict(along[own] + sign * half_width * sd[own]) for sign in (-1, 1))
        held[own] = (low <= state[own]) & (state[own] <= high)
        width[own] = high - low
    return {"coverage": float(held.mean()), "mean_width": float(width.mean())}


def voxel_coverage(
    run: Run, truth: Truth, scorer: Scorer, rows: Sequence[int], resolution_in_angstroms: float, seed: int
) -> dict[str, Any]:
    """How often a voxel's interval holds the true density, by mask of the truth.

    The truth is taken at `resolution_in_angstroms`, that up to which the run is known: nothing is said of
    what lies beyond. One gain and offset for all frames bring the run's scale to the truth's.
    """
    box = truth.box_size
    passed = _low_pass(box, resolution_in_angstroms, truth.pixel_size_in_angstroms)
    found, sd, true = [], [], []
    for row, deviation in zip(rows, voxel_deviations(run, rows, seed=seed), strict=True):
        (_, volume), *_ = run.volumes([row])
        found.append(_filtered(fourier_pad(volume, box), passed))
        sd.append(fourier_pad(deviation, box).clamp(min=0))
        true.append(_filtered(torch.as_tensor(truth.volume(np.asarray([row]))[0]).float(), passed))
    molecule = scorer.masks["molecule"]
    support = torch.ones(box, box, box) if molecule is None else molecule
    gain, offset = _matched(torch.stack(found), torch.stack(true), support > INSIDE)
    half_width = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    told: dict[str, Any] = {}
    for name, mask in scorer.masks.items():
        inside = support > -1 if mask is None else mask > INSIDE
        error = [(gain * x + offset - y)[inside] for x, y in zip(found, true, strict=True)]
        scaled = [gain * x[inside] for x in sd]
        held = torch.cat([x.abs() <= half_width * s for x, s in zip(error, scaled, strict=True)])
        told[name] = {
            "coverage": float(held.float().mean()),
            "error": float(torch.cat(error).square().mean().sqrt()),
            "sd": float(torch.cat(scaled).square().mean().sqrt()),
        }
    return told


def _low_pass(box: int, resolution: float, pixel_size: float) -> Float[Tensor, "n n half"]:
    """One up to the shell of the resolution, and a soft edge of two shells."""
    shell = box * pixel_size / resolution
    return ((shell + 1 - half_grid_radius(box)) / 2).clamp(0, 1)


def _filtered(volume: Float[Tensor, "n n n"], passed: Float[Tensor, "n n half"]) -> Float[Tensor, "n n n"]:
    filtered: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * passed, s=volume.shape)
    return filtered


def _matched(
    found: Float[Tensor, "frames n n n"], true: Float[Tensor, "frames n n n"], inside: Tensor
) -> tuple[float, float]:
    x, y = found[:, inside].double().flatten(), true[:, inside].double().flatten()
    gain = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
    return gain, float(y.mean() - gain * x.mean())
