"""A path between two structures, steered by RMSD through an elastic network with OpenMM (extra "paths").

An interpolation with bonds, contacts and thermal noise, not equilibrium molecular dynamics: it has no energy
landscape of its own. Every seed gives another path.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.files import replacing
from temporem.progress import progress as progress_bar
from temporem.simulation.matching import carried, common_atoms
from temporem.simulation.routes import TrajectoryRoute
from temporem.simulation.structures import Structure, superposed

__all__ = ["steered_path"]

TEMPERATURE_IN_KELVIN = 300
FRICTION_PER_PICOSECOND = 1.0
STEP_IN_PICOSECONDS = 0.02
STEPS = 20_000
STEPS_PER_UPDATE = 20
SETTLING_STEPS = 1_000
MASS_IN_DALTONS = 110
"""Of a mean residue."""
CONTACT_IN_NANOMETRES = 1.0
CONTACT_CHANGE_IN_NANOMETRES = 0.1
"""Contacts whose length changes by more between the two structures are free to open and close."""
CONTACT_STIFFNESS = 500.0
"""kJ/mol/nm²."""
BOND_STIFFNESS = 20_000.0
BOND_IN_NANOMETRES = 0.45
"""Alpha carbons that follow each other in the sequence and are nearer than this are bonded."""
REPULSION_IN_NANOMETRES = 0.5
REPULSION_ENERGY = 100.0
"""kJ/mol. With a tenth of it the domains of Cas9 pass through each other half-way."""
STEERING_STIFFNESS_PER_RESIDUE = 500.0
"""kJ/mol/nm², on the RMSD, so that its force does not fade with the molecule's size."""

FloatArray = npt.NDArray[np.float64]


def steered_path(
    first: Structure, last: Structure, snapshots: int, seed: int, cache: Path | None = None
) -> TrajectoryRoute:
    """Pull the alpha carbons of `first` to `last` and carry the other atoms along; ends within about 1 Å of
    it.

    Snapshots are evenly spaced in the RMSD asked for, which falls at constant speed. Each is superposed on
    the first. The alpha carbons are kept in the folder `cache`, and taken from there the next time.

    Raises UserError where OpenMM is not installed, the structures do not match, the path fails, or for a
    negative seed.
    """
    if snapshots < 2:
        raise UserError(f"A path of {snapshots} snapshots was asked for: ask for at least two.")
    if seed < 0:
        raise UserError(f"The path's seed is {seed}: give 0 or more.")
    first, last = common_atoms(first, last)
    anchors = first.alpha_carbons
    chain, residue = first.chain[anchors], first.residue[anchors]
    follows = (chain[1:] == chain[:-1]) & (np.diff(residue) == 1)
    ends = [x.positions[anchors].astype(np.float64) / 10 for x in (first, last)]
    kept = None if cache is None else cache / f"{_name(ends, follows, snapshots, seed)}.npy"
    if kept is not None and kept.exists():
        alpha_carbons = np.load(kept, allow_pickle=False)
    else:
        alpha_carbons = _steered(ends[0], ends[1], follows, snapshots, seed)
    if not np.isfinite(alpha_carbons).all():
        raise UserError(
            f"The path from {first.source} to {last.source} failed with seed {seed}: try another."
        )
    if kept is not None and not kept.exists():
        with replacing(kept) as temporary:
            np.save(temporary, alpha_carbons)
    placed = superposed(alpha_carbons * 10, first.positions[anchors])
    return TrajectoryRoute(first, carried(first, last, placed, np.linspace(0, 1, snapshots)))


def _name(ends: list[FloatArray], follows: npt.NDArray[np.bool_], snapshots: int, seed: int) -> str:
    """Hash of all that a path depends on."""
    constants = {name: value for name, value in globals().items() if name.isupper()}
    digest = hashlib.sha256(json.dumps([constants, snapshots, seed], sort_keys=True).encode())
    for array in (*ends, follows):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _openmm() -> Any:
    try:
        import openmm
    except ImportError:
        raise UserError(
            "Steered paths need OpenMM, which is not installed: run pip install openmm, or choose the morph."
        ) from None
    return openmm


