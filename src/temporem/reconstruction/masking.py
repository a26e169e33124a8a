"""A soft solvent mask from the consensus: all that the molecule ever occupies, and little else.

What moves is faint in the consensus, each place being occupied part of the time, so the threshold is set by
the noise and not by the density: a voxel belongs to the molecule where the smoothed consensus rises out of
the noise.
"""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from temporem.errors import UserError

__all__ = ["soft_edge", "solvent_mask"]

SMOOTHING_IN_ANGSTROMS = 6.0
"""Standard deviation of the Gaussian that the consensus is smoothed with before the threshold."""
NOISE_MULTIPLE = 3.0
PEAK_FRACTION = 0.02
SMALLEST_COMPONENT = 0.01
"""Of the largest component's summed density: smaller ones are taken to be noise."""
DILATION_IN_ANGSTROMS = 6.0
EDGE_IN_ANGSTROMS = 9.0


def soft_edge(
    inside: npt.NDArray[np.bool_], dilation_in_pixels: float, edge_in_pixels: float
) -> npt.NDArray[np.float32]:
    """Mask (n, n, n): 1 within the dilation of `inside`, falling to 0 as a raised cosine over the edge."""
    distance = ndimage.distance_transform_edt(~inside) - dilation_in_pixels
    edge = np.clip(distance / edge_in_pixels, 0.0, 1.0)
    mask: npt.NDArray[np.float32] = (0.5 + 0.5 * np.cos(np.pi * edge)).astype(np.float32)
    return mask


def solvent_mask(volume: Float[Tensor, "n n n"], pixel_size_in_angstroms: float) -> Float[Tensor, "n n n"]:
    """Soft mask in [0, 1] of the molecule in a consensus with protein positive.

    The consensus is smoothed (Gaussian, σ = 6 Å), thresholded at three standard deviations of its solvent
    or a fiftieth of its peak, whichever is higher; components of more than a hundredth of the largest one's
    density are kept, their holes filled, dilated by 6 Å and given a cosine edge of 9 Å. The solvent's level
    and spread are taken from the lower half of the values inside the inscribed sphere, where density, being
    positive, does not reach.

    Raises UserError for a volume in which nothing rises out of the noise.
    """
    n = volume.shape[-1]
    density = volume.detach().cpu().double().numpy()
    smooth = ndimage.gaussian_filter(
        density, SMOOTHING_IN_ANGSTROMS / pixel_size_in_angstroms, mode="nearest"
    )
    axis = np.arange(n) - n // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    sphere = radius < n // 2
    level, spread = solvent_level(smooth[sphere])
    above = smooth - level
    threshold = max(NOISE_MULTIPLE * spread, PEAK_FRACTION * float(above[sphere].max()))
    labels, count = ndimage.label(sphere & (above > threshold))
    if count == 0:
        raise UserError(
            "nothing in the consensus rises out of the noise: check the poses, the CTF and the sign."
        )
    mass = ndimage.sum_labels(above, labels, np.arange(1, count + 1))
    kept = 1 + np.flatnonzero(mass > SMALLEST_COMPONENT * mass.max())
    inside = ndimage.binary_fill_holes(np.isin(labels, kept))
    mask = soft_edge(
        inside, DILATION_IN_ANGSTROMS / pixel_size_in_angstroms, EDGE_IN_ANGSTROMS / pixel_size_in_angstroms
    )
    return torch.from_numpy(mask).to(volume.device)


def solvent_level(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Mode and standard deviation of the solvent among voxel values, the molecule's lying above it."""
    # The half-sample mode would be noisy; the narrowest interval that holds a third of the values is steady.
    ordered = np.sort(values)
    width = len(ordered) // 3
    start = int(np.argmin(ordered[width:] - ordered[:-width]))
    mode = float(np.median(ordered[start : start + width]))
    below = ordered[ordered <= mode]
    return mode, float(np.sqrt(np.mean((below - mode) ** 2)))
