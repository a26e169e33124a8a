"""p(z): what the latent states of a movie are expected to do before it is seen."""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from temporem.model.gaussian import DiagonalGaussian

__all__ = [
    "GatedTransition",
    "LatentPrior",
    "OrnsteinUhlenbeck",
    "PriorKind",
    "StandardNormal",
    "build_prior",
]

PriorKind = Literal["standard", "ou", "gated"]


class LatentPrior(nn.Module, ABC):
    """A Markov prior over the states of one movie, with p(z₁) = N(0, I)."""

    @abstractmethod
    def transition(
        self, previous: Float[Tensor, "*batch latent"], interval: Float[Tensor, "*batch"]
    ) -> DiagonalGaussian:
        """p(z(t + interval) | z(t) = previous), the interval in usual frame intervals.

        An infinite interval gives N(0, I), the prior of a first frame.
        """


class StandardNormal(LatentPrior):
    """z_t ~ N(0, I) for each frame: the paper's prior."""

    def transition(
        self, previous: Float[Tensor, "*batch latent"], interval: Float[Tensor, "*batch"]
    ) -> DiagonalGaussian:
        """N(0, I)."""
        return DiagonalGaussian(torch.zeros_like(previous), torch.zeros_like(previous))


class OrnsteinUhlenbeck(LatentPrior):
    """z(t+Δ) | z(t) ~ N(e^{−Δ/τ} z(t), 1 − e^{−2Δ/τ}), a relaxation time τ learned in each dimension.

    Its marginal is N(0, I) at every time, and its limit τ → 0 is the paper's prior (Uhlenbeck
    and Ornstein 1930).
    """

    def __init__(self, latent_dim: int, relaxation_time: float) -> None:
        super().__init__()
        self.log_relaxation_time = nn.Parameter(torch.full((latent_dim,), math.log(relaxation_time)))

    def transition(
        self, previous: Float[Tensor, "*batch latent"], interval: Float[Tensor, "*batch"]
    ) -> DiagonalGaussian:
        """The exact transition over the interval."""
        # An infinite interval would give τ a gradient of 0 · ∞; this one is as good as infinite.
        rate = interval.clamp(max=1e9)[..., None] / torch.exp(self.log_relaxation_time)
        variance = -torch.expm1(-2 * rate)
        return DiagonalGaussian(torch.exp(-rate) * previous, torch.log(variance.clamp(min=1e-6)))


class GatedTransition(LatentPrior):
    """p(z_t | z_{t−1}) = N(μ(z_{t−1}), σ²(z_{t−1})) with a gate between a linear and a nonlinear mean.

    The transition of the deep Kalman filter (Krishnan et al. 2017, Sec. 5). It knows no time, only steps.
    """

    def __init__(self, latent_dim: int, width: int = 64) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, latent_dim), nn.Sigmoid()
        )
        self.proposal = nn.Sequential(nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, latent_dim))
        self.linear = nn.Linear(latent_dim, latent_dim)
        self.log_variance = nn.Linear(latent_dim, latent_dim)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def transition(
        self, previous: Float[Tensor, "*batch latent"], interval: Float[Tensor, "*batch"]
    ) -> DiagonalGaussian:
        """The gated step; N(0, I) for a first frame."""
        gate, proposal = self.gate(previous), self.proposal(previous)
        first = torch.isinf(interval)[..., None]
        mean = (1 - gate) * self.linear(previous) + gate * proposal
        log_variance = self.log_variance(torch.relu(proposal))
        return DiagonalGaussian(mean.masked_fill(first, 0.0), log_variance.masked_fill(first, 0.0))


def build_prior(kind: PriorKind, latent_dim: int) -> LatentPrior:
    """Build a prior; times are in usual frame intervals, and τ starts at ten of them."""
    if kind == "standard":
        return StandardNormal()
    if kind == "ou":
        return OrnsteinUhlenbeck(latent_dim, 10.0)
    return GatedTransition(latent_dim)
