"""A trajectory in the order of its progress, whenever each conformation was visited."""

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from temporem.errors import UserError
from temporem.simulation.routes import TrajectoryRoute

__all__ = ["MainMotionRoute", "along_main_motion"]

STILL_IN_ANGSTROMS = 1e-3
"""Of what moves less from end to end, rounding is all there is to see."""

FloatArray = npt.NDArray[np.float64]


class MainMotionRoute:
    """Snapshots along the main motion of a trajectory; a state is the snapshot nearest to it in progress.

    Progress is the displacement along the first principal component (`along_main_motion`), not time: a
    trajectory may go back and forth, and be joined from several that each begin anew. A line from the first
    snapshot to the last would vanish where it ends as it began. The state is the progress itself, from 0 at
    the end nearer to the first snapshot to 1 at the other, and not the snapshot's rank: equal parts of the
    route are equal spans of the motion, and a long stay in one place does not fill most of them with its
    fluctuations. A part without snapshots is passed over.
    """

    unit = "Å rms"

    def __init__(self, route: TrajectoryRoute) -> None:
        """Take the snapshots of `route`. Raises UserError where nothing moves."""
        progress = along_main_motion(route.trajectory[:, route.structure.anchors])
        order = np.argsort(progress, kind="stable")
        self.trajectory = route.trajectory[order]
        self.structure = route.structure.with_positions(self.trajectory[0])
        self.span_in_angstroms = float(np.ptp(progress))
        if not self.span_in_angstroms > STILL_IN_ANGSTROMS:
            raise UserError(
                f"The snapshots of {route.structure.source} are all alike: give a trajectory that moves."
            )
        self._states = (progress[order] - progress.min()) / self.span_in_angstroms
        self._borders = (self._states[1:] + self._states[:-1]) / 2

    def _snapshot(self, state: FloatArray) -> npt.NDArray[np.int64]:
        return np.asarray(np.searchsorted(self._borders, state), np.int64)

    def snapped(self, state: FloatArray) -> FloatArray:
        """Return the states of the nearest snapshots."""
        return np.asarray(self._states[self._snapshot(state)])

    def positions(self, state: FloatArray) -> npt.NDArray[np.float32]:
        """Conformations (K, atoms, 3), Å, at states (K,)."""
        return np.asarray(self.trajectory[self._snapshot(state)])

    def occupancy(self, state: FloatArray) -> None:
        """All of every atom, in all states."""

    def value(self, state: FloatArray) -> FloatArray:
        """Displacement (K,) along the main motion from its beginning, Å rms over the atoms superposed."""
        return self.snapped(state) * self.span_in_angstroms


def along_main_motion(positions: npt.NDArray[np.floating]) -> FloatArray:
    """Displacements (snapshots,) of superposed `positions` (snapshots, atoms, 3) along what moves most.

    That is the first principal component of all coordinates (Amadei et al., Proteins 17, 412 (1993)). In the
    units of `positions`, root mean square over the atoms, about the mean; the first snapshot lies in the
    lower half of their range.
    """
    count, atoms = positions.shape[:2]
    moved = positions.reshape(count, -1).astype(np.float64)
    moved -= moved.mean(axis=0)
    # Of the two Gram matrices the smaller one: both have the same leading eigenvalue.
    if count <= moved.shape[1]:
        values, vectors = eigh(moved @ moved.T, subset_by_index=[count - 1, count - 1])
        projected = vectors[:, 0] * np.sqrt(max(values[0], 0.0))
    else:
        last = moved.shape[1] - 1
        projected = moved @ eigh(moved.T @ moved, subset_by_index=[last, last])[1][:, 0]
    if projected[0] > (projected.min() + projected.max()) / 2:
        projected = -projected
    return np.asarray(projected / np.sqrt(atoms))
