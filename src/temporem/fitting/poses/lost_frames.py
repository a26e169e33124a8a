"""Frames whose pose was lost, and that no small step brings back: searched for anew among all poses.

Where the motion is known, a frame at a wrong pose stands out by how badly its image is foretold.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from temporem.fitting.deformation_states import misfits
from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.ab_initio import LEVELS, radius_within
from temporem.fitting.poses.climbing import Climbed
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.wide_search import climb_candidates, search_widely
from temporem.model.deformable_generator import DeformableGenerator
from temporem.physics.volumes import fourier_resize

__all__ = ["Placed", "badly_foretold", "place_anew"]

SPREADS = 4.0
"""Above the median misfit by so many standard deviations, taken from the median deviation: lost."""
GAIN = 30.0
"""Of the misfit, that a frame is moved for: as much as the best of a few million poses gains from noise."""
VOLUMES = 6
"""States whose volumes a lost frame is compared with."""
STEPS = 5
RADIUS_OF_CLIMB = 16
"""In cycles per box: where the search with few frequencies has left a pose some degrees off."""


@dataclass(frozen=True, eq=False)
class Placed:
    """States and poses of all frames, some placed anew."""

    z: Float[Tensor, "frames latent"]
    poses: Poses
    lost: int
    """Frames that were badly foretold."""
    found: int
    """Of these, frames that are better foretold where they are now."""


def badly_foretold(misfit: Float[Tensor, " frames"]) -> Bool[Tensor, " frames"]:
    """Frames whose misfit is beyond what the others' spread explains; most are taken to be well foretold."""
    middle = misfit.median()
    spread = 1.4826 * (misfit - middle).abs().median()
    return misfit > middle + SPREADS * spread


@torch.no_grad()
def place_anew(
    generator: DeformableGenerator,
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    radius: int,
    seed: int,
) -> Placed:
    """Search all poses, at some states all over, for the frames that are badly foretold at their own; a frame
    is moved where it is better foretold then. By coefficients up to `radius`, that the generator knows, or
    `RADIUS_OF_CLIMB`; the search is computed on the processor."""
    radius = radius_within(store, min(radius, RADIUS_OF_CLIMB))
    poses = store.poses
    before = misfits(generator, store, z, torch.arange(len(store)), radius)
    bad = badly_foretold(before)
    rows = bad.nonzero().squeeze(-1)
    if not len(rows):
        return Placed(z, poses, len(rows), 0)
    states = _spread_over(z[~bad.to(z.device)], seed)
    best, density, state = poses[rows], torch.full((len(rows),), -torch.inf), torch.zeros_like(rows)
    bare = store.unposed().on(torch.device("cpu"))
    for index, volume in enumerate(generator.volumes(states).cpu()):
        climbed = _searched(bare, volume, rows, radius)
        better = (climbed.log_density > density).nonzero().squeeze(-1)
        best = best.with_rows(better, climbed.poses[better])
        density[better], state[better] = climbed.log_density[better], index
    moved = z.clone()
    moved[rows.to(z.device)] = states[state.to(z.device)]
    after = misfits(generator, store.posed(poses.with_rows(rows, best)), moved, rows, radius)
    better = (after < before[rows] - GAIN).nonzero().squeeze(-1)
    found = rows[better]
    result = z.clone()
    result[found.to(z.device)] = moved[found.to(z.device)]
    return Placed(result, poses.with_rows(found, best[better]), len(rows), len(found))


def _searched(
    bare: FrameStore, volume: Float[Tensor, "n n n"], rows: Int[Tensor, " rows"], radius: int
) -> Climbed:
    coarse = min(radius, LEVELS[-1].radius)
    few, more = (fourier_resize(volume, min(len(volume), 2 * (x + 1))) for x in (coarse, radius))
    candidates = search_widely(bare, few, rows, coarse, lambda count, note: None)
    message = torch.zeros_like(candidates.log_likelihood)
    return climb_candidates(bare, more, rows, candidates, message, radius, STEPS)


def _spread_over(z: Float[Tensor, "frames latent"], seed: int) -> Float[Tensor, "states latent"]:
    """Some of the states that frames are in, all over."""
    distinct = len(torch.unique(z, dim=0))
    clusters = KMeans(min(VOLUMES, distinct), n_init=1, random_state=seed % 2**32).fit(z.cpu().numpy())
    return torch.from_numpy(clusters.cluster_centers_).to(z)
