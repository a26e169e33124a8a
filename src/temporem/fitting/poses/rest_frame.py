"""The frame of reference in which a molecule that moves moves least.

Images with unknown poses do not say what stands still: a rotation and a shift that vary with the state turn
the molecule of each state, and its poses back, and leave every image as it is. Of all these frames of
reference the one taken here has the least squared displacement of all density from its mean place: every
state lies on the mean as two atomic models are superposed (Kabsch 1976, Acta Cryst. A32, 922).
"""

import torch

from temporem.fitting.consensus import find_consensus
from temporem.fitting.deformable import beginning_of
from temporem.fitting.deformation import fit_deformation
from temporem.fitting.deformation_options import DeformationOptions, Stage, passes
from temporem.fitting.frames import FrameStore
from temporem.fitting.linear import find_states, find_volumes
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.superposition import from_frame, to_rest
from temporem.progress import progress

__all__ = ["at_rest"]

COARSE = DeformationOptions(
    stages=(Stage(19.0, 3), Stage(19.0, 3), Stage(14.0, 3)), solves=0, more_solves=0, mass_changes=False
)
"""Where a whole molecule turns to shows at low resolution."""
COMPONENTS = 3
"""Of the motion."""


def at_rest(store: FrameStore, poses: Poses, generator: torch.Generator) -> Poses:
    """`poses` of the frames of a `store`, whose own poses are left aside, in the frame in which the molecule
    moves least; the motion is found by a coarse fit of one moving density.

    Raises UserError where at these poses halves of the frames have nothing in common.
    """
    posed = store.posed(poses)
    consensus = find_consensus(posed)
    seed = int(torch.randint(2**31, (), generator=generator))
    states = find_states(posed, consensus, COMPONENTS, True, None, False, generator)
    anchored = find_volumes(posed, states, consensus, seed)
    begun = beginning_of(posed, states, anchored, consensus)
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
    return from_frame(poses, *to_rest(found.generator, found.states.mean))
