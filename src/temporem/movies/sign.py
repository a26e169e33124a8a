"""Is the particle bright or dark? Asked of all images together, before any pose is used."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.movies.movie_set import MovieSet
from temporem.physics.ctf import contrast_transfer_function
from temporem.physics.lattice import HalfDisc
from temporem.physics.shifts import phase_shift

__all__ = ["SignEvidence"]

SURE = 5.0
"""Standard errors from zero that settle the sign."""


class SignEvidence:
    """Accumulates, over images, how like a bright blob at the centre they are.

    Whatever its direction, a compact particle projects to something like a round blob. Each image is
    correlated with a Gaussian one, moved to where the particle is known to be and seen through the image's
    own CTF, so that the phases the CTF flips count the right way round. The mean gray value is left out.
    """

    def __init__(
        self, movies: MovieSet, half_disc: HalfDisc, pixel_size_in_angstroms: float, radius: float
    ) -> None:
        self._movies = movies
        self._disc = half_disc
        self._pixel_size = pixel_size_in_angstroms
        frequency = half_disc.frequency.norm(dim=-1) / half_disc.box_size
        blob = torch.exp(-2 * (math.pi * frequency * radius / 3) ** 2) * half_disc.multiplicity
        blob[0] = 0
        self._blob = blob
        self._scores: list[Float[Tensor, " images"]] = []

    def add(self, rows: npt.NDArray[np.int64], coefficients: Complex[Tensor, "images coefficients"]) -> None:
        """Take in the coefficients (images, coefficients) of these rows."""
        expected = self._blob.to(coefficients.dtype).expand(coefficients.shape)
        if self._movies.contrast_transfer is not None:
            frequency = self._disc.frequency / (self._disc.box_size * self._pixel_size)
            parameters = self._movies.contrast_transfer[torch.from_numpy(rows)]
            expected = expected * contrast_transfer_function(parameters, frequency)
        if self._movies.translation_in_angstroms is not None:
            pixels = torch.from_numpy(self._movies.translation_in_angstroms[rows] / self._pixel_size).float()
            expected = expected * phase_shift(self._disc.frequency, pixels, self._disc.box_size)
        self._scores.append((coefficients * expected.conj()).real.sum(dim=-1))

    def decide(self, choice: Literal["auto", "bright", "dark"]) -> tuple[int, str]:
        """Return +1 for bright or −1 for dark, and a sentence that says how it was found and how surely."""
        scores = torch.cat(self._scores).double()
        z = float(scores.mean() / (scores.std() / math.sqrt(len(scores)))) if len(scores) > 1 else 0.0
        found = "bright" if z > 0 else "dark"
        measured = f"the images say {found}, {abs(z):.1f} standard errors from a tie"
        if choice != "auto":
            doubt = f"; but {measured}" if abs(z) >= SURE and found != choice else ""
            return (1 if choice == "bright" else -1), f"{choice}, as asked{doubt}"
        if abs(z) < SURE:
            return 1, f"bright, RELION's convention, because the images do not tell ({measured}); check it"
        return (1 if z > 0 else -1), f"{found}, found in the images ({abs(z):.0f} standard errors from a tie)"
