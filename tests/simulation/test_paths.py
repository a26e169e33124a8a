import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from temporem.errors import UserError
from temporem.simulation import steered
from temporem.simulation.interpolation import morph
from temporem.simulation.matching import carried, common_atoms
from temporem.simulation.molecules import Transition, read_routes
from temporem.simulation.motions import Schedule, conformations
from temporem.simulation.structures import Structure, read_structure, superposed

SHARED = Path(__file__).resolve().parents[3] / "shared" / "structures"
needs_cas9 = pytest.mark.skipif(not SHARED.exists(), reason="needs the shared structures")


def bent(structure: Structure, degrees: float) -> Structure:
    """Residues 7 and later turned about an axis through the alpha carbon of residue 6."""
    hinge = structure.positions[(structure.residue == 6) & (structure.atom_name == "CA")][0]
    rotation = Rotation.from_euler("y", degrees, degrees=True)
    positions = structure.positions.copy()
    later = structure.residue >= 7
    positions[later] = rotation.apply(positions[later] - hinge) + hinge
    return structure.with_positions(positions)


def rmsd(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.sqrt(((superposed(one, two) - two) ** 2).sum(-1).mean()))


def test_common_atoms_are_those_both_have(peptide: Path) -> None:
    whole = read_structure(peptide)
    first = whole.select(whole.residue >= 3)
    last = whole.select((whole.residue <= 10) & ~((whole.residue == 5) & (whole.atom_name == "CB")))
    last = last.select(~((last.residue == 8) & (last.atom_name == "CA")))
    first, last = common_atoms(first, last)
    assert sorted(set(first.residue.tolist())) == [3, 4, 5, 6, 7, 9, 10]
    assert len(first) == len(last) == 7 * 5 - 1
    np.testing.assert_array_equal(first.atom_name, last.atom_name)
    np.testing.assert_allclose(first.positions, last.positions, atol=1e-3)


def test_structures_without_common_residues_are_refused(peptide: Path) -> None:
    whole = read_structure(peptide)
    with pytest.raises(UserError, match="0 residues of the same number"):
        common_atoms(whole.select(whole.residue < 6), whole.select(whole.residue > 6))


def test_atoms_are_carried_exactly_by_a_rigid_motion_and_at_both_ends(peptide: Path) -> None:
    first = read_structure(peptide).centred()
    last = bent(first, 50)
    anchors = first.alpha_carbons
    rotation = Rotation.random(random_state=1)
    targets = np.stack([rotation.apply(first.positions[anchors]) + 3, last.positions[anchors]])
    placed = carried(first, last, targets, np.array([0.0, 1.0]))
    np.testing.assert_allclose(placed[0], rotation.apply(first.positions) + 3, atol=1e-4)
    np.testing.assert_allclose(placed[1], last.positions, atol=1e-4)


def test_a_morph_goes_from_one_structure_to_the_other_on_straight_lines(peptide: Path) -> None:
    first = read_structure(peptide)
    last = bent(first, 40)
    path = morph(first, last, 11).trajectory
    assert path.shape == (11, 60, 3)
    assert rmsd(path[0], first.positions) < 1e-4
    assert rmsd(path[-1], last.positions) < 1e-4
    anchors = first.alpha_carbons
    np.testing.assert_allclose(
        path[5][anchors] - path[0][anchors], (path[10] - path[0])[anchors] / 2, atol=1e-4
    )


def test_a_path_of_one_snapshot_is_refused(peptide: Path) -> None:
    structure = read_structure(peptide)
    for make in (
        lambda: morph(structure, structure, 1),
        lambda: steered.steered_path(structure, structure, 1, 0),
    ):
        with pytest.raises(UserError, match="at least two"):
            make()


