"""The evidence lower bound over whole movies (paper, Eq. 11)."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.encoders import LatentPath
from temporem.model.generators import Generator
from temporem.model.methods import DynamicalModel
from temporem.model.pose_estimator import PoseSample
from temporem.model.priors import LatentPrior
from temporem.physics.lattice import HalfDisc
from temporem.physics.shifts import phase_shift

__all__ = ["Bound", "best_candidates", "elbo", "elbo_with_poses", "path_divergence", "posed_slices"]

SCORED = 128
"""Coefficients by which the candidates for a frame's pose are compared, at most."""


@dataclass(frozen=True)
class Bound:
    """The two terms of the ELBO, summed over a batch, in nats."""

    log_likelihood: Float[Tensor, ""]
    """log p(X | z), less what does not depend on the model: ½ log 2πσ² for each real number measured."""
    divergence: Float[Tensor, ""]


def path_divergence(
    path: LatentPath, prior: LatentPrior, batch: MovieBatch
) -> Float[Tensor, "movies length"]:
    """KL[q(z_t | z_{t−1}, X) ‖ p(z_t | z_{t−1})] of each frame at the sampled z_{t−1}, in nats.

    Zero where there is no frame.
    """
    previous = torch.cat((torch.zeros_like(path.z[:, :1]), path.z[:, :-1]), dim=1)
    divergence = path.conditional.kl_from(prior.transition(previous, batch.interval))
    return divergence * batch.mask


def elbo(
    model: DynamicalModel,
    frames: FrameBatch,
    batch: MovieBatch,
    lattice: HalfDisc,
    chosen: Int[Tensor, " chosen"],
    noise: Float[Tensor, "movies length latent"],
) -> Bound:
    """Eq. 11 for the movies of a batch, every frame t ≥ 1, with one sample of the states.

    The likelihood is the noise model's own: coefficients are whitened, so ½ |X − transfer · slice|² with the
    multiplicity of the half-disc. It is estimated from the `chosen` coefficients, without bias where these
    are drawn at random. `noise` is standard normal.
    """
    path = model.infer(frames, batch, lattice, noise)
    slices = model.generator.slices(path.z[batch.mask], frames.rotation, lattice.frequency[chosen])
    residual = frames.coefficients[:, chosen] - frames.transfer[:, chosen] * slices
    squared = (residual.abs() ** 2 * lattice.multiplicity[chosen]).sum()
    # Not the share of multiplicities: that one varies with the choice, and a ratio would be biased.
    share = len(chosen) / len(lattice)
    divergence = path_divergence(path, model.prior, batch).sum()
    return Bound(-0.5 * squared / share, divergence)


def elbo_with_poses(
    model: DynamicalModel,
    frames: FrameBatch,
    batch: MovieBatch,
    lattice: HalfDisc,
    among: int,
    chosen: Int[Tensor, " chosen"],
    noise: Float[Tensor, "movies length latent"],
    pose_noise: Float[Tensor, "frames 5"],
) -> Bound:
    """Eq. 11 with poses inferred too: − KL[F ‖ p] of each frame's pose besides, with one sample of it.

    Of a frame's candidates that one counts whose own bound is best at its mean: each of them alone makes a
    bound, and so does the best. The likelihood is that of the first `among` coefficients, of which the
    `chosen` are drawn. Frames come as they are, neither turned nor centred.
    """
    path = model.infer(frames, batch, lattice, noise)
    z = path.z[batch.mask]
    candidates, prior = model.pose_candidates(frames, lattice), model.shift_prior()
    means = candidates.sample(pose_noise.new_zeros(*candidates.rotation.shape[:2], 5), prior)
    best = best_candidates(model.generator, frames, z, means, lattice, among, chosen)
    poses = candidates.chosen(best).sample(pose_noise, prior)
    slices = posed_slices(model.generator, z, poses, lattice.frequency[chosen])
    residual = frames.coefficients[:, chosen] - frames.transfer[:, chosen] * slices
    squared = (residual.abs() ** 2 * lattice.multiplicity[chosen]).sum()
    divergence = path_divergence(path, model.prior, batch).sum() + poses.divergence.sum()
    return Bound(-0.5 * squared * (among / len(chosen)), divergence)


def posed_slices(
    generator: Generator,
    z: Float[Tensor, "frames latent"],
    poses: PoseSample,
    frequency: Float[Tensor, "coefficients 2"],
) -> Complex[Tensor, "frames coefficients"]:
    """Slices at poses, shifted; no CTF. Differentiable in the poses, as in the generator."""
    slices = generator.slices(z, poses.rotation, frequency)
    return slices * phase_shift(frequency, poses.translation_in_pixels, generator.box_size)


@torch.no_grad()
def best_candidates(
    generator: Generator,
    frames: FrameBatch,
    z: Float[Tensor, "frames latent"],
    means: PoseSample,
    lattice: HalfDisc,
    among: int,
    chosen: Int[Tensor, " chosen"],
) -> Int[Tensor, " frames"]:
    """Which of each frame's candidates (frames, candidates) has the best bound, by some of the `chosen`."""
    count = means.rotation.shape[1]
    scored = chosen[torch.linspace(0, len(chosen) - 1, min(SCORED, len(chosen)), device=chosen.device).long()]
    flat = PoseSample(
        *(x.flatten(0, 1) for x in (means.rotation, means.translation_in_pixels, means.divergence))
    )
    slices = posed_slices(generator, z.repeat_interleave(count, 0), flat, lattice.frequency[scored])
    expected = frames.transfer[:, None, scored] * slices.reshape(-1, count, len(scored))
    squared = (frames.coefficients[:, None, scored] - expected).abs() ** 2 * lattice.multiplicity[scored]
    cost: Tensor = 0.5 * squared.sum(-1) * (among / len(scored)) + means.divergence
    return cost.argmin(-1)
