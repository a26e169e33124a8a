"""Turning a protein about one bond of its backbone."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.simulation.structures import Structure

__all__ = ["moving_atoms", "rotated_about_bond"]

AXES = {"phi": ("N", "CA"), "psi": ("CA", "C")}


def moving_atoms(
    structure: Structure, residue: int, torsion: Literal["phi", "psi"], chain: str | None = None
) -> tuple[int, int, npt.NDArray[np.bool_]]:
    """Return the bond's two atoms and the mask (atoms,) of what turns: all that follows along the chain.

    For psi these are the residue's own C and O and every later residue of its chain; for phi also its side
    chain.

    Raises UserError where the residue is missing or in several chains, lacks the bond's atoms, is a proline
    (phi), or where nothing follows.
    """
    here = (structure.residue == residue) & ((structure.chain == chain) if chain is not None else True)
    chains = sorted(set(structure.chain[here].tolist()))
    if len(chains) != 1:
        what = f"is in several chains ({', '.join(chains)})" if chains else "is not there"
        raise UserError(
            f"Residue {residue} {what} in {structure.source}: choose another residue or name its chain."
        )
    if torsion == "phi" and (structure.residue_name[here] == "PRO").any():
        raise UserError(
            f"Residue {residue} of {structure.source} is a proline, whose phi is fixed: choose another."
        )
    ends = []
    for name in AXES[torsion]:
        found = np.flatnonzero(here & (structure.atom_name == name))
        if len(found) != 1:
            raise UserError(
                f"Residue {residue} of {structure.source} has {len(found)} atoms {name}, {torsion} needs "
                "one: choose another residue."
            )
        ends.append(int(found[0]))
    staying = ["N", "H", "CA"] if torsion == "phi" else None
    own = (
        here & ~np.isin(structure.atom_name, staying)
        if staying
        else here & np.isin(structure.atom_name, ["O", "OXT"])
    )
    later = (structure.chain == chains[0]) & (structure.residue > residue)
    if not later.any():
        raise UserError(
            f"No residue follows residue {residue} of {structure.source}: choose another residue to turn at."
        )
    moving = own | later
    moving[ends] = False
    return ends[0], ends[1], moving


def rotated_about_bond(
    positions: npt.NDArray[np.floating],
    start: int,
    end: int,
    moving: npt.NDArray[np.bool_],
    angle: npt.NDArray[np.floating],
) -> npt.NDArray[np.float64]:
    """Turn the `moving` atoms of positions (atoms, 3) by each angle (K,), radians, and return (K, atoms, 3).

    The axis runs from atom `start` to atom `end`; looking along it a positive angle turns clockwise, which
    raises the torsion by as much (IUPAC 1974). Rodrigues' formula.
    """
    atoms = np.asarray(positions, np.float64)
    axis = atoms[end] - atoms[start]
    axis /= np.linalg.norm(axis)
    arm = atoms[moving] - atoms[start]
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    along = (arm @ axis)[:, None] * axis
    turned = along + cosine * (arm - along) + sine * np.cross(axis, arm)
    conformations = np.repeat(atoms[None], len(angle), axis=0)
    conformations[:, moving] = turned + atoms[start]
    return conformations
