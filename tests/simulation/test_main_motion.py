import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sklearn.decomposition import PCA

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.simulation.main_motion import MainMotionRoute, along_main_motion
from temporem.simulation.molecules import Trajectory, read_routes
from temporem.simulation.motions import PassingThrough, conformations
from temporem.simulation.routes import TrajectoryRoute
from temporem.simulation.structures import Structure, read_structure
from temporem.simulation.truth import Truth

THERE_AND_BACK = np.concatenate((np.arange(0, 60, 2.0), np.arange(59, 0, -2.0)))
REPLICAS = np.concatenate((np.arange(0, 60, 1.5), np.arange(0.7, 60, 1.5)))
REPLICA_FROM_THE_OTHER_END = np.concatenate((np.arange(0, 60, 1.5), np.arange(59.2, 0, -1.5)))
A_LONG_STAY = np.concatenate(
    (np.arange(0, 8, 0.5), np.arange(10, 60, 3.0), np.arange(59, 8, -3.0), np.arange(0.25, 8, 0.5))
)
VISITS = {
    "there and back": THERE_AND_BACK,
    "two replicas": REPLICAS,
    "one from either end": REPLICA_FROM_THE_OTHER_END,
    "a long stay": A_LONG_STAY,
}


def bent(structure: Structure, degrees: float) -> np.ndarray:
    """Residues 7 and later turned about an axis through the alpha carbon of residue 6."""
    hinge = structure.positions[(structure.residue == 6) & (structure.atom_name == "CA")][0]
    later = structure.residue >= 7
    positions = structure.positions.astype(np.float64)
    positions[later] = Rotation.from_euler("y", degrees, degrees=True).apply(positions[later] - hinge) + hinge
    return positions


def angles(structure: Structure, conformations: np.ndarray) -> np.ndarray:
    """By how much the later residues have turned against the earlier ones, in degrees."""
    later = structure.residue >= 7

    def turn(positions: np.ndarray, part: np.ndarray) -> Rotation:
        before, after = (x[part] - x[part].mean(axis=0) for x in (structure.positions, positions))
        return Rotation.align_vectors(after, before)[0]

    return np.degrees([(turn(x, ~later).inv() * turn(x, later)).magnitude() for x in conformations])


def write_tumbling(path: Path, topology: Path, degrees: np.ndarray) -> None:
    """The peptide bent by these angles, each time somewhere else and turned some other way."""
    random = np.random.default_rng(0)
    structure = read_structure(topology)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdanalysis = pytest.importorskip("MDAnalysis")
        universe = mdanalysis.Universe(str(topology))
        with mdanalysis.Writer(str(path), len(structure)) as writer:
            for angle in degrees:
                turned = Rotation.random(random_state=random).apply(bent(structure, angle))
                universe.atoms.positions = turned + random.normal(scale=20, size=3)
                writer.write(universe.atoms)


@pytest.mark.parametrize("visits", VISITS)
def test_categories_hold_conformations_of_like_progress_whenever_they_were_visited(
    peptide: Path, tmp_path: Path, visits: str
) -> None:
    degrees = VISITS[visits]
    half = len(degrees) // 2
    parts = [tmp_path / "one.xtc", tmp_path / "two.xtc"]
    for path, some in zip(parts, (degrees[:half], degrees[half:]), strict=True):
        write_tumbling(path, peptide, some)
    (route,) = read_routes(Trajectory(peptide, tuple(parts)))
    structure = read_structure(peptide)
    schedule = PassingThrough(8).schedule(np.full(400, 8), np.random.default_rng(0))
    made = conformations([route], schedule, np.random.default_rng(0))
    shown = angles(structure, made.positions)
    measured = shown[made.conformation]

    # Progress is the angle, in another unit: conformations are in the order of it.
    assert (np.diff(shown) > 0).all()
    assert np.corrcoef(made.value, measured)[0, 1] > 0.99
    assert made.unit == "Å rms"
    # Categories are disjoint spans of it, in order, and nearly as wide as each other.
    first, last = (np.array([f(measured[made.category == k]) for k in range(8)]) for f in (np.min, np.max))
    assert (last[:-1] < first[1:]).all()
    assert np.ptp(first[1:] - first[:-1]) < 5
    # The halves of the joined trajectory are both in each, where both were there.
    time = np.abs(measured[:, None] - degrees).argmin(axis=1)
    if visits != "a long stay":
        for k in range(8):
            assert set(time[made.category == k] >= half) == {False, True}


