"""p(z): what the latent states of a movie are expected to do before it is seen."""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from temporem.model.gaussian import DiagonalGaussian
from temporem.model.transition import LEAST_TRANSITION_VARIANCE, transition

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
        decay, variance = transition(interval, torch.exp(-self.log_relaxation_time))
        return DiagonalGaussian(decay * previous, variance.log())


class GatedTransition(LatentPrior):
    """p(z(t+1) | z(t)) = N(μ(z), σ²(z)) with a gate between a linear and a nonlinear mean.

    The transition of the deep Kalman filter (Krishnan et al. 2017, Sec. 5) over one usual frame interval.
    Over an interval Δ it is the Ornstein–Uhlenbeck process that makes this very step in Δ = 1: with decay
    ρ(z) = √(1 − σ²) about the centre c(z) = (μ − ρ z) / (1 − ρ), the mean is ρ^Δ z + (1 − ρ^Δ) c and the
    variance 1 − ρ^{2Δ}. So a gap is no single step, frames at one time share their state, and with μ = ρ z it
    is `OrnsteinUhlenbeck`.
    """

    def __init__(self, latent_dim: int, width: int = 64) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, latent_dim), nn.Sigmoid()
        )
        self.proposal = nn.Sequential(nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, latent_dim))
        self.linear = nn.Linear(latent_dim, latent_dim)
        self.spread = nn.Linear(latent_dim, latent_dim)
        """Logit of σ², from the proposal: between 0 and 1, the variance of a first frame."""
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def transition(
        self, previous: Float[Tensor, "*batch latent"], interval: Float[Tensor, "*batch"]
    ) -> DiagonalGaussian:
        """The gated step, over the interval; N(0, I) for a first frame."""
        gate, proposal = self.gate(previous), self.proposal(previous)
        step = (1 - gate) * self.linear(previous) + gate * proposal
        # −ln ρ, of σ² = sigmoid(logit); never so small that 1 − ρ is lost in rounding.
        rate = 0.5 * nn.functional.softplus(self.spread(torch.relu(proposal))).clamp(
            min=LEAST_TRANSITION_VARIANCE
        )
        decay, variance = transition(interval, rate)
        centre = (step - torch.exp(-rate) * previous) / -torch.expm1(-rate)
        mean = decay * previous + (1 - decay) * centre
        first = torch.isinf(interval)[..., None]
        return DiagonalGaussian(mean.masked_fill(first, 0.0), variance.log().masked_fill(first, 0.0))


def build_prior(kind: PriorKind, latent_dim: int) -> LatentPrior:
    """Build a prior; times are in usual frame intervals, and τ starts at ten of them."""
    if kind == "standard":
        return StandardNormal()
    if kind == "ou":
        return OrnsteinUhlenbeck(latent_dim, 10.0)
    return GatedTransition(latent_dim)
