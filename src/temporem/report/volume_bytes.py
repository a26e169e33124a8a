"""Volumes as a browser gets them: small, in bytes, with what a level in bytes means."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["ByteScale", "crop_to"]

LARGEST_BOX = 72
HIGHEST_LEVELS = 3.0


@dataclass(frozen=True)
class ByteScale:
    """How volumes become bytes: density 0 is byte 0, `highest` is byte 255, all else linear and clipped.

    `half_box` is what is kept about the centre, in voxels; `binning` how many voxels an edge are averaged.
    """

    highest: float
    half_box: int
    binning: int

    @classmethod
    def of(cls, mask: Float[Tensor, "n n n"], level: float) -> "ByteScale":
        """For volumes that are zero outside `mask` and contoured near `level`."""
        n = len(mask)
        inside = (mask > 0).nonzero() - n // 2
        reach = int(inside.abs().max()) + 2 if len(inside) else n // 2
        half_box = min(reach, n // 2)
        binning = -(-2 * half_box // LARGEST_BOX)
        half_box = min(-(-half_box // binning) * binning, n // 2 // binning * binning)
        return cls(max(HIGHEST_LEVELS * level, 1e-30), half_box, binning)

    @property
    def box(self) -> int:
        """Edge of what a browser gets, in its voxels."""
        return 2 * self.half_box // self.binning

    def share(self, level: float) -> float:
        """A contour level as the browser counts it, 0 to 1."""
        return level / self.highest

    def bytes_of(self, volume: Float[Tensor, "n n n"]) -> npt.NDArray[np.uint8]:
        """Bytes (box, box, box), [z, y, x]."""
        small = functional.avg_pool3d(crop_to(volume, self.half_box)[None], self.binning)[0]
        scaled = (small * (255 / self.highest)).clamp(0, 255).round()
        return np.asarray(scaled.to(torch.uint8).numpy())


def crop_to(volume: Float[Tensor, "n n n"], half_box: int) -> Float[Tensor, "m m m"]:
    """The cube of edge 2 · half_box whose origin, at its index half_box, is the volume's."""
    middle = len(volume) // 2
    kept = slice(middle - half_box, middle + half_box)
    return volume[kept, kept, kept]