def _steered(
    first: FloatArray, last: FloatArray, follows: npt.NDArray[np.bool_], snapshots: int, seed: int
) -> FloatArray:
    """Alpha carbons (snapshots, residues, 3) in nm on the way from `first` to `last` (residues, 3)."""
    openmm = _openmm()
    system = openmm.System()
    for _ in first:
        system.addParticle(MASS_IN_DALTONS)
    for force in _network(openmm, first, last, follows):
        system.addForce(force)
    distance = openmm.RMSDForce(last)
    steering = openmm.CustomCVForce("0.5 * stiffness * (distance - wanted)^2")
    steering.addCollectiveVariable("distance", distance)
    steering.addGlobalParameter("stiffness", STEERING_STIFFNESS_PER_RESIDUE * len(first))
    start = float(np.sqrt(((superposed(first, last) - last) ** 2).sum(-1).mean()))
    steering.addGlobalParameter("wanted", start)
    system.addForce(steering)
    integrator = openmm.LangevinMiddleIntegrator(
        TEMPERATURE_IN_KELVIN, FRICTION_PER_PICOSECOND, STEP_IN_PICOSECONDS
    )
    # OpenMM takes a seed of 0 to mean a different one every time.
    integrator.setRandomNumberSeed(seed + 1)
    platform = openmm.Platform.getPlatformByName("CPU")
    # Forces summed by several threads round differently each time, and the path is chaotic.
    properties = {"DeterministicForces": "true", "Threads": "1"}
    context = openmm.Context(system, integrator, platform, properties)
    context.setPositions(first)
    context.setVelocitiesToTemperature(TEMPERATURE_IN_KELVIN, seed + 1)
    path = [first]
    updates = math.ceil(STEPS / STEPS_PER_UPDATE / (snapshots - 1))
    with progress_bar("Steering the path", snapshots - 1) as advance:
        for snapshot in range(1, snapshots):
            for update in range(1, updates + 1):
                done = (snapshot - 1 + update / updates) / (snapshots - 1)
                context.setParameter("wanted", start * (1 - done))
                integrator.step(STEPS_PER_UPDATE)
            if snapshot == snapshots - 1:
                integrator.step(SETTLING_STEPS)
            state = context.getState(getPositions=True)
            path.append(state.getPositions(asNumpy=True).value_in_unit(openmm.unit.nanometer))
            advance(1, "")
    return np.array(path)


def _network(
    openmm: Any, first: FloatArray, last: FloatArray, follows: npt.NDArray[np.bool_]
) -> tuple[Any, Any]:
    """Springs for bonds and for contacts that both structures share; soft repulsion for the rest."""
    one, two = np.triu_indices(len(first), 1)
    before = np.linalg.norm(first[one] - first[two], axis=1)
    after = np.linalg.norm(last[one] - last[two], axis=1)
    bonded = (two == one + 1) & follows[np.minimum(one, len(follows) - 1)]
    bonded &= np.maximum(before, after) < BOND_IN_NANOMETRES
    lasting = (np.maximum(before, after) < CONTACT_IN_NANOMETRES) & (
        np.abs(before - after) < CONTACT_CHANGE_IN_NANOMETRES
    )
    springs = openmm.HarmonicBondForce()
    repulsion = openmm.CustomNonbondedForce(
        f"{REPULSION_ENERGY} * (1 - r / {REPULSION_IN_NANOMETRES})^2 * step({REPULSION_IN_NANOMETRES} - r)"
    )
    repulsion.setNonbondedMethod(repulsion.CutoffNonPeriodic)
    repulsion.setCutoffDistance(REPULSION_IN_NANOMETRES)
    for _ in first:
        repulsion.addParticle([])
    for pair in np.flatnonzero(bonded | lasting):
        stiffness = BOND_STIFFNESS if bonded[pair] else CONTACT_STIFFNESS
        i, j = int(one[pair]), int(two[pair])
        springs.addBond(i, j, float(before[pair] + after[pair]) / 2, stiffness)
        repulsion.addExclusion(i, j)
    return springs, repulsion
