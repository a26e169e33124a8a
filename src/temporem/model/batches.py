"""What the networks are given at a time: frames, and where they stand in their movies."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

__all__ = ["FrameBatch", "MovieBatch"]


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Frames with known poses: X = transfer · slice + unit noise."""

    coefficients: Complex[Tensor, "frames coefficients"]
    """On the half-disc, over the noise's standard deviation, shift undone."""
    transfer: Float[Tensor, "frames coefficients"]
    """CTF over the noise's standard deviation."""
    rotation: Float[Tensor, "frames 3 3"]


@dataclass(frozen=True, eq=False)
class MovieBatch:
    """Where the frames of some movies stand, padded to the longest."""

    rows: Int[Tensor, " frames"]
    """Rows of the real frames, movie by movie in order of time."""
    interval: Float[Tensor, "movies length"]
    """Time since the frame before, in usual frame intervals; infinite at a first frame."""
    mask: Bool[Tensor, "movies length"]
    """True at real frames."""

    def only(self, movies: Int[Tensor, " some"]) -> "MovieBatch":
        """Some of the movies, in ascending order, padded as before."""
        kept = torch.zeros(len(self.mask), dtype=torch.bool)
        kept[movies] = True
        of_frames = kept.repeat_interleave(self.mask.sum(-1).cpu())
        kept = kept.to(self.mask.device)
        return MovieBatch(self.rows[of_frames], self.interval[kept], self.mask[kept])

    def pad(self, values: Float[Tensor, "frames *rest"]) -> Float[Tensor, "movies length *rest"]:
        """Put per-frame values in their places; zero elsewhere."""
        padded = values.new_zeros((*self.mask.shape, *values.shape[1:]))
        padded[self.mask] = values
        return padded
