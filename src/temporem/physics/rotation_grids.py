"""Quasi-uniform grids on SO(3), for exhaustive searches over orientations."""

import math

import roma
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["angular_spacing", "rotation_grid"]

_PHI = math.sqrt(2.0)
_PSI = 1.533751168755204288118041
"""The positive root of ψ⁴ = ψ + 4."""


def rotation_grid(count: int) -> Float[Tensor, "count 3 3"]:
    """`count` rotations spread evenly over SO(3), float32: super-Fibonacci spirals (Alexa 2022, CVPR).

    Raises ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError("a grid has at least one rotation")
    s = torch.arange(count, dtype=torch.float64) + 0.5
    inner, outer = (s / count).sqrt(), (1 - s / count).sqrt()
    alpha, beta = 2 * math.pi * s / _PHI, 2 * math.pi * s / _PSI
    parts = (inner * alpha.sin(), inner * alpha.cos(), outer * beta.sin(), outer * beta.cos())
    rotation: Tensor = roma.unitquat_to_rotmat(torch.stack(parts, dim=-1))
    return rotation.float()


def angular_spacing(count: int) -> float:
    """Edge in radians of the cube that each of `count` rotations has to itself: SO(3) has volume 8π²."""
    return float((8 * math.pi**2 / count) ** (1 / 3))
