"""Trajectories in any format that MDAnalysis reads (extra "trajectories")."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from temporem.errors import UserError
from temporem.files import replacing
from temporem.simulation.routes import TrajectoryRoute
from temporem.simulation.structures import Structure, superposed

__all__ = ["contact_b_factors", "read_trajectory", "write_dcd"]

MASS_TOLERANCE_IN_DALTONS = 0.6
HEAVIEST_ELEMENT = 54
CONTACT_IN_ANGSTROMS = 10.0
MEAN_B_FACTOR_IN_SQUARE_ANGSTROMS = 50.0


def read_trajectory(
    topology: Path,
    trajectories: Sequence[Path],
    selection: str = "protein and not name H*",
    snapshots: int | None = None,
) -> TrajectoryRoute:
    """Read the atoms of `selection` (MDAnalysis' language) from trajectory files, joined one after another.

    Snapshots are superposed on the first by their alpha carbons (all atoms where there are too few). With
    `snapshots`, that many are kept, evenly spaced. Atoms without B-factors get `contact_b_factors`.

    Raises UserError where MDAnalysis is not installed, for missing and unreadable files and for an empty
    selection.
    """
    for path in (topology, *trajectories):
        if not Path(path).is_file():
            raise UserError(f"There is no file {path}: check the path.")
    mdanalysis = _mdanalysis()
    # MDAnalysis warns of whatever a topology lacks; what matters is checked below.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            universe = mdanalysis.Universe(str(topology), *map(str, trajectories))
            atoms = universe.select_atoms(selection)
            count = len(universe.trajectory)
            kept = np.unique(np.linspace(0, count - 1, snapshots or count).round().astype(int))
            positions = np.array([atoms.positions for _ in universe.trajectory[kept.tolist()]])
        except Exception as error:  # each of its readers fails in its own way
            names = ", ".join(str(path) for path in trajectories) or "no trajectory"
            reason = " ".join(str(error).split())
            raise UserError(
                f"{topology} with {names} cannot be read ({reason}): give files that belong together."
            ) from None
        if len(atoms) == 0:
            raise UserError(f'The selection "{selection}" finds no atom in {topology}: change it.')
        structure = _structure(atoms, positions[0], str(topology))
    return TrajectoryRoute(structure, superposed(positions, positions[0], structure.anchors))


def contact_b_factors(positions: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """B-factors (atoms,) in Å², inversely proportional to the atoms within 10 Å, with a mean of 50 Å².

    Halle, PNAS 99, 1274 (2002): flexibility follows local density.
    """
    contacts = cKDTree(positions).query_ball_point(positions, CONTACT_IN_ANGSTROMS, return_length=True)
    b_factors = 1 / contacts
    return np.asarray(b_factors * MEAN_B_FACTOR_IN_SQUARE_ANGSTROMS / b_factors.mean(), np.float32)


def write_dcd(path: Path, positions: npt.NDArray[np.float32]) -> None:
    """Write positions (frames, atoms, 3) in Å as a DCD trajectory, without a cell, atomically.

    Raises UserError where MDAnalysis is not installed.
    """
    _mdanalysis()
    from MDAnalysis.lib.formats.libdcd import DCDFile

    with replacing(path) as temporary, DCDFile(str(temporary), "w") as file:
        frames, atoms, _ = positions.shape
        remarks = f"temporem: {frames} states"
        file.write_header(remarks, atoms, istart=0, nsavc=1, delta=1.0, is_periodic=0)
        for frame in positions:
            file.write(frame, box=np.zeros(6))


def _mdanalysis() -> Any:
    # Importing it shows its DeprecationWarnings to everyone, by a filter that must not outlive the import.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import MDAnalysis
        except ImportError:
            raise UserError(
                "Trajectories need MDAnalysis, which is not installed: run pip install MDAnalysis."
            ) from None
    return MDAnalysis


def _structure(atoms: Any, positions: npt.NDArray[np.float32], source: str) -> Structure:
    b_factors = np.asarray(getattr(atoms, "tempfactors", np.zeros(len(atoms))), np.float32)
    return Structure(
        positions,
        _elements(atoms, source),
        b_factors if b_factors.any() else contact_b_factors(positions),
        np.asarray(atoms.chainIDs if hasattr(atoms, "chainIDs") else atoms.segids, np.str_),
        np.asarray(atoms.resids, np.int64),
        np.asarray(atoms.resnames, np.str_),
        np.asarray(atoms.names, np.str_),
        source,
    )


def _elements(atoms: Any, source: str) -> npt.NDArray[np.int64]:
    """Atomic numbers from the topology's elements, or from its masses."""
    symbols = list(getattr(atoms, "elements", []))
    if symbols and all(symbols):
        return np.array([gemmi.Element(symbol).atomic_number for symbol in symbols], np.int64)
    weights = np.array([gemmi.Element(number).weight for number in range(1, HEAVIEST_ELEMENT + 1)])
    difference = np.abs(np.asarray(atoms.masses)[:, None] - weights)
    unknown = np.flatnonzero(difference.min(axis=1) > MASS_TOLERANCE_IN_DALTONS)
    if len(unknown):
        atom = atoms[int(unknown[0])]
        raise UserError(
            f"{source} names no element for atom {atom.name} of {atom.resname} {atom.resid}, and its mass "
            f"{atom.mass:g} is no element's: give a topology with elements or masses."
        )
    return np.asarray(difference.argmin(axis=1) + 1, np.int64)
