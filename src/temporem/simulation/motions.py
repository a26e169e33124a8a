"""Motions: which state a molecule is in at every frame of every movie.

Each motion has a twin whose movies start at a random state and run either way, so that a frame's index no
longer tells its state; it turns back at the ends of the route, so that every movie keeps its length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.simulation.routes import Route
from temporem.simulation.structures import Structure

__all__ = [
    "Conformations",
    "ConstantSpeed",
    "Motion",
    "PassingThrough",
    "Schedule",
    "Static",
    "Telegraph",
    "conformations",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Schedule:
    """States of the frames, movies one after another, each movie's frames in order from 0."""

    state: FloatArray
    """(frames,), 0 … 1 along the route."""
    states: int
    """Equal parts of the route, each of which counts as one discrete state."""

    @property
    def category(self) -> IntArray:
        """(frames,), the part in which the state lies, from 0."""
        return _category(self.state, self.states)


@dataclass(frozen=True, eq=False)
class Conformations:
    """The distinct conformations of a set of movies, and which frame shows which."""

    structure: Structure
    positions: npt.NDArray[np.float32]
    """(conformations, atoms, 3), Å, sorted by state."""
    occupancy: npt.NDArray[np.float32] | None
    """(conformations, atoms), how much of each atom there is; None where there is all of all."""
    conformation: IntArray
    """(frames,) index into `positions`."""
    state: FloatArray
    """(frames,), 0 … 1."""
    category: IntArray
    """(frames,), from 0; the same for all frames of one conformation."""
    value: FloatArray
    """(frames,) in `unit`."""
    unit: str

    def rows(self, rows: npt.NDArray[np.bool_] | IntArray) -> "Conformations":
        """Keep these frames, and of the conformations those they show."""
        used, conformation = np.unique(self.conformation[rows], return_inverse=True)
        return Conformations(
            self.structure,
            self.positions[used],
            None if self.occupancy is None else self.occupancy[used],
            conformation,
            self.state[rows],
            self.category[rows],
            self.value[rows],
            self.unit,
        )


def conformations(
    routes: Sequence[Route], schedule: Schedule, generator: np.random.Generator
) -> Conformations:
    """Put the molecule where the schedule says, each distinct conformation once.

    Of several routes, which are of the same atoms and in the same place, every frame is drawn from any. A
    frame's category is that of the conformation it shows: where the nearest one lies beyond the border of the
    part that the motion drew, the part beyond.
    """
    taken = generator.integers(len(routes), size=len(schedule.state))
    state, value = (np.empty(len(schedule.state)) for _ in range(2))
    for index, route in enumerate(routes):
        here = taken == index
        state[here] = route.snapped(schedule.state[here])
        value[here] = route.value(state[here])
    distinct, conformation = np.unique(np.stack((state, taken), axis=1), axis=0, return_inverse=True)
    positions = np.empty((len(distinct), len(routes[0].structure), 3), np.float32)
    occupancy = np.ones(positions.shape[:2], np.float32)
    whole = True
    for index, route in enumerate(routes):
        here = distinct[:, 1] == index
        at = distinct[here, 0].astype(np.float64)
        positions[here] = route.positions(at)
        share = route.occupancy(at)
        if share is not None:
            occupancy[here], whole = share, False
    return Conformations(
        routes[0].structure,
        positions,
        None if whole else occupancy,
        conformation.reshape(-1),
        state,
        Schedule(state, schedule.states).category,
        value,
        routes[0].unit,
    )


@runtime_checkable
class Motion(Protocol):
    """A law of motion along a route."""

    def schedule(self, lengths: IntArray, generator: np.random.Generator, twin: bool = False) -> Schedule:
        """Draw the states of movies of these lengths (movies,), in frames."""
        ...


