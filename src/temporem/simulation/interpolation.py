"""A morph between two structures: plain interpolation, without forces, for where OpenMM is not installed."""

import numpy as np

from temporem.errors import UserError
from temporem.simulation.matching import carried, common_atoms
from temporem.simulation.routes import TrajectoryRoute
from temporem.simulation.structures import Structure

__all__ = ["morph"]


def morph(first: Structure, last: Structure, snapshots: int) -> TrajectoryRoute:
    """Move alpha carbons on straight lines from `first` to `last`, superposed, and carry the other atoms
    along.

    Domains that rotate shrink half-way: a picture of the change, not of its mechanism.

    Raises UserError where the structures do not match, or for fewer than two snapshots.
    """
    if snapshots < 2:
        raise UserError(f"A path of {snapshots} snapshots was asked for: ask for at least two.")
    first, last = common_atoms(first, last)
    anchors = first.alpha_carbons
    progress = np.linspace(0, 1, snapshots)
    blend = progress[:, None, None]
    alpha_carbons = (1 - blend) * first.positions[anchors] + blend * last.positions[anchors]
    return TrajectoryRoute(first, carried(first, last, alpha_carbons, progress))
