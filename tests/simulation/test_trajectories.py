import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from temporem.errors import UserError
from temporem.simulation.structures import read_structure, superposed
from temporem.simulation.trajectories import contact_b_factors, read_trajectory


@pytest.fixture
def trajectory(peptide: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """The peptide stretching over seven snapshots while it drifts, written by MDAnalysis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdanalysis = pytest.importorskip("MDAnalysis")
        universe = mdanalysis.Universe(str(peptide))
        start = universe.atoms.positions.copy()
        path = tmp_path / "stretch.xtc"
        frames = np.array([start * (1, 1, 1 + 0.05 * k) + 10 * k for k in range(7)], np.float32)
        with mdanalysis.Writer(str(path), len(start)) as writer:
            for frame in frames:
                universe.atoms.positions = frame
                writer.write(universe.atoms)
    return path, frames


def test_a_trajectory_is_read_superposed_with_its_elements(
    peptide: Path, trajectory: tuple[Path, np.ndarray]
) -> None:
    path, frames = trajectory
    route = read_trajectory(peptide, [path])
    structure = read_structure(peptide)
    np.testing.assert_array_equal(route.structure.elements, structure.elements)
    np.testing.assert_array_equal(route.structure.b_factors, structure.b_factors)
    expected = superposed(frames, frames[0], structure.alpha_carbons)
    np.testing.assert_allclose(
        route.trajectory, expected - expected.mean(axis=(0, 1)), atol=0.02
    )  # xtc keeps 0.01 Å


def test_atoms_and_snapshots_can_be_chosen(peptide: Path, trajectory: tuple[Path, np.ndarray]) -> None:
    route = read_trajectory(peptide, [trajectory[0]], "name CA", snapshots=4)
    assert route.trajectory.shape == (4, 12, 3)
    joined = read_trajectory(peptide, [trajectory[0], trajectory[0]], "name CA")
    assert joined.trajectory.shape == (14, 12, 3)


def test_what_cannot_be_read_is_a_sentence(
    peptide: Path, trajectory: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path, _ = trajectory
    with pytest.raises(UserError, match="no file"):
        read_trajectory(peptide, [tmp_path / "missing.dcd"])
    with pytest.raises(UserError, match="finds no atom"):
        read_trajectory(peptide, [path], "name ZZ")
    with pytest.raises(UserError, match="cannot be read"):
        read_trajectory(peptide, [path], "colour blue")
    short = tmp_path / "short.pdb"
    short.write_text("\n".join(peptide.read_text().splitlines()[:9]) + "\nEND\n")
    with pytest.raises(UserError, match="cannot be read"):
        read_trajectory(short, [path])
    damaged = tmp_path / "damaged.xtc"
    damaged.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        read_trajectory(peptide, [damaged])


def test_without_mdanalysis_the_way_out_is_named(peptide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    with pytest.raises(UserError, match=r"pip install MDAnalysis"):
        read_trajectory(peptide, [peptide])


def test_adenylate_kinase_opens() -> None:
    """Elements come from the masses of a PSF file, B-factors from contacts; 6.8 Å from closed to open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = pytest.importorskip("MDAnalysisTests.datafiles")
    route = read_trajectory(Path(files.PSF), [Path(files.DCD)])
    assert np.unique(route.structure.elements).tolist() == [6, 7, 8, 16]
    assert route.trajectory.shape == (98, 1656, 3)
    anchors = route.structure.alpha_carbons
    moved = route.trajectory[:, anchors] - route.trajectory[0, anchors]
    assert np.sqrt((moved**2).sum(-1).mean(-1))[-1] == pytest.approx(6.8, abs=0.1)
    assert route.structure.b_factors.std() > 5


def test_nothing_is_said_of_mdanalysis_own_plans() -> None:
    """Its reader of DCD files warns users of what is meant for programmers; in a process of its own."""
    pytest.importorskip("MDAnalysisTests")
    code = (
        "from temporem.simulation.molecules import AdenylateKinase, read_routes;"
        "assert len(read_routes(AdenylateKinase('name CA'))[0].trajectory) == 98"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == done.stdout == ""


def test_contact_b_factors_are_higher_outside() -> None:
    grid = np.stack(np.meshgrid(*3 * [np.arange(-12.0, 13.0, 4.0)]), axis=-1).reshape(-1, 3)
    b_factors = contact_b_factors(grid)
    assert b_factors.mean() == pytest.approx(50, rel=1e-4)
    assert b_factors[np.linalg.norm(grid, axis=1).argmin()] == b_factors.min()
    assert b_factors[np.linalg.norm(grid, axis=1).argmax()] == b_factors.max()
