"""Whether intervals of voxels hold what they say, against the truth of simulated movies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.evaluation.fsc import half_grid_radius
from temporem.evaluation.latent_coverage import HALF_WIDTH
from temporem.evaluation.resampling import fourier_pad
from temporem.evaluation.scoring import Scorer, TrueVolumes
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import voxel_deviations

__all__ = ["voxel_coverage"]

INSIDE = 0.5
"""Of a mask: voxels above are in it."""


def voxel_coverage(
    run: Run, truth: TrueVolumes, scorer: Scorer, rows: Sequence[int], resolutions: Sequence[float], seed: int
) -> list[dict[str, Any]]:
    """How often a voxel's interval holds the true density, by mask of the truth, at each resolution in Å.

    Truth and volume are taken up to the resolution: nothing is said of what lies beyond. Deviations are as
    they are given out, of all frequencies. One gain and offset for all frames bring the run's scale to the
    truth's. Of each mask: `coverage`, and root mean squares `error` and `sd` in the truth's scale.
    """
    found = torch.stack([fourier_pad(volume, truth.box_size) for _, volume in run.volumes(rows)])
    sd = torch.stack([fourier_pad(x, truth.box_size) for x in voxel_deviations(run, rows, seed=seed)])
    true = torch.stack([torch.as_tensor(truth.volume(np.asarray([row]))[0]).float() for row in rows])
    told = []
    for resolution in resolutions:
        passed = _low_pass(truth.box_size, resolution, truth.pixel_size_in_angstroms)
        x, y = _filtered(found, passed), _filtered(true, passed)
        of_masks: dict[str, Any] = {"resolution_in_angstroms": resolution}
        for name, mask in scorer.masks.items():
            # The whole box is mostly solvent, of which nothing is claimed.
            if mask is not None:
                of_masks[name] = _held(x[:, mask > INSIDE], y[:, mask > INSIDE], sd[:, mask > INSIDE])
        told.append(of_masks)
    return told


def _held(
    found: Float[Tensor, "frames voxels"],
    true: Float[Tensor, "frames voxels"],
    sd: Float[Tensor, "frames voxels"],
) -> dict[str, float]:
    x, y = found.double() - found.double().mean(), true.double() - true.double().mean()
    gain = float((x * y).sum() / x.square().sum())
    error, scaled = gain * x - y, gain * sd.clamp(min=0)
    return {
        "coverage": float((error.abs() <= HALF_WIDTH * scaled).double().mean()),
        "error": float(error.square().mean().sqrt()),
        "sd": float(scaled.double().square().mean().sqrt()),
    }


def _low_pass(box: int, resolution: float, pixel_size: float) -> Float[Tensor, "n n half"]:
    """One up to the shell of the resolution, and a soft edge of two shells."""
    shell = box * pixel_size / resolution
    return ((shell + 1 - half_grid_radius(box)) / 2).clamp(0, 1)


def _filtered(
    volumes: Float[Tensor, "frames n n n"], passed: Float[Tensor, "n n half"]
) -> Float[Tensor, "frames n n n"]:
    axes = (-3, -2, -1)
    transform = torch.fft.rfftn(volumes, dim=axes) * passed
    filtered: Tensor = torch.fft.irfftn(transform, s=volumes.shape[-3:], dim=axes)
    return filtered
