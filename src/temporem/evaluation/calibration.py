"""Whether intervals of voxels hold what they say, against the truth of simulated movies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.evaluation.latent_coverage import HALF_WIDTH
from temporem.evaluation.resampling import fourier_pad
from temporem.evaluation.scoring import Scorer, TrueVolumes
from temporem.physics.volumes import low_passed
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import voxel_deviations

__all__ = ["voxel_coverage"]

INSIDE = 0.5
"""Of a mask: voxels above are in it."""


def voxel_coverage(
    run: Run, truth: TrueVolumes, scorer: Scorer, rows: Sequence[int], resolutions: Sequence[float], seed: int
) -> list[dict[str, Any]]:
    """How often a voxel's interval holds the true density, by mask of the truth, at each resolution in Å.

    Truth, volume and deviation are taken up to the resolution. One gain and offset for all frames bring the
    run's scale to the truth's. By mask: `coverage`, and root mean squares `error` and `sd` in the truth's
    scale.
    """
    found = torch.stack([fourier_pad(volume, truth.box_size) for _, volume in run.volumes(rows)])
    true = torch.stack([torch.as_tensor(truth.volume(np.asarray([row]))[0]).float() for row in rows])
    told = []
    for resolution in resolutions:
        shell = truth.box_size * truth.pixel_size_in_angstroms / resolution
        x, y = low_passed(found, shell), low_passed(true, shell)
        deviations = voxel_deviations(run, rows, resolution, seed=seed)
        sd = torch.stack([fourier_pad(deviation, truth.box_size) for deviation in deviations])
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
