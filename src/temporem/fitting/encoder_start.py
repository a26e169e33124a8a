"""Start an encoder from the linear subspace, where the ELBO is known in closed form and cheap to climb."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.objective import path_divergence
from temporem.fitting.stability import require_finite, stable
from temporem.fitting.subspace_fit import REMEDY
from temporem.model.batches import MovieBatch
from temporem.model.encoders import Encoder
from temporem.model.features import SubspaceFeatures
from temporem.model.priors import LatentPrior

__all__ = ["start_encoder"]

STEPS = 200
LEARNING_RATE = 3e-3
FRAMES_PER_BATCH = 1024
_BOUND = "the ELBO of the encoder's start"


def start_encoder(
    encoder: Encoder,
    prior: LatentPrior,
    features: SubspaceFeatures,
    store: FrameStore,
    generator: torch.Generator,
    advance: Callable[[int, str], None],
) -> None:
    """Maximise E_q[−½ zᵀ H z + bᵀ z] − KL[q ‖ p] over the encoder and the prior, H and b from the subspace.

    `advance` is told of each of `STEPS` steps.

    Raises UserError where the bound is lost to numbers that are not finite.
    """
    with torch.no_grad(), stable(_BOUND, REMEDY):
        prepared = [_prepare(batch, features, store) for batch in store.epoch(FRAMES_PER_BATCH)]
    parameters = [*encoder.parameters(), *prior.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    latent = features.subspace.latent_dim
    for step in range(STEPS):
        batch, inputs, matrix, vector = prepared[step % len(prepared)]
        noise = torch.randn((*batch.mask.shape, latent), generator=generator).to(store.device)
        with stable(_BOUND, REMEDY):
            path = encoder(inputs, batch.interval, batch.mask, noise)
        z = path.z
        likelihood = (vector * z).sum(-1) - 0.5 * torch.einsum("mti,mtij,mtj->mt", z, matrix, z)
        bound = (likelihood * batch.mask).sum() - path_divergence(path, prior, batch).sum()
        loss = -bound / len(batch.rows)
        require_finite(loss.item(), _BOUND, REMEDY)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        optimiser.step()
        schedule.step()
        advance(1, f"−ELBO {loss.item():.2f}")


def _prepare(
    batch: MovieBatch, features: SubspaceFeatures, store: FrameStore
) -> tuple[
    MovieBatch,
    Float[Tensor, "movies length width"],
    Float[Tensor, "movies length latent latent"],
    Float[Tensor, "movies length latent"],
]:
    subspace = features.subspace
    frames = store.frames(batch.rows, subspace.coefficients_used(store.lattice))
    told = subspace.information(frames.coefficients, frames.transfer, frames.rotation, store.lattice)
    inputs = features(frames.coefficients, frames.transfer, frames.rotation, store.lattice)
    return batch, batch.pad(inputs), batch.pad(told.matrix), batch.pad(told.vector)
