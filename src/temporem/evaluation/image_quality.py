"""PSNR and SSIM of a volume against the truth, after a low-pass and with gain and offset fitted."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor

from temporem.physics.volumes import filtered, grid_radius

__all__ = ["low_pass", "match_gain_and_offset", "psnr_in_decibels", "ssim"]

CUTOFF_IN_PIXELS = 3.0
EDGE_IN_FOURIER_PIXELS = 2.0


@lru_cache(maxsize=4)
def _filter(box_size: int) -> Float[Tensor, "n n half"]:
    cutoff = box_size / CUTOFF_IN_PIXELS
    phase = ((grid_radius(box_size) - cutoff) / EDGE_IN_FOURIER_PIXELS + 0.5).clamp(0.0, 1.0)
    return 0.5 + 0.5 * torch.cos(torch.pi * phase)


def low_pass(volume: Float[Tensor, "*batch n n n"]) -> Float[Tensor, "*batch n n n"]:
    """Cosine low-pass at 3 pixels.

    One half at n / 3 Fourier pixels, falling from 1 to 0 over two around it, as RELION's filter does.
    """
    return filtered(volume, _filter(volume.shape[-1]))


def match_gain_and_offset(
    estimate: Float[Tensor, "n n n"], truth: Float[Tensor, "n n n"]
) -> Float[Tensor, "n n n"]:
    """Return the estimate with the gain and offset that bring it nearest the truth, by least squares."""
    centred, target = estimate - estimate.mean(), truth - truth.mean()
    variance = centred.square().mean()
    gain = (centred * target).mean() / variance if variance > 0 else torch.zeros(())
    return gain * centred + truth.mean()


def psnr_in_decibels(matched: Float[Tensor, "n n n"], truth: Float[Tensor, "n n n"]) -> float:
    """10 log₁₀ of the truth's squared range over the mean squared error, no less than float32's rounding."""
    data_range = _data_range(truth)
    error = (matched - truth).double().square().mean().sqrt().item()
    return 20 * float(np.log10(data_range / max(error, data_range * float(np.finfo(np.float32).eps))))


def ssim(matched: Float[Tensor, "n n n"], truth: Float[Tensor, "n n n"]) -> float:
    """Structural similarity (Wang et al. 2004) as scikit-image has it: uniform windows of 7³ voxels."""
    # Its package is typed only in part.
    similarity: Any = structural_similarity
    return float(similarity(truth.numpy(), matched.numpy(), data_range=_data_range(truth)))


def _data_range(truth: Float[Tensor, "n n n"]) -> float:
    return float(truth.max() - truth.min())
