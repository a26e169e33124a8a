"""The particle's circle: the soft window that keeps it and the corners that hold only noise."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["circular_window", "outside_circle"]


def _distance(box_size: int) -> Float[Tensor, "n n"]:
    axis = torch.arange(box_size, dtype=torch.float32) - box_size // 2
    return torch.hypot(axis[:, None], axis[None, :])


def circular_window(box_size: int, radius: float, edge: float) -> Float[Tensor, "n n"]:
    """Window (n, n): 1 within `radius` pixels of the centre, then a cosine down to 0 over `edge` pixels."""
    outside = ((_distance(box_size) - radius) / edge).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(math.pi * outside)


def outside_circle(box_size: int, radius: float) -> Bool[Tensor, "n n"]:
    """Pixels (n, n) further than `radius` pixels from the centre."""
    return _distance(box_size) > radius
