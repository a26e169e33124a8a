"""Local resolution: FSC in small windows, from place to place (Cardone, Heymann & Steven 2013, J. Struct.
Biol. 184, 226)."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import NearestNDInterpolator
from scipy.ndimage import gaussian_filter
from torch import Tensor

from temporem.evaluation.fsc import fourier_shell_correlation, resolution_at

__all__ = ["local_resolution"]

_WINDOW_IN_ANGSTROMS = 75.0
"""Edge; the window falls off to 0 there. Shells are as far apart as one over it."""
_SMALLEST_WINDOW = 16
"""In pixels."""
_STEP_IN_WINDOWS = 1 / 6
"""Between places."""
_AT_ONCE = 64


def local_resolution(
    first: Float[Tensor, "n n n"],
    second: Float[Tensor, "n n n"],
    mask: Float[Tensor, "n n n"],
    pixel_size_in_angstroms: float,
    threshold: float = 0.5,
) -> Float[Tensor, "n n n"]:
    """Resolution in Å at each voxel of the mask, 0 outside: where the FSC around falls below the threshold.

    Places between windows take the nearest one's, smoothed over the windows' spacing. No finer than Nyquist.
    """
    n = first.shape[-1]
    width = min(n, max(_SMALLEST_WINDOW, 2 * round(_WINDOW_IN_ANGSTROMS / pixel_size_in_angstroms / 2)))
    step = max(1, round(width * _STEP_IN_WINDOWS))
    axis = torch.arange(n % step // 2, n, step)
    places = torch.cartesian_prod(axis, axis, axis)
    places = places[mask[tuple(places.unbind(-1))] > 0.5]
    inside = (mask > 0.5).numpy()
    if not len(places):
        places = torch.from_numpy(np.argwhere(inside))[:1]
        if not len(places):
            return torch.zeros_like(first)
    window = _window(width)
    half = width // 2
    padded = [torch.nn.functional.pad(volume, (half,) * 6) for volume in (first, second)]
    found = []
    for some in torch.split(places, _AT_ONCE):
        cubes = [_cubes(volume, some, width) * window for volume in padded]
        curves = fourier_shell_correlation(*cubes)
        found.append(resolution_at(curves, width, pixel_size_in_angstroms, threshold)[0])
    nearest = NearestNDInterpolator(places.numpy(), torch.cat(found).numpy())
    values = np.where(inside, nearest(*np.indices((n, n, n))), 0)
    share = gaussian_filter(inside.astype(np.float64), step / 2)
    smooth = gaussian_filter(values, step / 2) / np.maximum(share, 1e-6)
    return torch.from_numpy(np.where(inside, smooth, 0).astype(np.float32))


def _window(width: int) -> Float[Tensor, "w w w"]:
    axis = torch.arange(width) - width // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    radius = (x**2 + y**2 + z**2).sqrt().clamp(max=width / 2)
    return 0.5 + 0.5 * torch.cos(2 * math.pi * radius / width)


def _cubes(padded: Float[Tensor, "m m m"], places: Tensor, width: int) -> Float[Tensor, "places w w w"]:
    offset = torch.arange(width)
    z, y, x = (places[:, i, None] + offset for i in range(3))
    return padded[z[:, :, None, None], y[:, None, :, None], x[:, None, None, :]]
