"""Before a volume is there to speak of: poses by trial, of which the network learns.

The ELBO's gradient knows only the neighbourhood of the heads' poses, and early on all of them are wrong. So
each frame also tries rotations drawn at random against the present volume, as cryoDRGN2 (Zhong et al. 2021)
searches a grid, and then around the best; the best of all fits the generator, and the heads are taught it.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from temporem.fitting.objective import Bound, posed_slices
from temporem.model.batches import FrameBatch
from temporem.model.methods import DynamicalModel
from temporem.model.pose_estimator import PoseCandidates, PoseSample
from temporem.physics.lattice import HalfDisc
from temporem.physics.projection import central_slices
from temporem.physics.rotation_density import turned
from temporem.physics.rotations import random_rotations
from temporem.physics.shifts import phase_shift
from temporem.physics.volumes import PADDING, slicing_grid

__all__ = ["Explored", "best_tries", "explore", "log_mixture", "state_grid"]

DRAWS = 200
"""Rotations that a frame tries at a time, beside its heads'."""
ROUNDS = (8, 8), (4, 12)
"""How many of the best to go on from, and how many tries around each, round by round."""
NEARBY_SD, NEARBY_SHIFT_SD = 0.25, 0.5
"""Of the first round's tries around the best, in radians and pixels; halved with each round."""
SCORED = 64
"""Coefficients by which tries are compared, at most."""


@dataclass(frozen=True)
class Explored:
    """What a step of exploration learns from, summed over its frames."""

    bound: Bound
    """Of the best tries; no divergence is counted of them."""
    surprise: Float[Tensor, ""]
    """−log density of the best tries in the heads' mixtures."""


@torch.no_grad()
def state_grid(model: DynamicalModel, z: Float[Tensor, "1 latent"]) -> Complex[Tensor, "m m m//2+1"]:
    """The volume of one state, to cut many slices from."""
    return slicing_grid(model.generator.volumes(z)[0])


def explore(
    model: DynamicalModel,
    frames: FrameBatch,
    grid: Complex[Tensor, "m m m//2+1"],
    lattice: HalfDisc,
    among: int,
    chosen: Int[Tensor, " chosen"],
    generator: torch.Generator,
) -> Explored:
    """Try poses of each frame against the volume of z = 0, and learn from the best.

    As in `elbo_with_poses`, the likelihood is that of the first `among` coefficients.
    """
    candidates = model.pose_candidates(frames, lattice)
    shift_sd = float(model.shift_prior().log_variance[0].detach().div(2).exp())
    scored = chosen[torch.linspace(0, len(chosen) - 1, min(SCORED, len(chosen)), device=chosen.device).long()]
    best = best_tries(candidates, frames, grid, lattice, scored, shift_sd, generator)
    z = best.rotation.new_zeros(len(best.rotation), model.generator.latent_dim)
    slices = posed_slices(model.generator, z, best, lattice.frequency[chosen])
    residual = frames.coefficients[:, chosen] - frames.transfer[:, chosen] * slices
    squared = (residual.abs() ** 2 * lattice.multiplicity[chosen]).sum()
    surprise = -log_mixture(candidates, best.rotation, best.translation_in_pixels).sum()
    return Explored(Bound(-0.5 * squared * (among / len(chosen)), squared.new_zeros(())), surprise)


def log_mixture(
    candidates: PoseCandidates,
    rotation: Float[Tensor, "frames 3 3"],
    translation_in_pixels: Float[Tensor, "frames 2"],
) -> Float[Tensor, " frames"]:
    """log density of poses where each of a frame's candidates is as likely as the others."""
    each = candidates.log_density(rotation[:, None], translation_in_pixels[:, None])
    return torch.logsumexp(each, dim=1) - math.log(each.shape[1])


@torch.no_grad()
def best_tries(
    candidates: PoseCandidates,
    frames: FrameBatch,
    grid: Complex[Tensor, "m m m//2+1"],
    lattice: HalfDisc,
    scored: Int[Tensor, " scored"],
    shift_sd: float,
    generator: torch.Generator,
) -> PoseSample:
    """Each frame's best pose: of the heads' means and random ones, then round by round around the best."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(grid.device)

    poses = _first_tries(candidates, shift_sd, generator)
    for round_, (kept, around) in enumerate(ROUNDS):
        cost = _cost(poses, frames, grid, lattice, scored)
        best = cost.topk(kept, largest=False).indices
        rows = torch.arange(len(best), device=best.device)[:, None]
        rotation, shift = poses.rotation[rows, best], poses.translation_in_pixels[rows, best]
        # Each of the kept stays among the tries around it.
        turn = NEARBY_SD / 2**round_ * normal(*best.shape, around, 3)
        move = NEARBY_SHIFT_SD / 2**round_ * normal(*best.shape, around, 2)
        turn[:, :, 0], move[:, :, 0] = 0, 0
        tried = turned(rotation[:, :, None].expand(*turn.shape[:3], 3, 3), turn).flatten(1, 2)
        poses = _sample(tried, (shift[:, :, None] + move).flatten(1, 2))
    best = _cost(poses, frames, grid, lattice, scored).argmin(-1)
    rows = torch.arange(len(best), device=best.device)
    return _sample(poses.rotation[rows, best], poses.translation_in_pixels[rows, best])


def _first_tries(candidates: PoseCandidates, shift_sd: float, generator: torch.Generator) -> PoseSample:
    """The heads' means, and rotations anywhere with shifts that the heads give."""
    frames, heads = candidates.rotation.shape[:2]
    device = candidates.rotation.device
    anywhere = random_rotations(frames * DRAWS, generator).to(device).reshape(frames, DRAWS, 3, 3)
    whose = torch.randint(heads, (frames, DRAWS), generator=generator).to(device)
    shift = candidates.shift.mean.clamp(-3 * shift_sd, 3 * shift_sd)
    given = shift.gather(1, whose[..., None].expand(-1, -1, 2))
    return _sample(torch.cat((candidates.rotation, anywhere), dim=1), torch.cat((shift, given), dim=1))


def _sample(rotation: Float[Tensor, "*batch 3 3"], shift: Float[Tensor, "*batch 2"]) -> PoseSample:
    return PoseSample(rotation, shift, rotation.new_zeros(rotation.shape[:-2]))


def _cost(
    tries: PoseSample,
    frames: FrameBatch,
    grid: Complex[Tensor, "m m m//2+1"],
    lattice: HalfDisc,
    scored: Int[Tensor, " scored"],
) -> Float[Tensor, "frames tries"]:
    frequency = lattice.frequency[scored]
    slices = central_slices(grid, tries.rotation, frequency, PADDING)
    slices = slices * phase_shift(frequency, tries.translation_in_pixels, lattice.box_size)
    residual = frames.coefficients[:, None, scored] - frames.transfer[:, None, scored] * slices
    return (residual.abs() ** 2 * lattice.multiplicity[scored]).sum(-1)
