"""What two structures of one molecule have in common, and heavy atoms carried along by alpha carbons."""

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.simulation.structures import Structure, rotation_onto, superposed

__all__ = ["carried", "common_atoms"]

NEIGHBOURS = 8
"""Alpha carbons that define the local frame of a residue, itself among them."""


def common_atoms(first: Structure, last: Structure) -> tuple[Structure, Structure]:
    """Return the heavy atoms that both structures have, in the first's order, the last superposed by alpha
    carbons.

    Atoms match by residue number and atom name, and by chain where either has several; residues without an
    alpha carbon in both are left out. A mutated residue keeps what both have. The first has its centroid at
    the origin.

    Raises UserError where fewer than four residues match.
    """
    single = len(set(first.chain.tolist())) == 1 and len(set(last.chain.tolist())) == 1

    def keys(structure: Structure) -> dict[tuple[str, int, str], int]:
        chain = [""] * len(structure) if single else structure.chain.tolist()
        every = zip(chain, structure.residue.tolist(), structure.atom_name.tolist(), strict=True)
        heavy = structure.elements > 1
        return {key: index for index, key in enumerate(every) if heavy[index]}

    in_first, in_last = keys(first), keys(last)
    shared = [key for key in in_first if key in in_last]
    anchored = {key[:2] for key in shared if key[2] == "CA"}
    shared = [key for key in shared if key[:2] in anchored]
    if len(anchored) < 4:
        raise UserError(
            f"{first.source} and {last.source} have {len(anchored)} residues of the same number and chain: "
            "give two structures of one molecule, numbered alike."
        )
    first = first.select(np.array([in_first[key] for key in shared])).centred()
    last = last.select(np.array([in_last[key] for key in shared]))
    return first, last.with_positions(superposed(last.positions, first.positions, first.alpha_carbons))


def carried(
    first: Structure,
    last: Structure,
    alpha_carbons: npt.NDArray[np.floating],
    progress: npt.NDArray[np.floating],
) -> npt.NDArray[np.float32]:
    """Place all atoms around given alpha carbons (snapshots, residues, 3); returns (snapshots, atoms, 3).

    Each residue moves rigidly with the frame of its nearest alpha carbons (least squares), once as it is in
    `first` and once as in `last`, which have the same atoms; `progress` (snapshots,), 0 … 1, blends the two.
    Side chains that point elsewhere in the two shrink half-way.
    """
    anchors = first.alpha_carbons
    residue_of_anchor = {(first.chain[i], int(first.residue[i])): k for k, i in enumerate(anchors)}
    owner = np.array([residue_of_anchor[c, int(r)] for c, r in zip(first.chain, first.residue, strict=True)])
    ends = (first.positions[anchors].astype(np.float64), last.positions[anchors].astype(np.float64))
    distance = np.max([np.linalg.norm(x[:, None] - x[None], axis=-1) for x in ends], axis=0)
    neighbours = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    placed = np.empty((len(alpha_carbons), len(first), 3), np.float32)
    for snapshot, (targets, blend) in enumerate(zip(alpha_carbons, progress, strict=True)):
        target = np.asarray(targets, np.float64)
        total = np.zeros((len(first), 3))
        for structure, end, weight in zip((first, last), ends, (1 - blend, blend), strict=True):
            before, after = end[neighbours], target[neighbours]
            rotation = rotation_onto(
                before - before.mean(1, keepdims=True), after - after.mean(1, keepdims=True)
            )
            arm = structure.positions - end[owner]
            total += weight * (np.einsum("aij,aj->ai", rotation[owner], arm) + target[owner])
        placed[snapshot] = total
    return placed