def test_a_steered_path_arrives_and_every_seed_takes_its_own(
    peptide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openmm")
    monkeypatch.setattr(steered, "STEPS", 2000)
    first = read_structure(peptide)
    last = bent(first, 60)
    anchors = first.alpha_carbons
    one, again, other = (steered.steered_path(first, last, 9, seed).trajectory for seed in (0, 0, 1))
    assert rmsd(one[0], first.positions) < 1e-4
    distance = [rmsd(snapshot[anchors], last.positions[anchors]) for snapshot in one]
    assert distance[-1] < 1.0
    assert distance[0] > 2 * distance[-1]
    assert (np.diff(distance) < 0.5).all()
    bonds = np.linalg.norm(np.diff(one[:, anchors], axis=1), axis=-1)
    np.testing.assert_allclose(bonds, bonds[:1].repeat(9, axis=0), atol=0.8)
    np.testing.assert_array_equal(one, again)
    assert rmsd(one[4], other[4]) > 0.1


def test_without_openmm_the_way_out_is_named(peptide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openmm", None)
    structure = read_structure(peptide)
    with pytest.raises(UserError, match=r"pip install openmm.*morph"):
        steered.steered_path(structure, structure, 5, 0)


@needs_cas9
def test_cas9_has_the_known_atoms_in_common() -> None:
    first, last = common_atoms(read_structure(SHARED / "4CMP.pdb.gz"), read_structure(SHARED / "4ZT0.pdb.gz"))
    assert len(first) == 8835
    anchors = first.alpha_carbons
    assert len(anchors) == 1126
    assert rmsd(first.positions[anchors], last.positions[anchors]) == pytest.approx(27.5, abs=0.05)


@pytest.mark.external
@needs_cas9
def test_cas9_is_steered_to_within_an_angstrom() -> None:
    pytest.importorskip("openmm")
    first, last = (read_structure(SHARED / name) for name in ("4CMP.pdb.gz", "4ZT0.pdb.gz"))
    route = steered.steered_path(first, last, 190, 0)
    _, matched = common_atoms(first, last)
    assert rmsd(route.trajectory[-1], matched.positions) < 1.0


def test_a_path_is_steered_once_and_kept(
    peptide: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("openmm")
    monkeypatch.setattr(steered, "STEPS", 400)
    first = read_structure(peptide)
    last = bent(first, 60)
    made = steered.steered_path(first, last, 5, 0, tmp_path).trajectory
    monkeypatch.setattr(steered, "_steered", lambda *_: pytest.fail("it was steered again"))
    np.testing.assert_array_equal(steered.steered_path(first, last, 5, 0, tmp_path).trajectory, made)
    for other in ((first, last, 5, 1), (first, bent(first, 50), 5, 0), (first, last, 6, 0)):
        with pytest.raises(pytest.fail.Exception, match="again"):
            steered.steered_path(*other, tmp_path)


def test_frames_of_one_state_come_from_several_paths_that_begin_alike(
    peptide: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("openmm")
    monkeypatch.setattr(steered, "STEPS", 2000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = read_structure(peptide)
    save_pdb(tmp_path / "last.pdb", peptide, bent(first, 60))
    molecule = Transition(str(peptide), str(tmp_path / "last.pdb"), snapshots=9, paths=3)
    routes = read_routes(molecule)
    starts = np.stack([route.positions(np.zeros(1))[0] for route in routes])
    np.testing.assert_allclose(starts, starts[:1].repeat(3, axis=0), atol=1e-3)
    schedule = Schedule(np.repeat([0.0, 0.5, 1.0], 100), 3)
    shown = conformations(routes, schedule, np.random.default_rng(0))
    assert len(shown.positions) == 9
    np.testing.assert_array_equal(shown.state, schedule.state)
    middle = shown.positions[np.unique(shown.conformation[100:200])]
    assert len(middle) == 3
    spread = np.sqrt(((middle[:, None] - middle[None]) ** 2).sum(-1).mean(-1))
    assert spread[np.triu_indices(3, 1)].min() > 0.1
    assert np.bincount(shown.conformation[100:200]).max() < 60


def save_pdb(path: Path, like: Path, structure: Structure) -> None:
    """The lines of a PDB file with the coordinates of `structure`, which was read from it."""
    atoms = iter(structure.positions)
    lines = [
        f"{line[:30]}{''.join(f'{x:8.3f}' for x in next(atoms))}{line[54:]}"
        if line.startswith("ATOM")
        else line
        for line in like.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
