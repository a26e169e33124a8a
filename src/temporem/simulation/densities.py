"""Densities of atoms on a grid [z, y, x]."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.simulation.structures import Structure

__all__ = ["DensityOptions", "density"]


@dataclass(frozen=True)
class DensityOptions:
    """How atoms become a density."""

    method: Literal["electron-scattering", "gaussian"] = "electron-scattering"
    """Electron scattering factors with each atom's B-factor, or one Gaussian of equal width per atom."""
    sigma_in_angstroms: float | None = None
    """Gaussians: each atom's standard deviation (default 2). Electron scattering: blur beyond the B-factors (default 0)."""
    solvent: bool = True
    """Electron scattering: the molecule displaces a flat solvent, as in ice or liquid, instead of standing in vacuum."""


def density(
    structure: Structure,
    positions: npt.NDArray[np.float32],
    box_size: int,
    pixel_size_in_angstroms: float,
    options: DensityOptions,
) -> Float[Tensor, "n n n"]:
    """Density of `structure` with its atoms at `positions` (atoms, 3) Å, in a box whose origin is at index n // 2."""
    raise NotImplementedError
