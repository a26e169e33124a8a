"""Exact posterior of linear-Gaussian latent states along movies: the smoother of the linear cousin.

Frame t of a movie tells of its state z_t by −½ zᵀ H_t z + b_tᵀ z; the prior is Ornstein–Uhlenbeck in each
dimension, or N(0, I) for each frame. The posterior's precision is block-tridiagonal, and its Cholesky
factor block-bidiagonal.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from temporem.model.transition import LONGEST_INTERVAL, transition

__all__ = ["SmoothedStates", "evidence", "filtered", "smooth"]


@dataclass(frozen=True)
class SmoothedStates:
    """Posterior of the states of a batch of movies."""

    mean: Float[Tensor, "movies frames latent"]
    covariance: Float[Tensor, "movies frames latent latent"]
    """Marginal, of each frame alone."""


def smooth(
    information: Float[Tensor, "movies frames latent latent"],
    vector: Float[Tensor, "movies frames latent"],
    interval: Float[Tensor, "movies frames"],
    relaxation_time: Float[Tensor, " latent"] | None,
    mask: Bool[Tensor, "movies frames"],
) -> SmoothedStates:
    """Smooth movies padded to one length; padded frames (mask False) come last and count for nothing.

    `information` is H and `vector` b; `interval` is the time since the frame before (infinite at a first
    frame), in the units of `relaxation_time`, for which None means a prior without time, N(0, I) for each
    frame.
    """
    blocks, coupling, _ = _precision(information, interval, relaxation_time, mask, vector)
    factors, whitened = _eliminate(blocks, coupling, vector * mask[..., None])
    return SmoothedStates(*_substitute(factors, coupling, whitened))


def evidence(
    information: Float[Tensor, "movies frames latent latent"],
    vector: Float[Tensor, "movies frames latent"],
    interval: Float[Tensor, "movies frames"],
    relaxation_time: Float[Tensor, " latent"] | None,
    mask: Bool[Tensor, "movies frames"],
) -> Float[Tensor, " movies"]:
    """log p(X) less what does not depend on the latent model, in nats; arguments as of `smooth`.

    ½ bᵀ μ − ½ log|Λ| + ½ log|Λ_prior|, from the forward pass alone.
    """
    blocks, coupling, variance = _precision(information, interval, relaxation_time, mask, vector)
    factors, whitened = _eliminate(blocks, coupling, vector * mask[..., None])
    log_determinant = 2 * factors.diagonal(dim1=-2, dim2=-1).log().sum((-2, -1))
    found: Tensor = 0.5 * (whitened.square().sum((-2, -1)) - log_determinant - variance.log().sum((-2, -1)))
    return found


def filtered(
    information: Float[Tensor, "movies frames latent latent"],
    vector: Float[Tensor, "movies frames latent"],
    interval: Float[Tensor, "movies frames"],
    relaxation_time: Float[Tensor, " latent"],
    mask: Bool[Tensor, "movies frames"],
) -> tuple[Float[Tensor, "movies frames latent"], Float[Tensor, "movies frames latent latent"]]:
    """Mean and covariance of each frame's state given the frames up to it; arguments as of `smooth`."""
    information = information * mask[..., None, None]
    vector = vector * mask[..., None]
    decay, variance = _transitions(interval, relaxation_time, mask, vector)
    of_next = torch.zeros_like(decay)
    of_next[:, :-1] = decay[:, 1:] ** 2 / variance[:, 1:]
    blocks = information + torch.diag_embed(1 / variance + of_next)
    factors, whitened = _eliminate(blocks, -decay / variance, vector)
    # What is left of a frame once those before it are eliminated, less what the next one would add.
    precision = factors @ factors.mT - torch.diag_embed(of_next)
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision).flatten(0, 1))
    covariance = covariance.reshape(precision.shape)
    return (covariance @ (factors @ whitened[..., None]))[..., 0], covariance


