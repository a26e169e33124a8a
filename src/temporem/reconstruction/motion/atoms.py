"""An atomic model carried along a run's motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor, nn

from temporem.errors import UserError
from temporem.files import write_text
from temporem.physics.points import point_volume
from temporem.progress import progress
from temporem.reconstruction.motion.field import MotionField, open_motion
from temporem.reconstruction.run import Run

__all__ = ["MorphFit", "morph"]

_STATES_TRIED = 30
_LEAST_INSIDE = 0.9
"""Share of the atoms that must lie in the box."""
_STEPS = 60
_RATE = 0.02
"""Of Adam, in Å and in radians times the model's radius of gyration."""
_BOND_IN_ANGSTROMS = 2.0
_ASTRAY_IN_ANGSTROMS = 0.5
"""Of atoms whose place in the canonical density is not found."""


@dataclass(frozen=True, eq=False)
class MorphFit:
    """How a model came to lie in a run's volumes."""

    image: int
    """Row whose volume the model shows best, of those tried."""
    correlation: float
    """Of that volume with the docked model's density."""
    moved_in_angstroms: float
    """Rms, by docking."""
    bonds_changed_in_angstroms: float
    """Rms over bonds, atoms and states: a motion that keeps the chemistry changes none by much."""
    astray: int
    """Atoms that the motion could not be undone for: they are carried from the nearest place found."""
    positions: Float[Tensor, "frames atoms 3"]
    """Of the atoms in each frame, in Å, in the frame of the maps."""


def morph(run: Run, model: Path, output: Path, rows: Sequence[int]) -> MorphFit:
    """Carry the atoms of a PDB or mmCIF file through the states of these image rows.

    The model must lie in the frame of the run's maps (`temporem volumes`), roughly in place. It is docked
    as a rigid body into the volume, among some of the run's, that it resembles most; then each atom follows
    the density around it. Waters are left out. Writes `morph.cif`, a model for each row, and
    `topology.pdb`, the first of them.

    Raises UserError for an unreadable model, one that lies outside the maps, and a run whose generator does
    not move one density.
    """
    field = open_motion(run)
    states = run.states(rows)
    structure = _read(model)
    atoms = [atom for chain in structure[0] for residue in chain for atom in residue]
    positions = torch.tensor([atom.pos.tolist() for atom in atoms], dtype=torch.float32)
    inside = ((positions >= 0) & (positions < field.box_in_angstroms)).all(-1).float().mean()
    if float(inside) < _LEAST_INSIDE:
        raise UserError(
            f"{model} lies outside the maps of {run.path}, which go from 0 to {field.box_in_angstroms:.0f} Å:"
            " place it in a volume of temporem volumes (ChimeraX: fitmap) and save it relative to that."
        )
    tried = np.linspace(0, len(rows) - 1, min(_STATES_TRIED, len(rows))).round().astype(int)
    candidates = [rows[index] for index in np.unique(tried)]
    mass = torch.tensor([float(atom.element.atomic_number) * atom.occ for atom in atoms])
    image, volume = _most_alike(run, field, positions, mass, candidates)
    docked = _dock(field, volume, positions, mass)
    canonical, error = field.canonical(docked, run.states([image])[0])
    output.mkdir(parents=True, exist_ok=True)
    with progress("Carrying atoms", len(rows)) as advance:
        frames = []
        for state in states:
            frames.append(field.carried(canonical, state[None])[0])
            advance(1, "")
    carried = torch.stack(frames)
    _write(structure, carried, output)
    return MorphFit(
        image,
        _correlation(field, volume, docked, mass),
        float((docked - positions).square().sum(-1).mean().sqrt()),
        _bonds_changed(docked, carried),
        int((error > _ASTRAY_IN_ANGSTROMS).sum()),
        carried,
    )


def _read(model: Path) -> gemmi.Structure:
    try:
        structure = gemmi.read_structure(str(model))
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"{model} cannot be read as PDB or mmCIF ({error}): give a coordinate file."
        ) from None
    structure.remove_alternative_conformations()
    structure.remove_waters()
    structure.remove_empty_chains()
    while len(structure) > 1:
        del structure[len(structure) - 1]
    if not len(structure) or not structure[0].count_atom_sites():
        raise UserError(f"{model} holds no atoms but waters: give a PDB or mmCIF file with coordinates.")
    return structure


