"""Densities of atoms on a grid [z, y, x]: electron scattering with displaced solvent, or plain Gaussians."""

import math
from dataclasses import dataclass
from typing import Literal

import gemmi
import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.errors import UserError
from temporem.simulation.structures import Structure

__all__ = ["DensityOptions", "density"]

DEFAULT_GAUSSIAN_SIGMA_IN_ANGSTROMS = 2.0
"""What the paper's group uses."""
SOLVENT_DENSITY = 0.07
"""Å⁻². Water's own, 0.0334 Å⁻³ × (f_O + 2 f_H)(0) = 0.10, less the 0.03 of hydrogens that models lack."""
SOLVENT_SIGMA_IN_ANGSTROMS = 2.0
HALF_DENSITY = 0.07
"""Å⁻². Solvent ends where the molecule, smoothed to this sigma, has half a protein's inner density."""
CUTOFF = 1e-5
"""Å⁻². gemmi stops each atom where its density falls below this."""
OVERSAMPLING = 2
CELL_IN_PIXELS = 8
REACH_IN_SIGMAS = 5
SAFE_SIGMA_IN_FINE_PIXELS = 0.65
"""An atom this wide aliases by 0.1 %; narrower ones are blurred first and sharpened after."""


@dataclass(frozen=True)
class DensityOptions:
    """How atoms become a density."""

    method: Literal["electron-scattering", "gaussian"] = "electron-scattering"
    """Electron scattering factors with each atom's B-factor, or one Gaussian of equal width per atom."""
    sigma_in_angstroms: float | None = None
    """Gaussians: each one's width (default 2). Scattering: blur beyond the B-factors (default 0)."""
    solvent: bool = True
    """Electron scattering: the molecule displaces a flat solvent, instead of standing in vacuum."""


def density(
    structure: Structure,
    positions: npt.NDArray[np.float32],
    box_size: int,
    pixel_size_in_angstroms: float,
    options: DensityOptions,
    occupancy: npt.NDArray[np.float32] | None = None,
) -> Float[Tensor, "n n n"]:
    """Density of `structure` with its atoms at `positions` (atoms, 3) Å; the origin is at index n // 2.

    `occupancy` (atoms,) is how much of each atom there is, 1 if None.

    "electron-scattering": the potential in units of Å⁻² (× 47.88 for volts), scattering factors of
    International Tables C table 4.3.2.2 through gemmi, everything below the grid's Nyquist and nothing
    beyond. With solvent, the flat background is set to 0 outside and counts as less density inside.
    "gaussian": electrons per Å³, sampled at the voxels' centres; B-factors and solvent play no part.

    Raises UserError where an atom lies outside the box, or the blur is not positive.
    """
    sigma = options.sigma_in_angstroms
    if sigma is not None and not (math.isfinite(sigma) and sigma > 0):
        raise UserError(f"The density's sigma is {sigma} Å: give a positive number.")
    edge = box_size * pixel_size_in_angstroms
    reach = float(np.abs(positions).max())
    if not reach < edge / 2:
        raise UserError(
            f"An atom of {structure.source} lies {reach:.0f} Å from the centre, outside the box "
            f"of {edge:.0f} Å: choose a larger box or pixel."
        )
    if options.method == "gaussian":
        width = DEFAULT_GAUSSIAN_SIGMA_IN_ANGSTROMS if sigma is None else sigma
        weights = structure.elements if occupancy is None else structure.elements * occupancy
        return _gaussians(positions, weights, width, box_size, pixel_size_in_angstroms)
    return _electron_scattering(
        structure, positions, occupancy, sigma or 0.0, options.solvent, box_size, pixel_size_in_angstroms
    )


def _electron_scattering(
    structure: Structure,
    positions: npt.NDArray[np.float32],
    occupancy: npt.NDArray[np.float32] | None,
    sigma: float,
    solvent: bool,
    box_size: int,
    pixel_size: float,
) -> Float[Tensor, "n n n"]:
    n = OVERSAMPLING * box_size
    edge = box_size * pixel_size
    safe_b = 8 * math.pi**2 * (SAFE_SIGMA_IN_FINE_PIXELS * edge / n) ** 2
    sampling_blur = max(0.0, safe_b - float(structure.b_factors.min()))
    whole = np.ones(len(structure), np.float32)
    transform = _potential(
        structure, positions, whole if occupancy is None else occupancy, n, edge, sampling_blur
    )
    if solvent:
        all_there = transform
        if occupancy is not None:
            all_there = _potential(structure, positions, whole, n, edge, sampling_blur)
        to_smooth = (8 * math.pi**2 * SOLVENT_SIGMA_IN_ANGSTROMS**2 - sampling_blur) / (4 * edge**2)
        smooth = torch.fft.irfftn(_blurred(all_there, to_smooth), s=(n, n, n)).clamp(min=0)
        fourth = (smooth / HALF_DENSITY).square_().square_()
        displaced = fourth / (1 + fourth)
        if occupancy is not None:
            # Half a domain displaces half of its solvent.
            there = torch.fft.irfftn(_blurred(transform, to_smooth), s=(n, n, n)).clamp(min=0)
            displaced *= (there / smooth.clamp(min=CUTOFF)).clamp(max=1)
        transform -= SOLVENT_DENSITY * _blurred(torch.fft.rfftn(displaced), -sampling_blur / (4 * edge**2))
    cropped = _blurred(
        _cropped(transform, box_size), (8 * math.pi**2 * sigma**2 - sampling_blur) / (4 * edge**2)
    )
    volume: Tensor = torch.fft.irfftn(cropped, s=(box_size, box_size, box_size)) / OVERSAMPLING**3
    return volume


