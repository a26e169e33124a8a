"""Rotational diffusion's transition density on SO(3), relative to the uniform distribution."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["log_heat_kernel"]

LONG = 1.0
"""From this Dt on the series converges within `TERMS`; before, that of the images does."""
TERMS = 8
IMAGES = 3
SMALLEST_ANGLE = 1e-4
LOWEST = -60.0


def log_heat_kernel(
    angle: Float[Tensor, "*any"], diffusion_time: Float[Tensor, "*any"]
) -> Float[Tensor, "*any"]:
    """log K of a turn by `angle` (radians, 0 … π) in the time Dt (rad²), not below −60; zero where Dt is ∞.

    K = Σ_l (2l + 1) exp(−l(l + 1) Dt) sin((l + ½) θ) / sin(θ / 2), in which a direction fixed in the molecule
    decays as exp(−2Dt); for short times its Poisson sum,
    √π (Dt)^(−3/2) exp(Dt / 4) / sin(θ / 2) · Σ_k (−1)^k (θ / 2 + πk) exp(−(θ / 2 + πk)² / Dt).
    """
    time = diffusion_time.double()
    half = angle.double().clamp(SMALLEST_ANGLE, math.pi) / 2
    long = time.clamp(min=LONG)
    order = torch.arange(TERMS).to(half)
    terms = (2 * order + 1) * torch.exp(-order * (order + 1) * long[..., None])
    # ∞ · 0 at l = 0.
    terms[..., 0] = 1.0
    series = (terms * torch.sin((2 * order + 1) * half[..., None])).sum(-1)
    short = time.clamp(max=LONG)
    image = torch.arange(-IMAGES, IMAGES + 1).to(half)
    place = half[..., None] + math.pi * image
    sign = 1 - 2 * (image.abs() % 2)
    # The nearest image's exponent is taken out, or the sum would underflow.
    images = (sign * place * torch.exp((half[..., None] ** 2 - place**2) / short[..., None])).sum(-1)
    log_images = images.clamp(min=1e-300).log() - half**2 / short
    log_short = 0.5 * math.log(math.pi) - 1.5 * short.log() + short / 4 + log_images
    log_long = series.clamp(min=1e-300).log()
    value = torch.where(time < LONG, log_short, log_long) - half.sin().log()
    return value.clamp(min=LOWEST).float()