def _most_alike(
    run: Run,
    field: MotionField,
    positions: Float[Tensor, "atoms 3"],
    mass: Float[Tensor, " atoms"],
    rows: list[int],
) -> tuple[int, Float[Tensor, "n n n"]]:
    best = None
    for row, volume in run.volumes(rows):
        score = _correlation(field, volume, positions, mass)
        if best is None or score > best[0]:
            best = (score, row, volume)
    assert best is not None
    return best[1], best[2]


def _correlation(
    field: MotionField,
    volume: Float[Tensor, "n n n"],
    positions: Float[Tensor, "atoms 3"],
    mass: Float[Tensor, " atoms"],
) -> float:
    """Of the volume with Gaussians at the atoms, as wide as a voxel."""
    n, pixel = field.generator.box_size, field.generator.config.pixel_size_in_angstroms
    model = point_volume(positions / pixel - n // 2, mass, n, 1.0).flatten()
    return float(torch.corrcoef(torch.stack((model, volume.flatten())))[0, 1])


def _dock(
    field: MotionField,
    volume: Float[Tensor, "n n n"],
    positions: Float[Tensor, "atoms 3"],
    mass: Float[Tensor, " atoms"],
) -> Float[Tensor, "atoms 3"]:
    """Climb to the nearest maximum of the mean density at the atoms, as a rigid body."""
    n, pixel = field.generator.box_size, field.generator.config.pixel_size_in_angstroms
    centre = positions.mean(0)
    radius = (positions - centre).square().sum(-1).mean().sqrt().clamp(min=1.0)
    turn = torch.zeros(3, requires_grad=True)
    shift = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([turn, shift], lr=_RATE * pixel)

    def placed() -> Tensor:
        skew = torch.stack([torch.linalg.cross(turn / radius, axis) for axis in torch.eye(3)], dim=1)
        turned: Tensor = (positions - centre) @ torch.linalg.matrix_exp(skew).mT
        return turned + centre + shift

    for _ in range(_STEPS):
        # grid_sample puts −1 and 1 at the centres of the first and the last voxel.
        grid = placed() / pixel * 2 / (n - 1) - 1
        density = nn.functional.grid_sample(volume[None, None], grid[None, None, None], align_corners=True)
        optimizer.zero_grad()
        (-(density.flatten() * mass).sum() / mass.sum() / volume.std()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return placed().detach()


def _bonds_changed(reference: Float[Tensor, "atoms 3"], carried: Float[Tensor, "frames atoms 3"]) -> float:
    pairs = cKDTree(reference.numpy()).query_pairs(_BOND_IN_ANGSTROMS, output_type="ndarray")
    if not len(pairs):
        return 0.0
    first, second = torch.from_numpy(pairs.astype(np.int64)).unbind(-1)
    before = (reference[first] - reference[second]).norm(dim=-1)
    after = (carried[:, first] - carried[:, second]).norm(dim=-1)
    return float((after - before).square().mean().sqrt())


def _write(structure: gemmi.Structure, carried: Float[Tensor, "frames atoms 3"], output: Path) -> None:
    first = structure[0]
    series = gemmi.Structure()
    series.name = structure.name
    series.cell, series.spacegroup_hm = structure.cell, structure.spacegroup_hm
    series.entities = structure.entities
    for number, positions in enumerate(carried.tolist(), start=1):
        model = first.clone()
        model.num = number
        for atom, place in zip(
            (atom for chain in model for residue in chain for atom in residue), positions, strict=True
        ):
            atom.pos = gemmi.Position(*place)
        series.add_model(model)
    series.setup_entities()
    write_text(output / "morph.cif", series.make_mmcif_document().as_string())
    topology = gemmi.Structure()
    topology.name = structure.name
    topology.add_model(series[0])
    write_text(output / "topology.pdb", topology.make_pdb_string())
