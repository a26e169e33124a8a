"""Named simulations, every number of which can be changed."""

from collections.abc import Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields
from typing import TypeVar

from tyro import MISSING

from temporem.simulation.densities import DensityOptions
from temporem.simulation.molecules import AdenylateKinase, Phantom, Torsion, Trajectory, Transition
from temporem.simulation.motions import ConstantSpeed, PassingThrough
from temporem.simulation.options import SimulationOptions

__all__ = ["GENERAL", "RECIPES"]

M = TypeVar("M", Torsion, Transition, Trajectory)

RECIPES: Mapping[str, tuple[str, SimulationOptions]] = {
    "7bcq": (
        "ASCT2 fragment (PDB 7BCQ): psi of Gly249 turned by 9° a frame. Made of Gaussians, as in the paper.",
        SimulationOptions(
            molecule=Torsion(structure="7bcq", residue=249, chain="A", residues=(177, 330)),
            motion=ConstantSpeed(frames_per_pass=10.0, states=10, latest_start=0.1),
            frames=10,
            snr=0.1,
            density=DensityOptions(method="gaussian", sigma_in_angstroms=2.0),
        ),
    ),
    "cas9": (
        "SpCas9 on steered paths from apo (4CMQ, or 4CMP if it cannot be had) to RNA-bound (4ZT0), through "
        "19 states.",
        SimulationOptions(
            molecule=Transition(first="4cmq 4cmp", last="4zt0", chain="A", snapshots=95, paths=4),
            motion=PassingThrough(states=19),
        ),
    ),
    "adk": (
        "Adenylate kinase opening, a simulation that MDAnalysisTests ships: small, for the demo.",
        SimulationOptions(
            molecule=AdenylateKinase(), motion=PassingThrough(states=20), movies=50, frames=20, box_size=48
        ),
    ),
    "phantom": (
        "A molecule made up, whose domains turn, slide, appear and vanish.",
        SimulationOptions(molecule=Phantom(), motion=PassingThrough(states=19), snr=0.1),
    ),
}
"""What it is, and its options."""


def _to_be_given(kind: type[M]) -> M:
    """A molecule whose fields without a default the command line has to demand; constructors refuse such."""
    molecule = object.__new__(kind)
    for x in fields(kind):
        object.__setattr__(molecule, x.name, MISSING if x.default is NO_DEFAULT else x.default)
    return molecule


GENERAL: Mapping[str, tuple[str, SimulationOptions]] = {
    "torsion": (
        "One backbone torsion of a structure turns.",
        SimulationOptions(
            molecule=_to_be_given(Torsion),
            motion=ConstantSpeed(frames_per_pass=19.0, states=19),
        ),
    ),
    "transition": (
        "A path between two structures.",
        SimulationOptions(molecule=_to_be_given(Transition), motion=PassingThrough(states=19)),
    ),
    "trajectory": (
        "A trajectory, divided into states along its main motion, whenever they were visited.",
        SimulationOptions(molecule=_to_be_given(Trajectory), motion=PassingThrough(states=19)),
    ),
}
"""Simulations of the user's own molecule; what is `tyro.MISSING` must be given on the command line."""
