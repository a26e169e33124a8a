"""The frame of reference in which a molecule that moves moves least.

Images with unknown poses do not say what stands still: a rotation and a shift that vary with the state turn
the molecule of each state, and its poses back, and leave every image as it is. Of all these frames the one
taken here has the least squared displacement of all density from its mean place: every state lies on the
mean as two atomic models are superposed (Kabsch 1976, Acta Cryst. A32, 922).
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
from temporem.progress import progress

__all__ = ["at_rest", "from_frame", "superposed"]

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
    with progress("What stands still", passes(COARSE)) as advance:
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
    with torch.no_grad():
        z = torch.split(found.states.mean, STATES_AT_ONCE)
        places = torch.cat([found.generator.positions(some) for some in z])
    return from_frame(poses, *superposed(places, found.generator.amplitude.clamp(min=0)))


def from_frame(poses: Poses, turn: Float[Tensor, "frames 3 3"], offset: Float[Tensor, "frames 3"]) -> Poses:
    """The poses that show a molecule turned and moved, p ↦ R p + c in pixels, as `poses` show it as it was.

    A p + t = (A Rᵀ)(R p + c) + t − A Rᵀ c.
    """
    rotation = poses.rotation @ turn.mT
    moved = (rotation @ offset[..., None])[:, :2, 0]
    return Poses(rotation, poses.translation_in_pixels - moved)


def superposed(
    places: Float[Tensor, "states points 3"], weight: Float[Tensor, " points"]
) -> tuple[Float[Tensor, "states 3 3"], Float[Tensor, "states 3"]]:
    """Rotation R and offset c of each state, p ↦ R p + c, that bring all states onto their mean.

    The mean's own place is that of the states as they were: no turn, no offset on the whole.
    """
    share = weight / weight.sum()
    centre = torch.einsum("p,spi->si", share, places)
    centred = places - centre[:, None]
    turn = torch.eye(3).to(places).expand(len(places), 3, 3)
    for _ in range(ROUNDS):
        mean = torch.einsum("sij,spj->pi", turn, centred) / len(places)
        turn = _nearest_rotation(torch.einsum("p,pi,spj->sij", share, mean, centred))
    # Turning all states and their mean alike changes nothing: on the whole none is turned.
    turn = _nearest_rotation(turn.mean(0)).mT @ turn
    return turn, centre.mean(0) - (turn @ centre[..., None])[..., 0]


def _nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    u, _, vt = torch.linalg.svd(matrix)
    proper = torch.ones_like(matrix[..., 0])
    proper[..., 2] = torch.linalg.det(u @ vt).sign()
    nearest: Tensor = (u * proper[..., None, :]) @ vt
    return nearest
