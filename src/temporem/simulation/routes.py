"""Routes: what a molecule looks like at each value of its state coordinate, from 0 to 1."""

from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.simulation.structures import Structure, superposed
from temporem.simulation.torsions import moving_atoms, rotated_about_bond

__all__ = ["Route", "TorsionRoute", "TrajectoryRoute"]

FloatArray = npt.NDArray[np.float64]


@runtime_checkable
class Route(Protocol):
    """A one-dimensional family of conformations."""

    @property
    def structure(self) -> Structure:
        """The atoms, at state 0."""
        ...

    @property
    def unit(self) -> str:
        """What `value` counts."""
        ...

    def snapped(self, state: FloatArray) -> FloatArray:
        """Return the states (K,) nearest to these that the route can really take."""
        ...

    def positions(self, state: FloatArray) -> npt.NDArray[np.float32]:
        """Conformations (K, atoms, 3), Å, at states (K,)."""
        ...

    def occupancy(self, state: FloatArray) -> npt.NDArray[np.float32] | None:
        """How much of each atom there is, (K, atoms), at states (K,); None where there is all of all."""
        ...

    def value(self, state: FloatArray) -> FloatArray:
        """Physical value (K,) of states (K,), in `unit`."""
        ...


class TorsionRoute:
    """A backbone torsion turned from 0 to `range_in_degrees` beyond its value in the structure.

    Every conformation is superposed on the first over all atoms, with its centroid at the origin.
    """

    unit = "degrees"

    def __init__(
        self,
        structure: Structure,
        residue: int,
        range_in_degrees: float = 90.0,
        torsion: Literal["phi", "psi"] = "psi",
        chain: str | None = None,
    ) -> None:
        """Raise UserError where the structure has no such bond, or the range is 0."""
        if not np.isfinite(range_in_degrees) or range_in_degrees == 0:
            raise UserError(f"The torsion's range is {range_in_degrees} degrees: give one other than 0.")
        self.structure = structure.centred()
        self.range_in_degrees = range_in_degrees
        self._bond = moving_atoms(structure, residue, torsion, chain)

    def snapped(self, state: FloatArray) -> FloatArray:
        """Return the states as they are: a torsion is continuous."""
        return state

    def positions(self, state: FloatArray) -> npt.NDArray[np.float32]:
        """Conformations (K, atoms, 3), Å, at states (K,)."""
        turned = rotated_about_bond(self.structure.positions, *self._bond, np.radians(self.value(state)))
        return superposed(turned, self.structure.positions)

    def occupancy(self, state: FloatArray) -> None:
        """All of every atom, in all states."""

    def value(self, state: FloatArray) -> FloatArray:
        """Degrees turned, (K,)."""
        return np.asarray(state * self.range_in_degrees)


class TrajectoryRoute:
    """Snapshots of a trajectory, evenly spaced in the state coordinate; a state is its nearest snapshot."""

    unit = "snapshot"

    def __init__(self, structure: Structure, trajectory: npt.NDArray[np.floating]) -> None:
        """Take `trajectory` (snapshots, atoms, 3), Å, of the atoms of `structure`, already superposed.

        The whole is moved so that the trajectory's centroid is at the origin. Raises UserError for fewer than
        two snapshots, another number of atoms, and coordinates that are not numbers.
        """
        if len(trajectory) < 2:
            raise UserError(
                f"The trajectory of {structure.source} has {len(trajectory)} snapshots: give at least two."
            )
        if trajectory.shape[1:] != (len(structure), 3):
            raise UserError(
                f"The trajectory has {trajectory.shape[1]} atoms and {structure.source} {len(structure)}: "
                "give the topology it was made with."
            )
        if not np.isfinite(trajectory).all():
            raise UserError(
                f"The trajectory of {structure.source} holds coordinates that are not numbers: mend the file."
            )
        centroid = trajectory.mean(axis=(0, 1), dtype=np.float64)
        self.trajectory = (trajectory - centroid).astype(np.float32)
        self.structure = structure.with_positions(self.trajectory[0])

    def begun_like(self, other: "TrajectoryRoute") -> "TrajectoryRoute":
        """Move the whole so that its first snapshot lies where the other's does, centroid on centroid."""
        first, wanted = (x.trajectory[0].mean(axis=0, dtype=np.float64) for x in (self, other))
        self.trajectory = (self.trajectory + (wanted - first)).astype(np.float32)
        self.structure = self.structure.with_positions(self.trajectory[0])
        return self

    def _snapshot(self, state: FloatArray) -> npt.NDArray[np.int64]:
        return np.rint(state * (len(self.trajectory) - 1)).astype(np.int64)

    def snapped(self, state: FloatArray) -> FloatArray:
        """Return the states of the nearest snapshots."""
        return self._snapshot(state) / (len(self.trajectory) - 1)

    def positions(self, state: FloatArray) -> npt.NDArray[np.float32]:
        """Conformations (K, atoms, 3), Å, at states (K,)."""
        return np.asarray(self.trajectory[self._snapshot(state)])

    def occupancy(self, state: FloatArray) -> None:
        """All of every atom, in all states."""

    def value(self, state: FloatArray) -> FloatArray:
        """Snapshot numbers (K,), from 0."""
        return self._snapshot(state).astype(np.float64)
