"""Poses that are nearly right, made better: by the volume of all frames first, then by that of each state.

What the frames alone cannot tell is kept from the poses given: a rotation and a shift that vary with the
state turn the molecule of each state without changing any image, so the mean change of the poses along the
states is taken out again.
"""

import math
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.consensus import find_consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.linear import find_states, find_volumes
from temporem.fitting.poses.climbing import Climbed, SlopedVolume, climb
from temporem.fitting.poses.found import PosePrior, Poses
from temporem.fitting.poses.half_volumes import half_volumes
from temporem.model.anchor_generator import AnchorGenerator
from temporem.physics.volumes import fourier_resize
from temporem.progress import progress

__all__ = ["along_states", "change", "climb_along", "refine_poses"]

FIRST_SPREAD_IN_DEGREES, FIRST_SPREAD_IN_PIXELS = 5.0, 2.5
"""Standard deviation along each axis of the errors of the poses given, before it is learned."""
CONSENSUS_RESOLUTIONS = (20.0, 15.0)
STATE_RESOLUTIONS = (10.0, 7.0, 7.0)
"""In Å, of the frequencies that each round looks at."""
STEPS = 3
STATE_DIMENSIONS = 3
"""Of the linear states that volumes are made along."""
GAUGE_ROUNDS = 5
RIDGE = 1e-4
"""Of the fit of the mean change, relative to the diagonal."""
MEDIAN_OF_SQUARE = 0.455
"""Median of the square of a standard normal."""
NARROWEST = 1e-4
"""Variance, radians² and pixels², that a learned spread does not fall below."""
SMALLEST_BOX = 12


def box_of(store: FrameStore, resolution_in_angstroms: float) -> int:
    """The even box that holds the frequencies up to this resolution, and no more."""
    edge = store.lattice.box_size * store.pixel_size_in_angstroms
    box = 2 * round(edge / resolution_in_angstroms)
    return min(store.lattice.box_size, max(SMALLEST_BOX, box))


@dataclass(frozen=True)
class _Spread:
    """Variance along each axis of how far the poses given are off."""

    turn: float
    """Radians²."""
    shift: float
    """Pixels²."""

    @classmethod
    def of(cls, climbed: Climbed, given: Poses) -> "_Spread":
        """Learned: the mean square of the changes, and of what is left uncertain after them."""
        off = torch.cat(change(given, climbed.poses), dim=-1)
        left = torch.cholesky_inverse(torch.linalg.cholesky(climbed.precision)).diagonal(dim1=-2, dim2=-1)
        # A few frames whose pose was lost would widen it for all.
        typical = (off**2 + left).median(0).values / MEDIAN_OF_SQUARE
        return cls(max(NARROWEST, float(typical[:3].mean())), max(NARROWEST, float(typical[3:].mean())))

    def around(self, given: Poses) -> PosePrior:
        ones = given.rotation.new_ones(len(given))
        return PosePrior(given, ones / self.turn, ones / self.shift)


