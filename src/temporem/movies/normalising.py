"""Images brought to one level and scale, by the noise around the particle."""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from temporem.errors import UserError
from temporem.movies.cropping import fourier_crop
from temporem.movies.images import StackImages
from temporem.movies.movie_set import MovieSet

__all__ = ["read_normalised"]


def read_normalised(
    movies: MovieSet, rows: npt.NDArray[np.int64], box: int, outside: Bool[Tensor, "m m"], normalise: bool
) -> tuple[Float[Tensor, "rows m m"], Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """Images (rows, m, m) cropped to `box`, less offset and over scale; the offsets; the scales.

    These are the mean and the standard deviation over the pixels `outside` the particle, in gray values, or 0
    and 1 where not to `normalise`.

    Raises UserError for an image that is constant there or holds a value that is not finite.
    """
    images = torch.from_numpy(movies.images.read(rows))
    level = images.mean(dim=(-2, -1))
    if not level.isfinite().all():
        first = int((~level.isfinite()).nonzero()[0])
        raise _unusable(movies, int(rows[first]), "holds values that are not finite")
    # Without their mean first: large gray values leave float32 few digits for the rest.
    images = fourier_crop(images - level[:, None, None], box)
    beyond = images[:, outside]
    deviation, mean = torch.std_mean(beyond, dim=-1)
    flat = deviation <= 1e-6 * level.abs()
    if flat.any():
        first = int(flat.nonzero()[0])
        everywhere = bool(images[first].std() <= 1e-6 * level[first].abs())
        where = "" if everywhere else " outside the particle's radius, as if masked"
        raise _unusable(movies, int(rows[first]), f"is constant{where}")
    if not normalise:
        return images + level[:, None, None], torch.zeros_like(level), torch.ones_like(level)
    return (images - mean[:, None, None]) / deviation[:, None, None], level + mean, deviation


def _unusable(movies: MovieSet, row: int, fault: str) -> UserError:
    name = f" ({movies.images.name(row)})" if isinstance(movies.images, StackImages) else ""
    return UserError(f"image row {row}{name} {fault}; give it as it was recorded, or remove it and its row.")
