"""Two sets of poses of the same frames, brought together by one rotation, shift and hand.

Projections alone fix a molecule neither in place nor in orientation nor in hand: the mirrored volume
V(Z p), Z = diag(1, 1, −1), gives the same images with the rotations Z A Z.
"""

import math
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.physics.rotations import angular_distance

__all__ = ["Alignment", "align_poses"]

SEEDS = 256
"""Frames whose own relative rotation is tried for that of all."""
KERNELS_IN_DEGREES = (20.0, 10.0, 5.0)
"""Widths of the Gaussian weights, one after another, that leave out frames whose pose is wrong."""
ROUNDS = 5
SHIFT_ROUNDS = 8
_TINY = 1e-3


@dataclass(frozen=True, eq=False)
class Alignment:
    """p ↦ Rᵀ M p + c, M = Z where mirrored: from the molecule of the first poses to that of the second."""

    rotation: Float[Tensor, "3 3"]
    """R."""
    mirrored: bool
    offset: Float[Tensor, "3"]
    """c, in the unit of the translations."""

    def points(self, position: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Where points p of the first molecule lie in the second."""
        rotation, offset = self.rotation.to(position), self.offset.to(position)
        return (position * _mirror(self.mirrored).to(position)) @ rotation + offset

    def poses(
        self, rotation: Float[Tensor, "frames 3 3"], translation: Float[Tensor, "frames 2"]
    ) -> tuple[Float[Tensor, "frames 3 3"], Float[Tensor, "frames 2"]]:
        """Poses that give the second molecule the images which these give the first."""
        turned = mirror_rotations(rotation, self.mirrored) @ self.rotation.to(rotation)
        return turned, translation - (turned @ self.offset.to(rotation))[:, :2]


def mirror_rotations(
    rotation: Float[Tensor, "*batch 3 3"], mirrored: bool = True
) -> Float[Tensor, "*batch 3 3"]:
    """Z A Z, or A."""
    sign = _mirror(mirrored).to(rotation)
    return sign[:, None] * rotation * sign


def align_poses(
    first: tuple[Float[Tensor, "frames 3 3"], Float[Tensor, "frames 2"]],
    second: tuple[Float[Tensor, "frames 3 3"], Float[Tensor, "frames 2"]],
    either_hand: bool = True,
) -> Alignment:
    """The alignment under which most frames' poses of the `first` set meet those of the `second`.

    Robust: the rotation is the mode of the frames' relative rotations, by weighted means under narrowing
    Gaussian kernels from the best of `SEEDS` frames' own; the offset is a least-absolute-deviations fit of
    the translations. The hand is that which brings more frames together.
    """
    rotation, goal = first[0].double(), second[0].double()
    hands = (False, True) if either_hand else (False,)
    found = [(_mode(mirror_rotations(rotation, hand).mT @ goal), hand) for hand in hands]
    (relative, _), mirrored = max(found, key=lambda x: x[0][1])
    alignment = Alignment(relative, mirrored, relative.new_zeros(3))
    turned, translation = alignment.poses(rotation, first[1].double())
    return Alignment(relative, mirrored, _offset(turned, translation - second[1].double()))


def _mode(relative: Float[Tensor, "frames 3 3"]) -> tuple[Float[Tensor, "3 3"], float]:
    """Mode of rotations, and the mean of its last kernel's weights."""
    step = max(1, len(relative) // SEEDS)
    seeds = relative[::step]
    width = math.radians(KERNELS_IN_DEGREES[0])
    scores = torch.stack([_weights(relative, seed, width).mean() for seed in seeds])
    mode = seeds[int(scores.argmax())]
    for degrees in KERNELS_IN_DEGREES:
        for _ in range(ROUNDS):
            weight = _weights(relative, mode, math.radians(degrees))
            mode = roma.special_procrustes((weight[:, None, None] * relative).sum(0))
    return mode, float(_weights(relative, mode, width).mean())


def _weights(
    relative: Float[Tensor, "frames 3 3"], centre: Float[Tensor, "3 3"], width: float
) -> Float[Tensor, " frames"]:
    return torch.exp(-0.5 * (angular_distance(relative, centre.expand_as(relative)) / width) ** 2)


def _offset(rotation: Float[Tensor, "frames 3 3"], excess: Float[Tensor, "frames 2"]) -> Float[Tensor, "3"]:
    """c of excess = (A c)_xy, by reweighted least squares."""
    design = rotation[:, :2]
    weight = excess.new_ones(len(excess))
    offset = excess.new_zeros(3)
    for _ in range(SHIFT_ROUNDS):
        weighted = design * weight[:, None, None]
        matrix = (weighted.mT @ design).sum(0) + _TINY * torch.eye(3).to(design)
        vector = (weighted.mT @ excess[..., None]).sum(0)[:, 0]
        offset = torch.cholesky_solve(vector[:, None], torch.linalg.cholesky(matrix))[:, 0]
        weight = 1 / (excess - design @ offset).norm(dim=-1).clamp(min=_TINY)
    return offset


def _mirror(mirrored: bool) -> Float[Tensor, "3"]:
    return torch.tensor([1.0, 1.0, -1.0 if mirrored else 1.0])
