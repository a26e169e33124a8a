from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tyro

from temporem.errors import UserError
from temporem.movies.reading import read_movies
from temporem.movies.reading_options import ReadingOptions
from temporem.simulation import molecules
from temporem.simulation.densities import DensityOptions
from temporem.simulation.molecules import AdenylateKinase, Torsion, Trajectory, Transition, read_routes
from temporem.simulation.options import SimulationOptions
from temporem.simulation.recipes import GENERAL, RECIPES
from temporem.simulation.simulate import simulate
from temporem.simulation.truth import Truth

STRUCTURES = Path(__file__).resolve().parents[3] / "shared" / "structures"

needs_structures = pytest.mark.skipif(not STRUCTURES.exists(), reason="no shared structures here")


def recipe(name: str) -> SimulationOptions:
    options = replace(RECIPES[name][1], movies=2)
    molecule = options.molecule
    if isinstance(molecule, Torsion):
        molecule = replace(molecule, structure=str(STRUCTURES / "7bcq_chA_res177-330_noh_cen.pdb"))
    if isinstance(molecule, Transition):
        files = (str(STRUCTURES / f"{x}.pdb.gz") for x in ("4CMP", "4ZT0"))
        # The steered path takes half a minute, and has tests of its own.
        molecule = replace(molecule, first=next(files), last=next(files), path="morph")
    return replace(options, molecule=molecule)


@needs_structures
def test_7bcq_turns_by_nine_degrees_a_frame(tmp_path: Path) -> None:
    simulate(recipe("7bcq"), tmp_path / "movies")
    truth = Truth.load(tmp_path / "movies")
    assert truth.unit == "degrees"
    assert len(truth.structure) == 1214
    steps = truth.states.groupby("movie")["value"].diff().dropna()
    assert len(steps) == 18
    np.testing.assert_allclose(steps, 9.0)
    assert truth.states["value"].between(0, 90).all()
    starts = truth.states[truth.states["frame"] == 0]["value"]
    assert starts.between(0, 9, inclusive="neither").all()
    assert starts.nunique() == 2
    assert list(truth.states["category"]) == [*range(10), *range(10)]


@needs_structures
def test_cas9_movies_pass_through_the_states_either_way(tmp_path: Path) -> None:
    options = recipe("cas9")
    molecule = replace(options.molecule, snapshots=19)
    density = DensityOptions(method="gaussian")
    options = replace(options, molecule=molecule, density=density, box_size=32, pixel_size_in_angstroms=6.0)
    simulate(replace(options, twin=True, movies=3, seed=1), tmp_path / "movies")
    truth = Truth.load(tmp_path / "movies")
    assert truth.number_of_conformations <= 19
    assert truth.states["category"].between(0, 18).all()
    starts = truth.states[truth.states["frame"] == 0]["category"]
    assert starts.nunique() > 1
    steps = truth.states.groupby("movie")["category"].diff().dropna()
    # Mostly to the next; a snapshot near a border may be shown for either side's state.
    assert {-1, 0, 1} <= set(steps) <= {-2, -1, 0, 1, 2}
    movies = read_movies(tmp_path / "movies" / "movies.star", ReadingOptions())
    assert len(movies) == 57
    assert movies.images.box_size == 32


def test_adenylate_kinase_opens(tmp_path: Path) -> None:
    pytest.importorskip("MDAnalysis")
    pytest.importorskip("MDAnalysisTests")
    simulate(recipe("adk"), tmp_path / "movies")
    truth = Truth.load(tmp_path / "movies")
    assert len(set(truth.structure.residue)) == 214
    assert truth.unit == "snapshot"
    assert not (truth.structure.elements == 1).any()
    first, last = (truth.positions[truth.conformation[row]] for row in (0, 19))
    alpha_carbons = truth.structure.alpha_carbons
    assert np.sqrt(((first - last)[alpha_carbons] ** 2).sum(1).mean()) > 5


def test_adenylate_kinase_without_its_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecules, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install MDAnalysis MDAnalysisTests"):
        read_routes(AdenylateKinase())


@pytest.mark.parametrize("name", [*RECIPES, *GENERAL])
def test_every_number_can_be_changed_on_the_command_line(name: str) -> None:
    needed = {
        "torsion": ["--structure", "a.pdb", "--residue", "7"],
        "transition": ["--first", "a.pdb", "--last", "b.pdb"],
        "trajectory": ["--topology", "a.psf", "--trajectories", "a.dcd", "b.dcd"],
    }
    options: SimulationOptions = tyro.cli(
        SimulationOptions,
        default={**RECIPES, **GENERAL}[name][1],
        args=[
            *needed.get(name, []),
            "--snr",
            "0.07",
            "--twin",
            "--defocus-in-micrometres",
            "0.5",
            "0.9",
            "static",
        ],
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    assert options.snr == 0.07
    assert options.twin
    assert options.microscope.defocus_in_micrometres == (0.5, 0.9)
    assert type(options.motion).__name__ == "Static"
    if isinstance(options.molecule, Trajectory):
        assert options.molecule.trajectories == (Path("a.dcd"), Path("b.dcd"))
