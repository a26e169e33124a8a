"""Encodings of Fourier coordinates that let a small MLP express fine detail."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["CoordinateEncoding", "EncodingKind"]

EncodingKind = Literal["positional", "gaussian"]


class CoordinateEncoding(nn.Module):
    """γ(k) = [sin(2π k·r_i / n), cos(2π k·r_i / n)]: plane waves of points r_i in the box, in pixels.

    `positional` (paper, Eq. 12) takes n / 2 points along each axis, at geometrically spaced 1 … n / 2 px.
    `gaussian` (random Fourier features as in cryoDRGN 1.0) takes as many points, 3 n / 2, from a Gaussian
    whose standard deviation is a quarter of the box, so that they cover the molecule in every direction.
    """

    points: Tensor

    def __init__(self, box_size: int, kind: EncodingKind, generator: torch.Generator) -> None:
        super().__init__()
        self.box_size = box_size
        count = box_size // 2
        if kind == "positional":
            radii = torch.logspace(0, math.log10(box_size / 2), count)
            points = (radii[:, None, None] * torch.eye(3)).reshape(-1, 3)
        else:
            points = torch.randn(3 * count, 3, generator=generator) * box_size / 4
        self.register_buffer("points", points)

    @property
    def width(self) -> int:
        """Length of γ(k)."""
        return 2 * len(self.points)

    def forward(self, k: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch width"]:
        """γ at coordinates k, in cycles per box: the sines of all points, then the cosines."""
        phase = k @ (self.points.T * (2 * math.pi / self.box_size))
        return torch.cat((phase.sin(), phase.cos()), dim=-1)