def refine_poses(store: FrameStore, given: Poses, generator: torch.Generator) -> Poses:
    """Better poses than `given`, of the frames of a `store` whose own poses are left aside.

    Raises UserError where at the poses given halves of the frames have nothing in common.
    """
    poses, spread = given, _Spread(math.radians(FIRST_SPREAD_IN_DEGREES) ** 2, FIRST_SPREAD_IN_PIXELS**2)
    turn = store.halves()
    for resolution in CONSENSUS_RESOLUTIONS:
        box = box_of(store, resolution)
        volumes = half_volumes(store, poses, box)
        count = store.lattice.count_within(box // 2 - 1)
        with progress(f"Poses at {resolution:g} Å", len(store)) as advance:
            for half in (0, 1):
                rows = (turn == half).nonzero().squeeze(-1)
                prior = spread.around(given[rows])
                leading = SlopedVolume(volumes.leading(half))
                climbed = climb(leading, store, rows, poses[rows], count, STEPS, prior)
                poses = poses.with_rows(rows, climbed.poses)
                advance(len(rows), "")
    for resolution in STATE_RESOLUTIONS:
        posed = store.posed(poses)
        volumes_at, mask, z = along_states(posed, generator)
        climbed = climb_along(volumes_at, mask, z, store, poses, resolution, spread.around(given))
        spread = _Spread.of(climbed, given)
        poses = with_mean_of(climbed.poses, given, z)
    return poses


def along_states(
    store: FrameStore, generator: torch.Generator
) -> tuple[AnchorGenerator, Float[Tensor, "n n n"], Float[Tensor, "frames latent"]]:
    """Volumes along the linear method's states, the solvent's mask, and every frame's state."""
    consensus = find_consensus(store)
    states = find_states(store, consensus, STATE_DIMENSIONS, True, None, False, generator)
    anchored = find_volumes(store, states, consensus, int(torch.randint(2**31, (), generator=generator)))
    return anchored.generator, consensus.mask, states.posterior.mean


def climb_along(
    volumes: AnchorGenerator,
    mask: Float[Tensor, "n n n"],
    z: Float[Tensor, "frames latent"],
    store: FrameStore,
    poses: Poses,
    resolution_in_angstroms: float,
    prior: PosePrior | None = None,
) -> Climbed:
    """Climb from every frame's pose on the volume at the anchor nearest to its state."""
    box = box_of(store, resolution_in_angstroms)
    count = store.lattice.count_within(box // 2 - 1)
    nearest = volumes.weights(z.to(store.device)).argmax(-1).cpu()
    groups = [(nearest == anchor).nonzero().squeeze(-1) for anchor in range(len(volumes.anchors))]
    parts = []
    with progress(f"Poses at {resolution_in_angstroms:g} Å, by state", len(store)) as advance:
        for anchor, rows in zip(volumes.anchors, groups, strict=True):
            if len(rows):
                whole = volumes.volumes(anchor[None])[0] * mask
                sloped = SlopedVolume(fourier_resize(whole, box))
                of_rows = None if prior is None else prior[rows]
                parts.append(climb(sloped, store, rows, poses[rows], count, STEPS, of_rows))
            advance(len(rows), "")
    order = torch.cat(groups).argsort()
    return Climbed(
        Poses.cat([part.poses for part in parts])[order],
        torch.cat([part.log_density for part in parts])[order],
        torch.cat([part.precision for part in parts])[order],
    )


def change(before: Poses, after: Poses) -> tuple[Float[Tensor, "frames 3"], Float[Tensor, "frames 2"]]:
    """ω and shift of A ↦ exp([ω]ₓ) A, t ↦ t + shift."""
    turn = roma.rotmat_to_rotvec(after.rotation @ before.rotation.mT)
    return turn, after.translation_in_pixels - before.translation_in_pixels


def with_mean_of(poses: Poses, given: Poses, z: Float[Tensor, "frames latent"]) -> Poses:
    """`poses`, less what they differ from `given` by on average at each state.

    The difference, as a rotation vector and an offset in the molecule, is fitted by a function of the state,
    quadratic and linear, robustly, and taken out: A ↦ A exp(−[ω(z)]ₓ), t ↦ t − (A c(z))_xy.
    """
    design = _quadratic(z.to(poses.rotation))
    turn = roma.rotmat_to_rotvec(given.rotation.mT @ poses.rotation)
    mean_turn = design @ _robust_fit(design, turn)
    turned = poses.rotation @ roma.rotvec_to_rotmat(-mean_turn)
    linear = design[:, : 1 + z.shape[-1]]
    # An offset c(z) of the molecule moves frame i by the first two rows of A_i c(z).
    seen = torch.einsum("fij,fp->fipj", turned[:, :2], linear).flatten(2)
    excess = poses.translation_in_pixels - given.translation_in_pixels
    offset = _robust_fit(seen.flatten(0, 1), excess.flatten()[:, None])
    return Poses(turned, poses.translation_in_pixels - (seen @ offset)[..., 0])


def _quadratic(z: Float[Tensor, "frames latent"]) -> Float[Tensor, "frames terms"]:
    """1, z_i and z_i z_j of standardised states."""
    z = (z - z.mean(0)) / z.std(0).clamp(min=1e-6)
    row, column = torch.triu_indices(z.shape[-1], z.shape[-1])
    return torch.cat((torch.ones_like(z[:, :1]), z, z[:, row] * z[:, column]), dim=-1)


def _robust_fit(
    design: Float[Tensor, "rows terms"], values: Float[Tensor, "rows columns"]
) -> Float[Tensor, "terms columns"]:
    """Least absolute deviations, by reweighted least squares with a small ridge."""
    weight = values.new_ones(len(values))
    fit = values.new_zeros(design.shape[-1], values.shape[-1])
    for _ in range(GAUGE_ROUNDS):
        weighted = design * weight[:, None]
        matrix = weighted.mT @ design
        matrix = matrix + RIDGE * matrix.diagonal().mean() * torch.eye(len(matrix)).to(matrix)
        fit = torch.cholesky_solve(weighted.mT @ values, torch.linalg.cholesky(matrix))
        off = (values - design @ fit).norm(dim=-1)
        weight = 1 / off.clamp(min=0.1 * float(off.median()) + 1e-9)
    return fit