def _precision(
    information: Float[Tensor, "movies frames latent latent"],
    interval: Float[Tensor, "movies frames"],
    relaxation_time: Float[Tensor, " latent"] | None,
    mask: Bool[Tensor, "movies frames"],
    like: Float[Tensor, "movies frames latent"],
) -> tuple[
    Float[Tensor, "movies frames latent latent"],
    Float[Tensor, "movies frames latent"] | None,
    Float[Tensor, "movies frames latent"],
]:
    """The posterior's precision, of each frame and, diagonal, of it and the one before (None: without time);
    and the prior's variance given the frame before."""
    information = information * mask[..., None, None]
    decay, variance = _transitions(interval, relaxation_time, mask, like)
    # Prior precision of x_t: its own transition's, and that of the next frame given it.
    diagonal = 1 / variance
    diagonal[:, :-1] = diagonal[:, :-1] + decay[:, 1:] ** 2 / variance[:, 1:]
    coupling = None if relaxation_time is None else -decay / variance
    return information + torch.diag_embed(diagonal), coupling, variance


def _transitions(
    interval: Float[Tensor, "movies frames"],
    relaxation_time: Float[Tensor, " latent"] | None,
    mask: Bool[Tensor, "movies frames"],
    like: Float[Tensor, "movies frames latent"],
) -> tuple[Float[Tensor, "movies frames latent"], Float[Tensor, "movies frames latent"]]:
    """e^{−Δ/τ} and 1 − e^{−2Δ/τ} of the step into each frame."""
    if relaxation_time is None:
        return torch.zeros_like(like), torch.ones_like(like)
    return transition(interval.masked_fill(~mask, LONGEST_INTERVAL), 1 / relaxation_time)


def _eliminate(
    blocks: Float[Tensor, "movies frames latent latent"],
    coupling: Float[Tensor, "movies frames latent"] | None,
    vector: Float[Tensor, "movies frames latent"],
) -> tuple[Float[Tensor, "movies frames latent latent"], Float[Tensor, "movies frames latent"]]:
    """Forward pass: lower Cholesky factors of the Schur complements, and L⁻¹ times the reduced vectors."""
    if coupling is None:
        alone = torch.linalg.cholesky(blocks)
        return alone, torch.linalg.solve_triangular(alone, vector[..., None], upper=False)[..., 0]
    factors: list[Tensor] = []
    whitened: list[Tensor] = []
    for t in range(blocks.shape[1]):
        block, right = blocks[:, t], vector[:, t]
        if t:
            carried = torch.linalg.solve_triangular(
                factors[-1], torch.diag_embed(coupling[:, t]), upper=False
            )
            block = block - carried.mT @ carried
            right = right - (carried.mT @ whitened[-1][..., None])[..., 0]
        factor = torch.linalg.cholesky(block)
        factors.append(factor)
        whitened.append(torch.linalg.solve_triangular(factor, right[..., None], upper=False)[..., 0])
    return torch.stack(factors, 1), torch.stack(whitened, 1)


def _substitute(
    factors: Float[Tensor, "movies frames latent latent"],
    coupling: Float[Tensor, "movies frames latent"] | None,
    whitened: Float[Tensor, "movies frames latent"],
) -> tuple[Float[Tensor, "movies frames latent"], Float[Tensor, "movies frames latent latent"]]:
    """Backward pass: means and marginal covariances."""
    last = factors.shape[1] - 1
    inverse = torch.cholesky_inverse(factors.flatten(0, 1)).reshape(factors.shape)
    if coupling is None:
        return torch.linalg.solve_triangular(factors.mT, whitened[..., None], upper=True)[..., 0], inverse
    means: list[Tensor] = []
    covariances: list[Tensor] = []
    for t in range(last, -1, -1):
        right = whitened[:, t]
        covariance = inverse[:, t]
        mean = torch.linalg.solve_triangular(factors[:, t].mT, right[..., None], upper=True)[..., 0]
        if t < last:
            gain = inverse[:, t] * coupling[:, t + 1, None, :]
            mean = mean - (gain @ means[-1][..., None])[..., 0]
            covariance = covariance + gain @ covariances[-1] @ gain.mT
        means.append(mean)
        covariances.append(covariance)
    return torch.stack(means[::-1], 1), torch.stack(covariances[::-1], 1)
