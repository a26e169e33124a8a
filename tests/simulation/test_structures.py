import contextlib
import gzip
import tempfile
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from temporem.errors import UserError
from temporem.simulation.structures import load_structure, read_structure, save_structure, superposed

SHARED = Path(__file__).resolve().parents[3] / "shared" / "structures"

PDB = """\
ATOM      1  N   GLY A   1      11.104   6.134  -6.504  1.00 10.00           N
ATOM      2  CA AGLY A   1      11.639   6.071  -5.147  0.60 20.00           C
ATOM      3  CA BGLY A   1      99.000  99.000  99.000  0.40 20.00           C
ATOM      4  HA2 GLY A   1      12.000   6.000  -5.000  1.00 20.00           H
ATOM      5  S   CYS B   7       0.500   1.500   2.500  1.00 30.00           S
HETATM    6 CA    CA B   8       5.000   5.000   5.000  1.00 40.00          CA
HETATM    7  O   HOH A 100       3.000   3.000   3.000  1.00 50.00           O
END
"""


@pytest.fixture
def pdb(tmp_path: Path) -> Path:
    path = tmp_path / "small.pdb"
    path.write_text(PDB)
    return path


def test_reads_atoms_without_waters_hydrogens_and_second_conformations(pdb: Path) -> None:
    structure = read_structure(pdb)
    assert structure.elements.tolist() == [7, 6, 16, 20]
    np.testing.assert_allclose(structure.positions[1], (11.639, 6.071, -5.147), atol=1e-5)
    assert structure.b_factors.tolist() == [10, 20, 30, 40]
    assert structure.chain.tolist() == ["A", "A", "B", "B"]
    assert structure.residue.tolist() == [1, 1, 7, 8]
    assert structure.alpha_carbons.tolist() == [1]  # the calcium ion is none
    assert len(read_structure(pdb, hydrogens=True)) == 5


def test_selects_chain_and_residues(pdb: Path) -> None:
    assert read_structure(pdb, chain="B").atom_name.tolist() == ["S", "CA"]
    assert read_structure(pdb, chain="B", residues=(8, 20)).elements.tolist() == [20]
    with pytest.raises(UserError, match=r"no atoms in chain C.*A, B"):
        read_structure(pdb, chain="C")


def test_every_format_gives_the_same_atoms(pdb: Path, tmp_path: Path) -> None:
    zipped = tmp_path / "small.pdb.gz"
    zipped.write_bytes(gzip.compress(PDB.encode()))
    cif = tmp_path / "small.cif"
    gemmi.read_structure(str(pdb)).make_mmcif_document().write_file(str(cif))
    for path in (zipped, cif):
        np.testing.assert_array_equal(read_structure(path).positions, read_structure(pdb).positions)


def test_a_stored_structure_comes_back_bit_for_bit(pdb: Path, tmp_path: Path) -> None:
    structure = read_structure(pdb)
    save_structure(tmp_path / "structure.npz", structure)
    again = load_structure(tmp_path / "structure.npz")
    for name in ("positions", "elements", "b_factors", "chain", "residue", "residue_name", "atom_name"):
        np.testing.assert_array_equal(getattr(again, name), getattr(structure, name))
    assert again.source == structure.source


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no atoms"),
        ("nonsense\n", "holds no atoms"),
        (PDB.replace("11.104", "  nan ")[:81], "not numbers|cannot be read"),
        (PDB.replace("          S", "          X").replace("  S   CYS", "  X   CYS"), "unknown element"),
    ],
)
def test_what_is_no_structure_is_said_in_one_sentence(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "bad.pdb"
    path.write_text(content)
    with pytest.raises(UserError, match=reason):
        read_structure(path)


@given(st.binary(max_size=400), st.sampled_from([".pdb", ".cif", ".pdb.gz", ".ent"]))
def test_random_bytes_give_atoms_or_one_sentence(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"random{suffix}"
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            assert len(read_structure(path)) > 0


@given(st.data())
def test_damaged_lines_give_atoms_or_one_sentence(data: st.DataObject) -> None:
    characters = list(PDB)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(characters) - 1))
        characters[place] = data.draw(st.characters(min_codepoint=9, max_codepoint=255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.pdb"
        path.write_text("".join(characters), encoding="latin-1")
        with contextlib.suppress(UserError):
            structure = read_structure(path)
            assert np.isfinite(structure.positions).all()


def test_a_missing_file_and_a_damaged_store_are_user_errors(pdb: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a file nor a PDB id"):
        read_structure("missing.pdb")
    path = tmp_path / "structure.npz"
    save_structure(path, read_structure(pdb))
    whole = path.read_bytes()
    for damaged in (b"", b"PK damaged", whole[:100], whole[:-30], whole.replace(b"chain", b"chase")):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="not a structure"):
            load_structure(path)


def test_superposition_undoes_a_rigid_motion_and_never_reflects() -> None:
    generator = np.random.default_rng(0)
    reference = generator.normal(size=(20, 3)) * 10
    rotation = Rotation.random(5, random_state=0).as_matrix()
    moved = reference @ rotation.swapaxes(1, 2) + generator.normal(size=(5, 1, 3))
    np.testing.assert_allclose(
        superposed(moved, reference), np.broadcast_to(reference, moved.shape), atol=1e-4
    )
    mirrored = superposed(reference * (-1, 1, 1), reference)
    assert np.linalg.norm(mirrored - reference) > 10


def test_superposition_agrees_with_gemmi_on_a_subset() -> None:
    generator = np.random.default_rng(1)
    reference, moving = generator.normal(size=(2, 12, 3))
    atoms = np.arange(5)
    theirs = gemmi.superpose_positions(
        [gemmi.Position(*x) for x in reference[atoms]], [gemmi.Position(*x) for x in moving[atoms]]
    )
    ours = superposed(moving, reference, atoms)
    expected = [theirs.transform.apply(gemmi.Position(*x)).tolist() for x in moving]
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared structures")
def test_the_paper_s_structures() -> None:
    assert len(read_structure(SHARED / "7bcq_chA_res177-330_noh_cen.pdb")) == 1214
    apo = read_structure(SHARED / "4CMP.pdb.gz")
    assert len(apo.alpha_carbons) == 1144
    assert 1 not in apo.elements
