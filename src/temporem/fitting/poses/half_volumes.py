"""Volumes of the two halves of the movies at given poses: each half's frames are led by the other's volume.

A volume made with a frame holds the frame's own noise at the frame's own pose, and would keep it there.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.found import Poses
from temporem.reconstruction.backprojection import Accumulator, accumulate, signal_power, wiener

__all__ = ["HalfVolumes", "half_volumes", "sum_frames"]

FRAMES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class HalfVolumes:
    """Volumes in a box that holds no more than the frequencies asked for."""

    first: Float[Tensor, "n n n"]
    second: Float[Tensor, "n n n"]
    whole: Float[Tensor, "n n n"]
    signal_power: Float[Tensor, " shells"]

    def leading(self, half: int) -> Float[Tensor, "n n n"]:
        """The volume that knows nothing of this half's frames."""
        return self.first if half == 1 else self.second


def half_volumes(
    store: FrameStore, poses: Poses, box: int, mask: Float[Tensor, "n n n"] | None = None
) -> HalfVolumes:
    """Back-project each half, and both, as if the images were Fourier-cropped to `box`.

    `mask` has that box; without one the solvent is left in.

    Raises UserError where the halves have nothing in common.
    """
    turn = store.halves()
    first, second = (sum_frames(store, poses, (turn == half).nonzero().squeeze(-1), box) for half in (0, 1))
    power = signal_power([(first, second)], box // 2 + 1)
    return HalfVolumes(
        wiener(first, power, mask), wiener(second, power, mask), wiener(first + second, power, mask), power
    )


def sum_frames(store: FrameStore, poses: Poses, rows: Int[Tensor, " rows"], box: int) -> Accumulator:
    """Sums over these frames at their poses."""
    lattice = store.lattice.cropped(box)
    unit = torch.ones(lattice.radius + 1, device=store.device)
    total: Accumulator | None = None
    for some in torch.split(rows, FRAMES_AT_ONCE):
        frames, rotation = store.frames(some, len(lattice)), poses.rotation[some]
        # The cropped lattice has pixels of its own.
        shift = poses.translation_in_pixels[some] * (box / store.lattice.box_size)
        sums = accumulate(frames.coefficients, frames.transfer, rotation, shift, unit, lattice)
        total = sums if total is None else total + sums
    if total is None:
        raise ValueError("a tensor splits into one part at least")
    return total
