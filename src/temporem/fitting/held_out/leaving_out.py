"""One frame left out of its movie, for every frame at once: exact where the model is linear and Gaussian.

What the frame itself tells, −½ zᵀHz + bᵀz, is a factor of the posterior of its state, so dividing by it
leaves the posterior given the other frames alone: the cavity of Opper and Winther (2000).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.model.batches import MovieBatch
from temporem.model.smoothing import smooth

__all__ = ["LeftOut", "leave_each_out", "log_predictive"]


@dataclass(frozen=True)
class LeftOut:
    """States of frames given the other frames of their movies, as Gaussians."""

    mean: Float[Tensor, "frames latent"]
    covariance: Float[Tensor, "frames latent latent"]


def leave_each_out(
    matrix: Float[Tensor, "frames latent latent"],
    vector: Float[Tensor, "frames latent"],
    batch: MovieBatch,
    relaxation_time: Float[Tensor, " latent"] | None,
) -> LeftOut:
    """States of a batch's frames, each from the others of its movie; H and b of every frame are given.

    Without a relaxation time nothing is known of a frame left out: N(0, I). Calculated in float64, because
    what a frame tells may be far more than what the others do, and is subtracted.
    """
    matrix, vector = matrix.double(), vector.double()
    latent = vector.shape[-1]
    if relaxation_time is None:
        return LeftOut(torch.zeros_like(vector), torch.eye(latent).to(matrix).expand_as(matrix))
    states = smooth(
        batch.pad(matrix), batch.pad(vector), batch.interval.double(), relaxation_time.double(), batch.mask
    )
    precision = torch.cholesky_inverse(torch.linalg.cholesky(states.covariance[batch.mask]))
    natural = (precision @ states.mean[batch.mask][..., None])[..., 0]
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision - matrix))
    mean = (covariance @ (natural - vector)[..., None])[..., 0]
    return LeftOut(mean, covariance)


def log_predictive(
    states: LeftOut, matrix: Float[Tensor, "frames latent latent"], vector: Float[Tensor, "frames latent"]
) -> Float[Tensor, " frames"]:
    """log E[exp(−½ zᵀHz + bᵀz)] over the states: log p(frame | others) − log p(frame | z = 0), in nats."""
    matrix, vector = matrix.double(), vector.double()
    root = torch.linalg.cholesky(states.covariance)
    unexplained = vector - (matrix @ states.mean[..., None])[..., 0]
    at_mean = ((vector + unexplained) * states.mean).sum(-1) / 2
    identity = torch.eye(vector.shape[-1]).to(matrix)
    factor = torch.linalg.cholesky(identity + root.mT @ matrix @ root)
    whitened = torch.linalg.solve_triangular(factor, root.mT @ unexplained[..., None], upper=False)[..., 0]
    log_determinant = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    around: Tensor = 0.5 * (whitened.square().sum(-1) - log_determinant)
    return at_mean + around
