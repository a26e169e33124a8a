"""Gaussians on SO(3): normal in the tangent space at a rotation, and wrapped around by the exponential map.

R = exp(ω) R₀ with ω ~ N(0, diag σ²): ω turns about the image's axes, its third component in the plane. All of
ω + 2πk ω / |ω| are one rotation, and the map changes volume by (2 − 2 cos θ) / θ², θ = |ω| (Falorsi et al.
2019, Sec. 5). Densities are relative to the uniform distribution, whose own is 1. However wide, a wrapped
Gaussian is never quite uniform: 0.1 nats from it at 1.5 radians.
"""

import math

import roma
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["log_density", "relative_entropy", "turned"]

LOG_VOLUME = math.log(8 * math.pi**2)
"""Of SO(3), where a small turn's volume is that of its rotation vector."""
TURNS = (-2, -1, 0, 1, 2)
"""Whole turns more or less that count: the next would add e⁻³⁵ at 1.5 radians."""
_SMALLEST_ANGLE = 1e-4


def turned(
    rotation: Float[Tensor, "*batch 3 3"], rotation_vector: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3 3"]:
    """exp(ω) R, ω in radians."""
    turn: Tensor = roma.rotvec_to_rotmat(rotation_vector)
    return _product(turn, rotation)


def log_density(
    rotation: Float[Tensor, "*batch 3 3"],
    mean: Float[Tensor, "*batch 3 3"],
    log_sd: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch"]:
    """log q(R) of the wrapped Gaussian about `mean`, σ in radians, relative to the uniform distribution."""
    vector: Tensor = roma.rotmat_to_rotvec(_product(rotation, mean.mT))
    normalised = (vector * torch.exp(-log_sd)).square().sum(-1)
    return _of_one_turn(log_sd) - 0.5 * normalised + _log_wrapping(vector, normalised)


def relative_entropy(
    noise: Float[Tensor, "*batch 3"], log_sd: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """KL[q ‖ uniform] in nats, estimated without bias from one standard normal draw per Gaussian.

    The Gaussian's own entropy is not drawn, only the change of volume and the wrapping, which vanish with σ:
    this is then log 8π² − (3/2) log 2πe − Σ log σ.
    """
    normalised = noise.square().sum(-1)
    return _of_one_turn(log_sd) - 1.5 + _log_wrapping(noise * torch.exp(log_sd), normalised)


def _of_one_turn(log_sd: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    return LOG_VOLUME - 1.5 * math.log(2 * math.pi) - log_sd.sum(-1)


def _log_wrapping(
    vector: Float[Tensor, "*batch 3"], normalised: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """log Σ_k exp(−½ (|ω_k|² − |ω|²) / σ²) θ_k² / (2 − 2 cos θ); `normalised` is |ω|² / σ² at k = 0."""
    angle = vector.square().sum(-1).clamp(min=_SMALLEST_ANGLE**2).sqrt()
    stretch = torch.log(4 * torch.sin(angle / 2).square().clamp(min=_SMALLEST_ANGLE**2 / 4))
    terms = []
    for turns in TURNS:
        factor = (1 + 2 * math.pi * turns / angle).square()
        terms.append(0.5 * normalised * (1 - factor) + factor.clamp(min=1e-30).log())
    return torch.logsumexp(torch.stack(terms), dim=0) + 2 * angle.log() - stretch


def _product(a: Float[Tensor, "*batch 3 3"], b: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """a b, not as a matrix product: those lose all but 8 or 11 bits under autocast or in TF32."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)
