"""Which conformations a simulation passes through, and where they are read from."""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from temporem.errors import UserError
from temporem.simulation.downloads import default_cache, first_available
from temporem.simulation.interpolation import morph
from temporem.simulation.main_motion import MainMotionRoute
from temporem.simulation.phantom import Change, PhantomRoute
from temporem.simulation.routes import Route, TorsionRoute
from temporem.simulation.steered import steered_path
from temporem.simulation.structures import read_structure
from temporem.simulation.trajectories import read_trajectory

__all__ = [
    "AdenylateKinase",
    "Molecule",
    "Phantom",
    "Torsion",
    "Trajectory",
    "Transition",
    "read_routes",
    "settled",
]


@dataclass(frozen=True)
class Torsion:
    """A structure of which one backbone torsion turns."""

    structure: str
    """PDB or mmCIF file, or a PDB id, which is downloaded from the wwPDB."""
    residue: int
    """Number of the residue whose torsion turns."""
    torsion: Literal["phi", "psi"] = "psi"
    """Which of its torsions."""
    range_in_degrees: float = 90.0
    """How far it turns."""
    chain: str | None = None
    """Chain to keep (default: all)."""
    residues: tuple[int, int] | None = None
    """First and last residue to keep (default: all)."""


@dataclass(frozen=True)
class Transition:
    """A path between two structures of one molecule: interpolation, not dynamics."""

    first: str
    """PDB or mmCIF file, or a PDB id, which is downloaded from the wwPDB; of several ids with blanks between
    them, the first that can be had."""
    last: str
    """Likewise; the path runs over the heavy atoms that both have."""
    path: Literal["steered", "morph"] = "steered"
    """An elastic network steered to the last structure (OpenMM, extra "paths"), or plain interpolation."""
    snapshots: int = 190
    """Conformations along the path."""
    path_seed: int = 0
    """Of the steered path's thermal motion."""
    paths: int = 1
    """Steered paths, of this seed and the following ones; every frame shows a conformation of any of them."""
    chain: str | None = None
    """Chain to keep of either (default: all)."""


@dataclass(frozen=True)
class Trajectory:
    """Conformations computed by others, in anything MDAnalysis reads (extra "trajectories").

    Their order is that of progress along what moves most, the first principal component, whatever the time.
    """

    topology: Path
    """PSF, PDB, GRO, TPR, ..."""
    trajectories: tuple[Path, ...]
    """DCD, XTC, TRR, NetCDF, ...; of several, such as replicas, the conformations are joined."""
    selection: str = "protein and not name H*"
    """Atoms to keep, in MDAnalysis' language; leave out a loose end that moves more than what matters."""


@dataclass(frozen=True)
class AdenylateKinase:
    """Adenylate kinase opening: adk_dims.dcd of the package MDAnalysisTests (extra "demo")."""

    selection: str = "protein and not name H*"
    """Atoms to keep, in MDAnalysis' language."""


@dataclass(frozen=True)
class Phantom:
    """A molecule made up: a body of random helices at rest, and domains about it."""

    domains: tuple[Change, ...] = ("turn", "slide", "appear", "vanish")
    """What each of them does along the route: turn by 60°, slide by 15 Å, appear, vanish or stay still."""
    residues: int = 120
    """Of a domain; the body has twice as many."""
    molecule_seed: int = 0
    """Of its shape."""
    snapshots: int = 190
    """Conformations along the route."""


Molecule = Torsion | Transition | Trajectory | AdenylateKinase | Phantom


def settled(molecule: Molecule) -> Molecule:
    """Name the one structure that is taken where there is a choice of several, and say which."""
    if isinstance(molecule, Transition):
        first, last = (first_available(source) for source in (molecule.first, molecule.last))
        return replace(molecule, first=first, last=last)
    return molecule


def read_routes(molecule: Molecule) -> list[Route]:
    """Read the files, or download the entries, and return the conformations, centred and superposed.

    Several routes are of the same atoms, and begin in the same place.
    """
    molecule = settled(molecule)
    if isinstance(molecule, Transition):
        if molecule.paths < 1:
            raise UserError(f"{molecule.paths} paths were asked for: ask for at least one.")
        first, last = (
            read_structure(source, chain=molecule.chain) for source in (molecule.first, molecule.last)
        )
        if molecule.path == "morph":
            return [morph(first, last, molecule.snapshots)]
        seeds = range(molecule.path_seed, molecule.path_seed + molecule.paths)
        routes = [steered_path(first, last, molecule.snapshots, x, default_cache() / "paths") for x in seeds]
        return [route.begun_like(routes[0]) for route in routes]
    return [_only_route(molecule)]


def _only_route(molecule: Torsion | Trajectory | AdenylateKinase | Phantom) -> Route:
    if isinstance(molecule, Phantom):
        return PhantomRoute(molecule.domains, molecule.residues, molecule.molecule_seed, molecule.snapshots)
    if isinstance(molecule, Torsion):
        structure = read_structure(molecule.structure, chain=molecule.chain, residues=molecule.residues)
        return TorsionRoute(
            structure,
            residue=molecule.residue,
            range_in_degrees=molecule.range_in_degrees,
            torsion=molecule.torsion,
            chain=molecule.chain,
        )
    if isinstance(molecule, AdenylateKinase):
        package = find_spec("MDAnalysisTests")
        if package is None or package.origin is None:
            raise UserError(
                "adenylate kinase needs MDAnalysisTests: run pip install MDAnalysis MDAnalysisTests."
            )
        data = Path(package.origin).parent / "data"
        return read_trajectory(data / "adk.psf", [data / "adk_dims.dcd"], molecule.selection)
    return MainMotionRoute(
        read_trajectory(molecule.topology, list(molecule.trajectories), molecule.selection)
    )
