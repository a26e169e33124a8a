"""A phantom, a molecule made up: domains of random helices that turn, slide, appear or vanish."""

import math
import string
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from temporem.errors import UserError
from temporem.simulation.structures import Structure

__all__ = ["Change", "PhantomRoute"]

Change = Literal["still", "turn", "slide", "appear", "vanish"]

FloatArray = npt.NDArray[np.float64]

VOLUME_OF_A_RESIDUE = 134.0
"""Å³, of proteins (Harpaz, Gerstein & Chothia, Structure 2, 641 (1994): 1.21 Å³ a dalton, 111 Da)."""
BODY = 2.0
"""Residues of the body for one of a domain."""
RESIDUES_PER_HELIX = 12
MOST_DOMAINS = 6
"""More would lie in each other around the body."""
MOST_RESIDUES = 1000
CANDIDATES = 40
"""Of places for a helix or a domain, of which the one farthest from all before it is taken."""
GAP_IN_ANGSTROMS = 1.0
"""Between the body's surface and a domain's."""
TURN_IN_DEGREES = 60.0
SLIDE_IN_ANGSTROMS = 15.0
LEAST_B_FACTOR, MOST_B_FACTOR = 20.0, 90.0
"""Å², one drawn for each helix."""
RISE_IN_ANGSTROMS, TWIST_IN_DEGREES = 1.5, 100.0
"""Of an α-helix, per residue."""
BACKBONE = (
    ("N", 7, 1.55, -28.0, -0.9),
    ("CA", 6, 2.29, 0.0, 0.0),
    ("C", 6, 1.66, 26.0, 1.1),
    ("O", 8, 2.02, 22.0, 2.3),
    ("CB", 6, 3.30, -20.0, -0.2),
)
"""Of a residue in an α-helix, roughly: name, element, and radius (Å), angle (°) and height (Å) about the
axis."""


class PhantomRoute:
    """A body at rest and domains about it, each of which does one thing from state 0 to 1.

    `turn`: by 60° about a hinge at the body; `slide`: by 15 Å along the body; `appear` and `vanish`: the
    occupancy of its atoms rises from 0 to 1, or falls; `still`: nothing.
    """

    unit = "state"

    def __init__(self, domains: Sequence[Change], residues: int, seed: int, snapshots: int) -> None:
        """Draw a molecule with `residues` in each domain. Raises UserError for what makes no molecule."""
        if not 0 < len(domains) <= MOST_DOMAINS:
            raise UserError(f"The phantom has {len(domains)} domains: give 1 to {MOST_DOMAINS}.")
        if not 24 <= residues <= MOST_RESIDUES:
            raise UserError(f"The phantom has {residues} residues in a domain: give 24 to {MOST_RESIDUES}.")
        if snapshots < 2:
            raise UserError(f"The phantom has {snapshots} snapshots: give at least 2.")
        if seed < 0:
            raise UserError(f"The phantom's molecule seed is {seed}: give 0 or more.")
        random = np.random.default_rng(seed)
        self.domains, self.snapshots = tuple(domains), snapshots
        of_body = round(BODY * residues)
        surface = _radius(of_body) + GAP_IN_ANGSTROMS
        towards = _apart(len(domains), random)
        parts = [_helices(of_body, random), *(_helices(residues, random) for _ in domains)]
        centres = np.concatenate((np.zeros((1, 3)), (surface + _radius(residues)) * towards))
        self._part = np.repeat(np.arange(len(parts)), [len(positions) for positions, _ in parts])
        placed = np.concatenate([positions for positions, _ in parts]) + centres[self._part]
        self._first = placed - placed.mean(axis=0)
        self._hinge = surface * towards - placed.mean(axis=0)
        # Any direction across that from the body: about it a domain turns, along it one slides.
        across = np.cross(towards, _directions(len(domains), random))
        self._across = across / np.linalg.norm(across, axis=1, keepdims=True)
        names, elements, *_ = (np.array(x) for x in zip(*BACKBONE, strict=True))
        count = len(placed) // len(BACKBONE)
        self.structure = Structure(
            positions=self._first.astype(np.float32),
            elements=np.tile(elements, count),
            b_factors=np.concatenate([b_factors for _, b_factors in parts]).astype(np.float32),
            chain=np.array(list(string.ascii_uppercase))[self._part],
            residue=np.repeat(np.arange(1, count + 1), len(BACKBONE)),
            residue_name=np.full(len(placed), "ALA"),
            atom_name=np.tile(names, count),
            source=f"the phantom of seed {seed}",
        )

    def snapped(self, state: FloatArray) -> FloatArray:
        """Return the nearest of as many evenly spaced states as there are snapshots."""
        steps = self.snapshots - 1
        return np.asarray(np.rint(state * steps) / steps)

    def positions(self, state: FloatArray) -> npt.NDArray[np.float32]:
        """Conformations (K, atoms, 3), Å, at states (K,)."""
        placed = np.repeat(self._first[None], len(state), axis=0)
        for number, change in enumerate(self.domains):
            atoms = self._part == number + 1
            if change == "turn":
                angle = np.radians(TURN_IN_DEGREES) * (state - 0.5)
                turn = Rotation.from_rotvec(angle[:, None] * self._across[number]).as_matrix()
                about = self._first[atoms] - self._hinge[number]
                placed[:, atoms] = about @ turn.swapaxes(-1, -2) + self._hinge[number]
            elif change == "slide":
                moved = SLIDE_IN_ANGSTROMS * (state - 0.5)
                placed[:, atoms] += (moved[:, None] * self._across[number])[:, None]
        return placed.astype(np.float32)

    def occupancy(self, state: FloatArray) -> npt.NDArray[np.float32] | None:
        """How much of each atom there is, (K, atoms), at states (K,); None where there is all of all."""
        if not {"appear", "vanish"} & set(self.domains):
            return None
        share = np.ones((len(state), len(self._part)), np.float32)
        for number, change in enumerate(self.domains):
            if change in ("appear", "vanish"):
                here = state if change == "appear" else 1 - state
                share[:, self._part == number + 1] = here[:, None]
        return share

    def value(self, state: FloatArray) -> FloatArray:
        """States (K,)."""
        return state


