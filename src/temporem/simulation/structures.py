"""Atomic structures: what a molecule is made of and where its atoms are."""

import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, Int64, Shaped

from temporem.errors import UserError
from temporem.files import replacing
from temporem.simulation.downloads import download_structure, is_pdb_id

__all__ = ["Structure", "load_structure", "read_structure", "rotation_onto", "save_structure", "superposed"]

FloatArray = npt.NDArray[np.float32]

FEWEST_ANCHORS = 4
"""Alpha carbons; of fewer, the rotation is hardly defined."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms in the order of the file; every array has one entry per atom."""

    positions: Float32[np.ndarray, "atoms 3"]
    """(x, y, z) in Å."""
    elements: Int64[np.ndarray, " atoms"]
    """Atomic numbers."""
    b_factors: Float32[np.ndarray, " atoms"]
    """Å²."""
    chain: Shaped[np.ndarray, " atoms"]
    residue: Int64[np.ndarray, " atoms"]
    """Residue numbers as in the file."""
    residue_name: Shaped[np.ndarray, " atoms"]
    atom_name: Shaped[np.ndarray, " atoms"]
    source: str
    """Where it came from, in words for people."""

    def __len__(self) -> int:
        return len(self.elements)

    def select(self, atoms: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> "Structure":
        """Keep these atoms: a mask, or indices in the order wanted."""
        return Structure(
            self.positions[atoms],
            self.elements[atoms],
            self.b_factors[atoms],
            self.chain[atoms],
            self.residue[atoms],
            self.residue_name[atoms],
            self.atom_name[atoms],
            self.source,
        )

    def with_positions(self, positions: npt.NDArray[np.floating]) -> "Structure":
        """Return the same atoms elsewhere."""
        return replace(self, positions=positions.astype(np.float32))

    def centred(self) -> "Structure":
        """Return the same structure with the centroid of its atoms at the origin."""
        return self.with_positions(self.positions - self.positions.mean(axis=0, dtype=np.float64))

    @property
    def alpha_carbons(self) -> npt.NDArray[np.int64]:
        """Indices of the CA atoms (of carbon: calcium ions share the name)."""
        return np.flatnonzero((self.atom_name == "CA") & (self.elements == 6))

    @property
    def anchors(self) -> npt.NDArray[np.int64]:
        """Indices of the atoms by which conformations are superposed: alpha carbons, all if too few."""
        alpha_carbons = self.alpha_carbons
        return alpha_carbons if len(alpha_carbons) >= FEWEST_ANCHORS else np.arange(len(self))


def read_structure(
    source: str | Path,
    *,
    chain: str | None = None,
    residues: tuple[int, int] | None = None,
    hydrogens: bool = False,
    cache: Path | None = None,
) -> Structure:
    """Read the first model of a PDB or mmCIF file (may be gzipped), or of a PDB entry by its id ("4zt0").

    Waters are left out; of alternate conformations the first is kept. `residues` is an inclusive range of
    residue numbers. An entry is downloaded from the wwPDB into `cache` (default: the user's cache folder)
    unless a file of that name exists.

    Raises UserError for a missing or unreadable file, an unknown entry, no network, and a selection without
    atoms.
    """
    path = Path(source)
    if not path.exists():
        if not is_pdb_id(str(source)):
            raise UserError(
                f"{source} is neither a file nor a PDB id (four letters and digits): give one of the two."
            )
        path = download_structure(str(source), cache)
    try:
        everything = _first_model(path, str(source), hydrogens)
    except (RuntimeError, ValueError, IndexError, OSError) as error:
        raise UserError(f"{path} cannot be read as PDB or mmCIF ({error}): give a coordinate file.") from None
    if len(everything) == 0:
        raise UserError(f"{path} holds no atoms: give a PDB or mmCIF file with coordinates.")
    wanted = np.full(len(everything), True)
    if chain is not None:
        wanted &= everything.chain == chain
    if residues is not None:
        wanted &= (everything.residue >= residues[0]) & (everything.residue <= residues[1])
    if not wanted.any():
        chains = ", ".join(sorted(set(everything.chain.tolist())))
        raise UserError(
            f"{path} has no atoms in chain {chain or 'any'}, residues {residues or 'any'} (has {chains}): "
            "change the selection."
        )
    structure = everything.select(wanted)
    if not np.isfinite(structure.positions).all() or not np.isfinite(structure.b_factors).all():
        raise UserError(f"{path} has coordinates or B-factors that are not numbers: mend the file.")
    if (structure.elements == 0).any():
        first = int(np.flatnonzero(structure.elements == 0)[0])
        raise UserError(
            f"{path} has an atom of unknown element ({structure.atom_name[first]} of residue "
            f"{structure.residue[first]}): fill in its element column."
        )
    return structure


def _first_model(path: Path, source: str, hydrogens: bool) -> Structure:
    entry = gemmi.read_structure(str(path))
    entry.remove_alternative_conformations()
    entry.remove_waters()
    if not hydrogens:
        entry.remove_hydrogens()
    atoms = [
        (atom, residue, part.name)
        for part in (entry[0] if len(entry) else ())
        for residue in part
        if residue.seqid.num is not None
        for atom in residue
    ]
    return Structure(
        positions=np.array([atom.pos.tolist() for atom, _, _ in atoms], np.float32).reshape(-1, 3),
        elements=np.array([atom.element.atomic_number for atom, _, _ in atoms], np.int64),
        b_factors=np.array([atom.b_iso for atom, _, _ in atoms], np.float32),
        chain=np.array([name for _, _, name in atoms], np.str_),
        residue=np.array([residue.seqid.num for _, residue, _ in atoms], np.int64),
        residue_name=np.array([residue.name for _, residue, _ in atoms], np.str_),
        atom_name=np.array([atom.name for atom, _, _ in atoms], np.str_),
        source=source,
    )


def save_structure(path: Path, structure: Structure) -> None:
    """Write a structure to an .npz file, from which `load_structure` gives the same numbers."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **vars(structure))


def load_structure(path: Path) -> Structure:
    """Read what `save_structure` wrote."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in Structure.__dataclass_fields__}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is not a structure written by temporem ({error}): simulate the movies anew."
        ) from None
    return Structure(**{**arrays, "source": str(arrays["source"])})


def rotation_onto(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rotations A (*batch, 3, 3) with A·before nearest to `after`.

    Both are (*batch, points, 3) about their centroids.

    Kabsch, Acta Cryst. A 32, 922 (1976).
    """
    left, _, right = np.linalg.svd(after.swapaxes(-1, -2) @ before)
    # Of the two orthogonal answers, the one that is not a reflection.
    left[..., -1] *= np.linalg.det(left @ right)[..., None]
    return np.asarray(left @ right)


def superposed(
    positions: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    atoms: npt.NDArray[np.integer] | None = None,
) -> FloatArray:
    """Move conformations (*batch, atoms, 3) rigidly onto `reference` (atoms, 3).

    Least squares over `atoms` (default: all), in float64.
    """
    chosen = np.arange(len(reference)) if atoms is None else atoms
    moving = np.asarray(positions, np.float64)
    target = np.asarray(reference, np.float64)[chosen]
    from_centre = moving[..., chosen, :].mean(axis=-2, keepdims=True)
    to_centre = target.mean(axis=0)
    rotation = rotation_onto(moving[..., chosen, :] - from_centre, target - to_centre)
    placed = (moving - from_centre) @ rotation.swapaxes(-1, -2) + to_centre
    return np.asarray(placed, np.float32)
