"""The evidence lower bound over whole movies (paper, Eq. 11)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.encoders import LatentPath
from temporem.model.methods import DynamicalModel
from temporem.model.priors import LatentPrior
from temporem.physics.lattice import HalfDisc

__all__ = ["Bound", "elbo", "path_divergence"]


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
