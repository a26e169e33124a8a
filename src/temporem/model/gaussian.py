"""Mean-field Gaussians: what the encoders give and the priors ask for."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["DiagonalGaussian"]


@dataclass(frozen=True)
class DiagonalGaussian:
    """A Gaussian with diagonal covariance, any leading batch dimensions."""

    mean: Float[Tensor, "*batch dimensions"]
    log_variance: Float[Tensor, "*batch dimensions"]

    def sample(self, noise: Float[Tensor, "*batch dimensions"]) -> Float[Tensor, "*batch dimensions"]:
        """Reparametrised sample: mean + sd · noise, with standard normal noise."""
        return self.mean + self.sd * noise

    @property
    def sd(self) -> Float[Tensor, "*batch dimensions"]:
        """Standard deviation."""
        return torch.exp(0.5 * self.log_variance)

    def kl_from(self, prior: "DiagonalGaussian") -> Float[Tensor, "*batch"]:
        """KL[self ‖ prior], summed over the dimensions, in nats."""
        difference = (self.mean - prior.mean) ** 2 * torch.exp(-prior.log_variance)
        ratio = self.log_variance - prior.log_variance
        return 0.5 * (torch.exp(ratio) + difference - 1 - ratio).sum(-1)

    def log_density(self, x: Float[Tensor, "*#batch dimensions"]) -> Float[Tensor, "*batch"]:
        """log N(x), summed over the dimensions."""
        normalised = (x - self.mean) ** 2 * torch.exp(-self.log_variance)
        return -0.5 * (normalised + self.log_variance + math.log(2 * math.pi)).sum(-1)
