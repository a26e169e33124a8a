from pathlib import Path
from typing import Literal

import gemmi
import numpy as np
import pytest

from temporem.errors import UserError
from temporem.simulation.routes import TorsionRoute, TrajectoryRoute
from temporem.simulation.structures import Structure, read_structure
from temporem.simulation.torsions import moving_atoms, rotated_about_bond

SHARED = Path(__file__).resolve().parents[3] / "shared" / "structures"


def dihedral(structure: Structure, positions: np.ndarray, *atoms: tuple[int, str]) -> float:
    where = [
        gemmi.Position(
            *positions[(structure.residue == residue) & (structure.atom_name == name)][0].astype(float)
        )
        for residue, name in atoms
    ]
    return float(np.degrees(gemmi.calculate_dihedral(*where)))


@pytest.mark.parametrize("torsion", ["phi", "psi"])
def test_the_torsion_changes_by_the_angle_and_no_other_does(
    peptide: Path, torsion: Literal["phi", "psi"]
) -> None:
    structure = read_structure(peptide)
    start, end, moving = moving_atoms(structure, 5, torsion)
    turned = rotated_about_bond(structure.positions, start, end, moving, np.radians([0.0, 40.0]))
    np.testing.assert_allclose(turned[0], structure.positions, atol=1e-5)
    changed = {}
    for residue in range(2, 12):
        for name, atoms in {
            "phi": ((residue - 1, "C"), (residue, "N"), (residue, "CA"), (residue, "C")),
            "psi": ((residue, "N"), (residue, "CA"), (residue, "C"), (residue + 1, "N")),
            "omega": ((residue - 1, "CA"), (residue - 1, "C"), (residue, "N"), (residue, "CA")),
        }.items():
            change = dihedral(structure, turned[1], *atoms) - dihedral(structure, turned[0], *atoms)
            changed[residue, name] = (change + 180) % 360 - 180
    assert changed.pop((5, torsion)) == pytest.approx(40, abs=1e-3)
    np.testing.assert_allclose(list(changed.values()), 0, atol=1e-3)
    carbonyl, side_chain = (
        np.flatnonzero((structure.residue == 5) & (structure.atom_name == name))[0] for name in ("O", "CB")
    )
    assert moving[carbonyl]
    assert moving[side_chain] == (torsion == "phi")


@pytest.mark.parametrize(
    ("residue", "chain", "sentence"),
    [(99, None, "is not there"), (5, "B", "is not there"), (12, None, "No residue follows")],
)
def test_a_torsion_that_is_not_there(peptide: Path, residue: int, chain: str | None, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        TorsionRoute(read_structure(peptide), residue, chain=chain)


def test_a_range_of_nothing_is_refused(peptide: Path) -> None:
    with pytest.raises(UserError, match="range is 0"):
        TorsionRoute(read_structure(peptide), 5, range_in_degrees=0.0)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared structures")
def test_the_paper_s_motion_of_7bcq() -> None:
    """Figures of the published frames: atoms that move, RMSD to the start at 9° and 90°, largest radius."""
    route = TorsionRoute(read_structure(SHARED / "7bcq_chA_res177-330_noh_cen.pdb"), residue=249)
    assert moving_atoms(route.structure, 249, "psi")[2].sum() == 651
    positions = route.positions(np.array([0.0, 0.1, 1.0]))
    rmsd = np.sqrt(((positions - positions[0]) ** 2).sum(-1).mean(-1))
    np.testing.assert_allclose(rmsd, (0, 2.7, 22.1), atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(positions, axis=-1).max(-1)[[0, 2]], (42, 64), atol=0.5)
    np.testing.assert_allclose(positions.mean(axis=1), 0, atol=1e-4)
    assert route.value(np.array([0.1]))[0] == pytest.approx(9)


def test_a_trajectory_s_states_are_its_snapshots(peptide: Path) -> None:
    structure = read_structure(peptide)
    trajectory = structure.positions + np.arange(5)[:, None, None]
    route = TrajectoryRoute(structure, trajectory)
    state = np.array([0.0, 0.1, 0.3, 1.0])
    assert route.snapped(state).tolist() == [0, 0, 0.25, 1]
    assert route.value(state).tolist() == [0, 0, 1, 4]
    np.testing.assert_allclose(route.trajectory.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_array_equal(route.positions(state), route.trajectory[[0, 0, 1, 4]])


def test_a_trajectory_that_does_not_fit_is_refused(peptide: Path) -> None:
    structure = read_structure(peptide)
    with pytest.raises(UserError, match="1 snapshots"):
        TrajectoryRoute(structure, structure.positions[None])
    with pytest.raises(UserError, match="has 59 atoms"):
        TrajectoryRoute(structure, np.zeros((3, 59, 3)))
    with pytest.raises(UserError, match="not numbers"):
        TrajectoryRoute(structure, np.full((3, 60, 3), np.nan))