def test_progress_is_what_a_known_mode_was_multiplied_with(peptide: Path) -> None:
    structure = read_structure(peptide)
    random = np.random.default_rng(1)
    mode = random.normal(size=(60, 3))
    mode /= np.sqrt((mode**2).sum(axis=-1).mean())
    for count in (7, 500):
        amplitude = random.uniform(-2, 5, size=count)
        amplitude[0] = -1.5
        along = along_main_motion(structure.positions + amplitude[:, None, None] * mode)
        np.testing.assert_allclose(along, amplitude - amplitude.mean(), atol=1e-4)


@pytest.mark.parametrize("count", [9, 100])
def test_progress_is_the_first_principal_component_of_another_program(count: int) -> None:
    positions = np.random.default_rng(2).normal(size=(count, 12, 3)) * np.linspace(0.5, 3, 12)[:, None]
    along = along_main_motion(positions)
    expected = PCA(1, svd_solver="full").fit_transform(positions.reshape(count, -1))[:, 0] / np.sqrt(12)
    np.testing.assert_allclose(along, expected * np.sign(expected @ along), atol=1e-8)
    assert along[0] <= (along.min() + along.max()) / 2


def test_the_route_begins_where_the_trajectory_does_and_takes_the_nearest_snapshot(peptide: Path) -> None:
    structure = read_structure(peptide)
    stretched = np.array([1.0, 4.0, 2.0, 2.5, 0.0])[:, None, None] * structure.positions * (0, 0, 0.1)
    route = MainMotionRoute(TrajectoryRoute(structure, structure.positions + stretched))
    length = np.ptp(route.positions(np.array([0.0, 1.0]))[..., 2], axis=1)
    z = np.ptp(structure.positions[:, 2])
    np.testing.assert_allclose(length, (z, 1.4 * z), rtol=1e-4)
    np.testing.assert_allclose(
        route.snapped(np.array([0, 0.1, 0.2, 0.374, 0.376, 0.55, 0.57, 0.8, 0.82, 1])),
        [0, 0, 0.25, 0.25, 0.5, 0.5, 0.625, 0.625, 1, 1],
        atol=1e-4,
    )
    np.testing.assert_array_equal(route.structure.positions, route.positions(np.zeros(1))[0])
    state = np.random.default_rng(0).uniform(size=50)
    np.testing.assert_array_equal(route.snapped(route.snapped(state)), route.snapped(state))


def test_a_trajectory_in_which_nothing_moves_is_refused(peptide: Path) -> None:
    structure = read_structure(peptide)
    still = TrajectoryRoute(structure, np.stack([structure.positions] * 3))
    with pytest.raises(UserError, match="all alike"):
        MainMotionRoute(still)


def test_movies_of_one_s_own_trajectory_say_what_their_states_are(
    peptide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tumbling(tmp_path / "one.xtc", peptide, REPLICAS[:40])
    write_tumbling(tmp_path / "two.xtc", peptide, REPLICAS[40:])
    words = (
        f"simulate trajectory -o {tmp_path / 'movies'} --topology {peptide} "
        f"--trajectories {tmp_path / 'one.xtc'} {tmp_path / 'two.xtc'} --movies 3 --frames 4 --box-size 16 "
        "--method gaussian passing-through --states 4"
    )
    assert main(words.split()) == 0, capsys.readouterr().err
    truth = Truth.load(tmp_path / "movies")
    assert truth.unit == "Å rms"
    measured = angles(read_structure(peptide), truth.positions)
    assert (np.diff(measured) > 0).all()
    molecule = json.loads((tmp_path / "movies" / "simulation.json").read_text())["molecule"]
    assert molecule["trajectories"] == [str(tmp_path / "one.xtc"), str(tmp_path / "two.xtc")]
    text = (tmp_path / "movies" / "README.md").read_text()
    assert str(tmp_path / "two.xtc") in text
    assert "first principal component" in text