@dataclass(frozen=True)
class ConstantSpeed:
    """The same speed in every frame: `frames_per_pass` frames from end to end."""

    frames_per_pass: float
    """Frames from one end of the route to the other."""
    states: int
    """Equal parts of the route counted as discrete states."""
    latest_start: float = 0.0
    """Movies start uniformly between state 0 and this one; a twin's anywhere."""

    def schedule(self, lengths: IntArray, generator: np.random.Generator, twin: bool = False) -> Schedule:
        """State of frame t: start + t / frames_per_pass, folded into 0 … 1."""
        _require(self.frames_per_pass > 0, "frames per pass", self.frames_per_pass)
        _require(self.states >= 1, "number of states", self.states)
        if not 0 <= self.latest_start <= 1:
            raise UserError(f"The motion's latest start is {self.latest_start}: give a state within 0 … 1.")
        start, direction = _starts(len(lengths), generator, twin)
        if not twin:
            start = generator.uniform(0, self.latest_start, size=len(lengths))
        state = _folded(
            np.repeat(start, lengths)
            + np.repeat(direction, lengths) * _frames(lengths) / self.frames_per_pass
        )
        return Schedule(state, self.states)


@dataclass(frozen=True)
class PassingThrough:
    """A route of several states, passed through in order, one a frame, at a random place inside each.

    Where there are only so many conformations the nearest is shown, near a border perhaps the next state's.
    """

    states: int

    def schedule(self, lengths: IntArray, generator: np.random.Generator, twin: bool = False) -> Schedule:
        """State of frame t: uniform in part t of the route; a twin begins in a random part."""
        _require(self.states >= 1, "number of states", self.states)
        start, direction = _starts(len(lengths), generator, twin)
        first = np.minimum((start * self.states).astype(np.int64), self.states - 1)
        # Counted at the parts' middles, so that a direction of −1 passes through the same parts.
        middle = np.repeat(first, lengths) + 0.5 + np.repeat(direction, lengths) * _frames(lengths)
        category = _category(_folded(middle / self.states), self.states)
        return Schedule((category + generator.uniform(size=len(category))) / self.states, self.states)


@dataclass(frozen=True)
class Telegraph:
    """Sudden jumps between the two ends of the route, a Markov process in continuous time."""

    forward_rate_per_frame: float
    backward_rate_per_frame: float

    def schedule(self, lengths: IntArray, generator: np.random.Generator, twin: bool = False) -> Schedule:
        """State 0 or 1 of every frame; movies start in 0, twins in equilibrium."""
        forward, backward = self.forward_rate_per_frame, self.backward_rate_per_frame
        _require(forward > 0, "forward rate", forward)
        _require(backward >= 0, "backward rate", backward)
        total = forward + backward
        occupied = forward / total
        relaxed = -np.expm1(-total)
        movies, longest = len(lengths), int(lengths.max(initial=0))
        draws = generator.uniform(size=(longest, movies))
        states = np.empty((longest, movies), np.int64)
        for frame in range(longest):
            if frame == 0:
                probability = np.full(movies, occupied if twin else 0.0)
            else:
                probability = occupied * relaxed + states[frame - 1] * (1 - relaxed)
            states[frame] = draws[frame] < probability
        state = np.concatenate([states[:length, movie] for movie, length in enumerate(lengths)])
        return Schedule(state.astype(np.float64), 2)


@dataclass(frozen=True)
class Static:
    """No motion; the twin's molecules stand still too, each in a state of its own."""

    def schedule(self, lengths: IntArray, generator: np.random.Generator, twin: bool = False) -> Schedule:
        """State 0 everywhere, or one random state for each movie."""
        start, _ = _starts(len(lengths), generator, twin)
        return Schedule(np.repeat(start, lengths), 1)


def _require(true: bool, name: str, value: float | int) -> None:
    if not true:
        raise UserError(f"The motion's {name} is {value}: give a positive number.")


def _frames(lengths: IntArray) -> IntArray:
    """0, 1, … of each movie, one after another."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _starts(movies: int, generator: np.random.Generator, twin: bool) -> tuple[FloatArray, IntArray]:
    if not twin:
        return np.zeros(movies), np.ones(movies, np.int64)
    return generator.uniform(size=movies), generator.choice(np.array([-1, 1]), size=movies)


def _folded(state: FloatArray) -> FloatArray:
    """Reflect at 0 and 1."""
    return np.asarray(1 - np.abs(1 - np.mod(state, 2)))


def _category(state: FloatArray, states: int) -> IntArray:
    return np.minimum((state * states + 1e-9).astype(np.int64), states - 1)