def _radius(residues: int) -> float:
    """Of a ball that a protein of as many residues fills, Å."""
    return float((3 * VOLUME_OF_A_RESIDUE * residues / (4 * math.pi)) ** (1 / 3))


def _directions(count: int, random: np.random.Generator) -> FloatArray:
    drawn = random.normal(size=(count, 3))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def _apart(count: int, random: np.random.Generator) -> FloatArray:
    """Directions (count, 3), each the farthest from those before it of several drawn."""
    chosen = _directions(1, random)
    while len(chosen) < count:
        drawn = _directions(CANDIDATES, random)
        chosen = np.append(chosen, drawn[[(drawn @ chosen.T).max(axis=1).argmin()]], axis=0)
    return chosen


def _helices(residues: int, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Positions (atoms, 3) and B-factors (atoms,) of random helices that fill a ball about the origin."""
    radius, axes = _radius(residues), list[FloatArray]()
    atoms, b_factors = list[FloatArray](), list[FloatArray]()
    for some in np.array_split(np.arange(residues), max(1, round(residues / RESIDUES_PER_HELIX))):
        along = np.asarray(RISE_IN_ANGSTROMS * (some - some.mean()), np.float64)
        direction = _directions(CANDIDATES, random)
        centre = _directions(CANDIDATES, random) * radius * random.uniform(size=(CANDIDATES, 1)) ** (1 / 3)
        lines = centre[:, None] + direction[:, None] * along[:, None]
        room = -(np.linalg.norm(lines, axis=-1) - radius).clip(min=0).max(axis=1)
        if axes:
            room += cKDTree(np.concatenate(axes)).query(lines)[0].min(axis=1)
        best = int(room.argmax())
        axes.append(lines[best])
        atoms.append(_helix(along, direction[best], random) + centre[best])
        b_factor = random.uniform(LEAST_B_FACTOR, MOST_B_FACTOR)
        b_factors.append(np.full(len(atoms[-1]), b_factor))
    return np.concatenate(atoms), np.concatenate(b_factors)


def _helix(along: FloatArray, direction: FloatArray, random: np.random.Generator) -> FloatArray:
    """Atoms (residues × 5, 3) of an α-helix about an axis through the origin."""
    _, _, radius, angle, height = (np.array(x) for x in zip(*BACKBONE, strict=True))
    turned = np.radians(TWIST_IN_DEGREES * np.arange(len(along))[:, None] + angle + random.uniform(0, 360))
    atoms = np.stack((radius * np.cos(turned), radius * np.sin(turned), along[:, None] + height), axis=-1)
    onto, _ = Rotation.align_vectors(direction[None], np.array([[0.0, 0.0, 1.0]]))
    return np.asarray(onto.apply(atoms.reshape(-1, 3)))
