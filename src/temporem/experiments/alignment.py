"""Runs with poses of their own beside others: scored and drawn only once brought together with the truth."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.evaluation.alignment import OWN_FRAME
from temporem.evaluation.evaluation_folder import Evaluation
from temporem.physics.pose_alignment import Alignment
from temporem.reconstruction.run import Run

__all__ = ["alignment_of", "check_aligned", "in_frame_of_truth"]


def alignment_of(evaluation: Evaluation) -> Mapping[str, Any] | None:
    """What brought the truth to the run, as `evaluate --align` writes it; None where nothing did."""
    found: Mapping[str, Any] | None = evaluation.summary.get("alignment")
    return found


def check_aligned(runs: Mapping[str, Run], evaluations: Mapping[str, Evaluation]) -> None:
    """Raise UserError where a run has a frame of reference of its own, and was scored in the truth's.

    Evaluations with an alignment and without may stand side by side: in both, truth and volume lie together.
    """
    for name, run in runs.items():
        kind = run.config.get("poses", {}).get("kind")
        if kind in OWN_FRAME and alignment_of(evaluations[name]) is None:
            raise UserError(
                f"the poses of the arm {name!r} are its own, but it was not brought together with the truth:"
                ' declare it with evaluate = ["--align"].'
            )


def in_frame_of_truth(
    volume: Float[Tensor, "n n n"], alignment: Mapping[str, Any] | None, pixel_size_in_angstroms: float
) -> Float[Tensor, "n n n"]:
    """A run's volume turned, moved and mirrored back to where the truth lies, for pictures.

    V(Rᵀ M p + c), by trilinear resampling, 0 beyond the box; as it is without an alignment.
    """
    if alignment is None:
        return volume
    n = volume.shape[-1]
    rotation, offset = (torch.tensor(alignment[x]) for x in ("rotation", "offset_in_angstroms"))
    axis = torch.arange(n, dtype=volume.dtype) - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    there = Alignment(rotation, alignment["mirrored"], offset / pixel_size_in_angstroms)
    # `grid_sample` counts from −1 at the first voxel's centre to 1 at the last's.
    sample = 2 * (there.points(torch.stack((x, y, z), dim=-1)) + n // 2) / (n - 1) - 1
    turned: Tensor = torch.nn.functional.grid_sample(volume[None, None], sample[None], align_corners=True)
    return turned[0, 0]
