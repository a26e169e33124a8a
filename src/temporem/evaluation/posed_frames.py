"""Frames with their true poses, as back-projection takes them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames
from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.reconstruction.backprojection import Accumulator, accumulate, signal_power

__all__ = ["PosedFrames", "posed_frames"]

GROUPS_FOR_POWER = 8
FRAMES_PER_GROUP = 50
"""At least, where there are as many."""


@dataclass(frozen=True, eq=False)
class PosedFrames:
    """Prepared frames, their CTF and true poses."""

    prepared: PreparedFrames
    contrast_transfer: ContrastTransfer | None
    rotation: Float[Tensor, "frames 3 3"]
    translation_in_pixels: Float[Tensor, "frames 2"]

    def accumulate(self, rows: npt.NDArray[np.integer]) -> Accumulator:
        """Sums over these frames."""
        index = torch.from_numpy(rows)
        disc = self.prepared.half_disc
        edge = disc.box_size * self.prepared.pixel_size_in_angstroms
        ctf = (
            None
            if self.contrast_transfer is None
            else contrast_transfer_function(self.contrast_transfer[index], disc.frequency / edge)
        )
        return accumulate(
            torch.from_numpy(self.prepared.coefficients[rows]),
            ctf,
            self.rotation[index],
            self.translation_in_pixels[index],
            # As in the reconstruction: the noise there was before the window.
            torch.from_numpy(self.prepared.noise_variance) / self.prepared.window_mean_square,
            disc,
        )

    def signal_power(self, state: npt.NDArray[np.floating]) -> Float[Tensor, " shells"]:
        """Power of a state's volume in each shell, from half-sets of frames of similar state."""
        groups = max(1, min(GROUPS_FOR_POWER, len(state) // FRAMES_PER_GROUP))
        along = np.argsort(state, kind="stable")
        parts = np.array_split(along, groups)
        halves = ((self.accumulate(rows[::2]), self.accumulate(rows[1::2])) for rows in parts)
        power: Tensor = signal_power(halves, len(self.prepared.noise_variance))
        return power


def posed_frames(
    movies: MovieSet,
    prepared: PreparedFrames,
    rotation: npt.NDArray[np.floating],
    translation_in_angstroms: npt.NDArray[np.floating],
) -> PosedFrames:
    """Join prepared frames with poses (frames, 3, 3) and (frames, 2)."""
    return PosedFrames(
        prepared,
        movies.contrast_transfer,
        torch.tensor(rotation, dtype=torch.float32),
        torch.tensor(translation_in_angstroms / prepared.pixel_size_in_angstroms, dtype=torch.float32),
    )
