"""Sums of frames in cells, kept for any number of weighted combinations.

A volume along a path is a weighted sum over cells of frames. The cells' sums are kept once, and only where
a volume has coefficients, within the ball |k| ≤ n / 2: half of the padded grid. What memory cannot hold
lies in a temporary file and is read through from end to end.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.files import room_for
from temporem.physics.volumes import PADDING
from temporem.reconstruction.backprojection import Accumulator, grid_shells

__all__ = ["CellSums"]

BYTES_AT_ONCE = 2**28
"""Of combinations made in one pass through the sums."""


class CellSums:
    """An `Accumulator` for each of some cells of frames."""

    def __init__(self, cells: int, box_size: int, padding: int = PADDING) -> None:
        self.box_size, self.padding = box_size, padding
        self._point, self._shell = _ball(box_size, padding)
        # Real part, imaginary part, denominator.
        self._sums = torch.from_numpy(room_for((3, cells, len(self._point)), np.float32))

    def __len__(self) -> int:
        return self._sums.shape[1]

    def put(self, cell: int, sums: Accumulator) -> None:
        """Set a cell's sums."""
        numerator, denominator = (x.flatten().cpu()[self._point] for x in (sums.numerator, sums.denominator))
        self._sums[0, cell], self._sums[1, cell] = numerator.real, numerator.imag
        self._sums[2, cell] = denominator

    def combined(
        self, weight: Float[Tensor, "volumes cells"] | Float[Tensor, "volumes cells shells"]
    ) -> Iterator[Accumulator]:
        """The cells' sums added with each row of weights, which may differ between shells 0 … n / 2."""
        weight = weight.detach().cpu().float()
        at_once = max(1, BYTES_AT_ONCE // (12 * len(self._point)))
        for rows in torch.split(weight, at_once):
            mixed = (self._mixed(rows, kind) for kind in self._sums)
            for real, imaginary, denominator in zip(*mixed, strict=True):
                yield self._on_the_grid(real, imaginary, denominator)

    def _mixed(self, weight: Tensor, kind: Float[Tensor, "cells points"]) -> Float[Tensor, "volumes points"]:
        if weight.ndim == 2:
            return weight @ kind
        # Few shells differ from all others.
        distinct, which = torch.unique(weight, dim=-1, return_inverse=True)
        mixed: Tensor = distinct[..., 0] @ kind
        for index in range(1, distinct.shape[-1]):
            # Of all points: those of these shells alone would be a copy of what the cells hold there.
            mixed = torch.where((which == index)[self._shell], distinct[..., index] @ kind, mixed)
        return mixed

    def _on_the_grid(self, real: Tensor, imaginary: Tensor, denominator: Tensor) -> Accumulator:
        size = self.padding * self.box_size
        shape = (size, size, size // 2 + 1)
        grids = torch.zeros(shape, dtype=torch.complex64), torch.zeros(shape)
        for grid, values in zip(grids, (torch.complex(real, imaginary), denominator), strict=True):
            grid.view(-1)[self._point] = values
        return Accumulator(*grids, self.box_size, self.padding)


@lru_cache(maxsize=4)
def _ball(box_size: int, padding: int) -> tuple[Int[Tensor, " points"], Int[Tensor, " points"]]:
    """Flat indices of the half grid's points in shells 0 … n / 2, and their shells."""
    shell = grid_shells(box_size, padding).flatten()
    point = (shell <= box_size // 2).nonzero().squeeze(-1)
    return point, shell[point]
