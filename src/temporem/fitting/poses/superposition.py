"""Every state of a molecule superposed on the mean of all, and the poses that then show it as before."""

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.poses.found import Poses
from temporem.model.deformable_generator import DeformableGenerator

__all__ = ["from_frame", "mean_place", "superposed", "to_rest"]

ROUNDS = 10
"""Of superposing all on their mean."""
STATES_AT_ONCE = 200


@torch.no_grad()
def to_rest(
    generator: DeformableGenerator, z: Float[Tensor, "frames latent"]
) -> tuple[Float[Tensor, "frames 3 3"], Float[Tensor, "frames 3"]]:
    """Rotation R and offset c in pixels of each state, p ↦ R p + c, that take it to where it lies nearest to
    the mean of all, on the processor: none where there is no density."""
    weight = generator.amplitude.clamp(min=0)
    if not weight.any():
        return torch.eye(3).expand(len(z), 3, 3), torch.zeros(len(z), 3)
    some = torch.linspace(0, len(z) - 1, min(len(z), STATES_AT_ONCE)).round().long()
    mean = mean_place(generator.positions(z[some.to(z.device)]), weight)
    parts = [superposed(mean, generator.positions(part), weight) for part in torch.split(z, STATES_AT_ONCE)]
    turn, offset = zip(*parts, strict=True)
    return torch.cat(turn).cpu(), torch.cat(offset).cpu()


def from_frame(poses: Poses, turn: Float[Tensor, "frames 3 3"], offset: Float[Tensor, "frames 3"]) -> Poses:
    """The poses that show a molecule turned and moved, p ↦ R p + c in pixels, as `poses` show it as it was.

    A p + t = (A Rᵀ)(R p + c) + t − A Rᵀ c.
    """
    rotation = poses.rotation @ turn.mT
    moved = (rotation @ offset[..., None])[:, :2, 0]
    return Poses(rotation, poses.translation_in_pixels - moved)


def mean_place(
    places: Float[Tensor, "states points 3"], weight: Float[Tensor, " points"]
) -> Float[Tensor, "points 3"]:
    """Mean of states that are superposed on it; on the whole they are neither turned nor moved for that."""
    centred, centre = _centred(places, weight)
    turn = torch.eye(3).to(places).expand(len(places), 3, 3)
    for _ in range(ROUNDS):
        mean = torch.einsum("sij,spj->pi", turn, centred) / len(places)
        turn = _onto(mean, centred, weight)
    return mean @ _nearest_rotation(turn.mean(0)) + centre.mean(0)


def superposed(
    goal: Float[Tensor, "points 3"],
    places: Float[Tensor, "states points 3"],
    weight: Float[Tensor, " points"],
) -> tuple[Float[Tensor, "states 3 3"], Float[Tensor, "states 3"]]:
    """Rotation R and offset c of each state, p ↦ R p + c, that bring it nearest to the goal."""
    still, middle = _centred(goal[None], weight)
    centred, centre = _centred(places, weight)
    turn = _onto(still[0], centred, weight)
    return turn, middle - (turn @ centre[..., None])[..., 0]


def _centred(
    places: Float[Tensor, "states points 3"], weight: Float[Tensor, " points"]
) -> tuple[Float[Tensor, "states points 3"], Float[Tensor, "states 3"]]:
    centre = torch.einsum("p,spi->si", weight / weight.sum(), places)
    return places - centre[:, None], centre


def _onto(
    mean: Float[Tensor, "points 3"],
    centred: Float[Tensor, "states points 3"],
    weight: Float[Tensor, " points"],
) -> Float[Tensor, "states 3 3"]:
    return _nearest_rotation(torch.einsum("p,pi,spj->sij", weight / weight.sum(), mean, centred))


def _nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    u, _, vt = torch.linalg.svd(matrix)
    proper = torch.ones_like(matrix[..., 0])
    proper[..., 2] = torch.linalg.det(u @ vt).sign()
    nearest: Tensor = (u * proper[..., None, :]) @ vt
    return nearest
