"""A reconstruction with poses of its own, brought together with the truth by one rotation, shift and hand.

It is the truth that is moved, atoms and poses: its volumes are then made anew where the run's lie, and
nothing is interpolated.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.movies.movie_set import MovieSet
from temporem.movies.reading import require_poses
from temporem.physics.pose_alignment import align_poses
from temporem.physics.rotations import angular_distance
from temporem.simulation.truth import Truth

__all__ = ["OWN_FRAME", "align_truth", "pose_errors"]

OWN_FRAME = ("estimate", "network")
"""Kinds of poses whose frame of reference and hand are the run's own."""


def align_truth(movies: MovieSet, truth: Truth) -> tuple[Truth, dict[str, Any]]:
    """The truth in the frame of the poses of `movies`, a run's; what brought it there, and the errors that
    remain."""
    require_poses(movies)
    found = _tensor(movies.rotation), _tensor(movies.translation_in_angstroms)
    true = _tensor(truth.rotation), _tensor(truth.translation_in_angstroms)
    alignment = align_poses(true, found)
    rotation, translation = alignment.poses(*true)
    positions = alignment.points(_tensor(truth.positions))
    moved = replace(
        truth,
        rotation=rotation.float().numpy(),
        translation_in_angstroms=translation.float().numpy(),
        positions=positions.float().numpy(),
    )
    facts = {
        "mirrored": alignment.mirrored,
        "rotation": alignment.rotation.tolist(),
        "offset_in_angstroms": alignment.offset.tolist(),
        "pose_errors": pose_errors((rotation, translation), found),
    }
    return moved, facts


def pose_errors(
    true: tuple[Float[Tensor, "frames 3 3"], Float[Tensor, "frames 2"]],
    found: tuple[Float[Tensor, "frames 3 3"], Float[Tensor, "frames 2"]],
) -> dict[str, float]:
    """Median and 90th percentile of the frames' rotation errors in degrees and shift errors in Å."""
    turn = torch.rad2deg(angular_distance(true[0], found[0]))
    shift = (true[1] - found[1]).norm(dim=-1)
    errors: dict[str, float] = {}
    for name, values in (("rotation_in_degrees", turn), ("shift_in_angstroms", shift)):
        errors[f"median_{name}"] = float(values.median())
        errors[f"percentile_90_{name}"] = float(values.quantile(0.9))
    return errors


def _tensor(values: object) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float64))
