"""The frame of reference in which a molecule that moves moves least.

Images with unknown poses do not say what stands still: a rotation and a shift that vary with the state turn
the molecule of each state, and its poses back, and leave every image as it is. Of all these frames of
reference the one taken here has the least squared displacement of all density from its mean place: every
state lies on the mean as two atomic models are superposed (Kabsch 1976, Acta Cryst. A32, 922).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.consensus import find_consensus
from temporem.fitting.deformable import beginning_of
from temporem.fitting.deformation import DeformationOptions, Stage, fit_deformation, passes
from temporem.fitting.frames import FrameStore
from temporem.fitting.linear import find_states, find_volumes
from temporem.fitting.poses.found import Poses
from temporem.model.deformable_generator import DeformableGenerator
from temporem.progress import progress

__all__ = ["at_rest", "from_frame", "mean_place", "superposed"]

COARSE = DeformationOptions(stages=(Stage(19.0, 3), Stage(19.0, 3), Stage(14.0, 3)), solves=0, more_solves=0)
"""Where a whole molecule turns to shows at low resolution."""
COMPONENTS = 3
"""Of the motion."""
ROUNDS = 10
"""Of superposing all on their mean."""
STATES_AT_ONCE = 200


def at_rest(store: FrameStore, poses: Poses, generator: torch.Generator) -> Poses:
    """`poses` of the frames of a `store`, whose own poses are left aside, in the frame in which the molecule
    moves least; the motion is found by a coarse fit of one moving density.

    Raises UserError where at these poses halves of the frames have nothing in common.
    """
    posed = store.posed(poses.rotation, poses.translation_in_pixels)
    consensus = find_consensus(posed)
    seed = int(torch.randint(2**31, (), generator=generator))
    states = find_states(posed, consensus, COMPONENTS, True, None, False, generator)
    anchored = find_volumes(posed, states, consensus, seed)
    begun = beginning_of(posed, states, anchored, consensus, COMPONENTS)
    with progress("What stands still", passes(COARSE, False)) as advance:
        found = fit_deformation(
            posed,
            begun.z,
            begun.volume,
            consensus.mask,
            begun.signal_power,
            COARSE,
            seed,
            None,
            advance,
            lambda record: None,
        )
    weight = found.generator.amplitude.clamp(min=0)
    if not weight.any():
        return poses
    return from_frame(poses, *_to_rest(found.generator, found.states.mean, weight))


@torch.no_grad()
def _to_rest(
    generator: DeformableGenerator, z: Float[Tensor, "frames latent"], weight: Float[Tensor, " points"]
) -> tuple[Float[Tensor, "frames 3 3"], Float[Tensor, "frames 3"]]:
    some = torch.linspace(0, len(z) - 1, min(len(z), STATES_AT_ONCE)).round().long()
    mean = mean_place(generator.positions(z[some.to(z.device)]), weight)
    parts = [superposed(mean, generator.positions(part), weight) for part in torch.split(z, STATES_AT_ONCE)]
    turn, offset = zip(*parts, strict=True)
    return torch.cat(turn), torch.cat(offset)


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
