"""All poses of frames on one volume: a grid of them, and climbing from the likeliest."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.ab_initio import SHIFT_RADIUS
from temporem.fitting.poses.climbing import Climbed, SlopedVolume, climb
from temporem.fitting.poses.found import PosePrior, Poses
from temporem.fitting.poses.search import Candidates, search_poses, shift_grid
from temporem.physics.rotation_grids import rotation_grid

__all__ = ["GRID", "climb_candidates", "search_widely", "weak_prior"]

GRID, GRID_SHIFT_SPACING = 4608, 2.0
CANDIDATES, CLIMBED = 24, 6
"""Of each frame: kept of the search, and climbed from once its neighbours in time have had their say."""
SHIFT_SPREAD = 3.0
"""Standard deviation of the shifts along each axis, in pixels of a box of 64: a weak prior."""


def search_widely(
    store: FrameStore,
    volume: Float[Tensor, "n n n"],
    rows: Int[Tensor, " rows"],
    radius: int,
    advance: Callable[[int, str], None],
) -> Candidates:
    """The likeliest poses of frames, by their frequencies up to `radius`; the store's own are left aside."""
    scale = store.lattice.box_size / 64
    shifts = shift_grid(GRID_SHIFT_SPACING * scale, SHIFT_RADIUS * scale)
    return search_poses(store, volume, rows, rotation_grid(GRID), shifts, radius, CANDIDATES, advance)


def climb_candidates(
    store: FrameStore,
    volume: Float[Tensor, "n n n"],
    rows: Int[Tensor, " rows"],
    candidates: Candidates,
    message: Float[Tensor, "rows candidates"],
    radius: int,
    steps: int,
) -> Climbed:
    """The best that climbing from each frame's candidates comes to, with what else is known of each."""
    count = store.lattice.count_within(radius)
    top = (candidates.log_likelihood + message).topk(min(CLIMBED, message.shape[-1]), dim=-1).indices
    frames, most = top.shape
    own = torch.arange(frames)[:, None]
    hypotheses = Poses(
        candidates.rotation[own, top].flatten(0, 1),
        candidates.translation_in_pixels[own, top].flatten(0, 1),
    )
    of_each = rows.repeat_interleave(most)
    prior = weak_prior(hypotheses, store)
    climbed = climb(SlopedVolume(volume), store, of_each, hypotheses, count, steps, prior)
    best = (climbed.log_density.reshape(frames, most) + message.gather(1, top)).argmax(-1)
    chosen = torch.arange(frames) * most + best
    return Climbed(climbed.poses[chosen], climbed.log_density[chosen], climbed.precision[chosen])


def weak_prior(poses: Poses, store: FrameStore) -> PosePrior:
    """Any rotation, and shifts around the centre of the image."""
    centre = Poses(poses.rotation, torch.zeros_like(poses.translation_in_pixels))
    none = poses.rotation.new_zeros(len(poses))
    return PosePrior(centre, none, none + 1 / (SHIFT_SPREAD * store.lattice.box_size / 64) ** 2)
