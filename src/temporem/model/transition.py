"""The Ornstein–Uhlenbeck transition: how much of a state is left after a while, and how far it has spread."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["LEAST_TRANSITION_VARIANCE", "LONGEST_INTERVAL", "transition"]

LEAST_TRANSITION_VARIANCE = 1e-4
"""Frames at equal times would have a prior without width, and its precision no factor in single precision."""
LONGEST_INTERVAL = 1e6
"""Beyond it nothing is remembered; an infinite interval would give its rate a gradient of 0 · ∞."""


def transition(
    interval: Float[Tensor, "*batch"], rate: Float[Tensor, "*#batch latent"]
) -> tuple[Float[Tensor, "*batch latent"], Float[Tensor, "*batch latent"]]:
    """Return e^{−Δ·rate} and 1 − e^{−2Δ·rate}, the decay and the variance of a step over the interval Δ.

    `rate` is one over the relaxation time, in the interval's units; the interval may be infinite. The
    marginal of z(t+Δ) = decay · z(t) + noise of that variance is N(0, 1) where that of z(t) is (Uhlenbeck
    and Ornstein 1930).
    """
    turns = interval.clamp(max=LONGEST_INTERVAL)[..., None] * rate
    return torch.exp(-turns), (-torch.expm1(-2 * turns)).clamp(min=LEAST_TRANSITION_VARIANCE)