def _potential(
    structure: Structure,
    positions: npt.NDArray[np.float32],
    occupancy: npt.NDArray[np.float32],
    points: int,
    edge: float,
    blur: float,
) -> Complex[Tensor, "n n half"]:
    """Transform of the atoms' potential on a grid of as many points a side, blurred by that B-factor."""
    calculator = gemmi.DensityCalculatorE()
    calculator.grid.set_unit_cell(gemmi.UnitCell(edge, edge, edge, 90, 90, 90))
    calculator.grid.spacegroup = gemmi.SpaceGroup("P1")
    calculator.grid.set_size(points, points, points)
    calculator.cutoff = CUTOFF
    calculator.blur = blur
    calculator.add_model_density_to_grid(
        _model(structure, positions.astype(np.float64) + edge / 2, occupancy)
    )
    # gemmi's array is [x, y, z].
    transform: Tensor = torch.fft.rfftn(
        torch.from_numpy(np.ascontiguousarray(calculator.grid.array.transpose(2, 1, 0)))
    )
    return transform


def _model(
    structure: Structure, positions: npt.NDArray[np.float64], occupancy: npt.NDArray[np.float32]
) -> gemmi.Model:
    residue = gemmi.Residue()
    elements = [gemmi.Element(number) for number in range(int(structure.elements.max()) + 1)]
    columns = (positions, structure.elements, structure.b_factors, occupancy)
    for xyz, number, b, share in zip(*(x.tolist() for x in columns), strict=True):
        atom = gemmi.Atom()
        atom.element, atom.b_iso, atom.pos = elements[number], b, gemmi.Position(*xyz)
        atom.occ = share
        residue.add_atom(atom)
    chain, model = gemmi.Chain("A"), gemmi.Model(1)
    chain.add_residue(residue)
    model.add_chain(chain)
    return model


def _frequency(count: int) -> Float[Tensor, " count"]:
    frequency: Tensor = torch.fft.fftfreq(count, 1 / count)
    return frequency


def _blurred(transform: Complex[Tensor, "n n half"], exponent: float) -> Complex[Tensor, "n n half"]:
    """Multiply by exp(−exponent |k|²), k in cycles per box: a B-factor, as a product of three profiles."""
    n, half = transform.shape[-2:]
    profile = torch.exp(-exponent * _frequency(n) ** 2)
    last: Tensor = torch.exp(-exponent * torch.arange(half) ** 2)
    return transform * profile[:, None, None] * profile[:, None] * last


def _cropped(transform: Complex[Tensor, "n n half"], size: int) -> Complex[Tensor, "m m cropped"]:
    """Keep the frequencies of a box of `size` voxels, without its Nyquist planes: they lack an opposite."""
    rows = _frequency(size).long() % len(transform)
    cropped = transform[rows[:, None], rows[None, :], : size // 2 + 1].clone()
    cropped[size // 2] = 0
    cropped[:, size // 2] = 0
    cropped[..., size // 2] = 0
    return cropped


def _gaussians(
    positions: npt.NDArray[np.float32],
    weights: npt.NDArray[np.number],
    sigma: float,
    box_size: int,
    pixel_size: float,
) -> Float[Tensor, "n n n"]:
    """Sum of normalised Gaussians, products of three profiles: a matrix product for each cell of (z, y)."""
    n = box_size
    width = sigma / pixel_size
    centre = torch.from_numpy(positions[:, ::-1].astype(np.float64) / pixel_size + n // 2)
    distance = ((torch.arange(n) - centre[..., None]) / width).float()
    profile = torch.exp(-0.5 * distance * distance) / (math.sqrt(2 * math.pi) * sigma)
    # Further out lie denormal numbers, which are slow.
    profile[distance.abs() > REACH_IN_SIGMAS] = 0
    profile[:, 2] *= torch.from_numpy(weights)[:, None]
    along_z, along_y, along_x = profile.unbind(1)
    cell = (centre[:, :2] / CELL_IN_PIXELS).long()
    reach = math.ceil(REACH_IN_SIGMAS * width)
    volume = torch.zeros(n, n, n)
    cells, owner = torch.unique(cell, dim=0, return_inverse=True)
    for number, (z, y) in enumerate(cells.tolist()):
        atoms = (owner == number).nonzero().squeeze(-1)
        window_z, window_y = (
            slice(max(0, c * CELL_IN_PIXELS - reach), min(n, (c + 1) * CELL_IN_PIXELS + reach))
            for c in (z, y)
        )
        plane = along_z[atoms, window_z][:, :, None] * along_y[atoms, window_y][:, None, :]
        volume[window_z, window_y] += (plane.flatten(1).T @ along_x[atoms]).reshape(*plane.shape[1:], n)
    return volume
