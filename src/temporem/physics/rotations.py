"""Rotations of the molecule, in RELION's convention: a point p = (x, y, z) of the molecule lands at A p.

A = Rz(−psi) Ry(−tilt) Rz(−rot), Rz and Ry being the right-handed rotations about the axes: RELION's
`Euler_angles2matrix`. The beam runs along z, so the image shows the first two components of A p.
"""

import math

import roma
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "angular_distance",
    "matrix_from_relion_angles",
    "random_rotations",
    "relion_angles_from_matrix",
    "rotational_diffusion",
]

# A substep of variance s per axis errs by about s / 12 of itself in the decay of orientational correlation.
SUBSTEP_VARIANCE = 0.02
# Beyond this variance the orientation is uniform to e⁻²⁰: longer intervals need no more substeps.
LARGEST_VARIANCE = 20.0


def matrix_from_relion_angles(angles: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotations A from RELION's (rot, tilt, psi) in radians."""
    rot, tilt, psi = angles.unbind(-1)
    ca, cb, cg = rot.cos(), tilt.cos(), psi.cos()
    sa, sb, sg = rot.sin(), tilt.sin(), psi.sin()
    rows = (
        torch.stack((cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb), dim=-1),
        torch.stack((-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb), dim=-1),
        torch.stack((sb * ca, sb * sa, cb), dim=-1),
    )
    return torch.stack(rows, dim=-2)


def relion_angles_from_matrix(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """RELION's (rot, tilt, psi) in radians, tilt within 0 … π, of rotations A.

    Where the tilt is 0 or π only psi ± rot is determined; psi is then what goes with the rot taken, so that
    the angles always give back the matrix.
    """
    rot = torch.atan2(rotation[..., 2, 1], rotation[..., 2, 0])
    tilt = torch.atan2(rotation[..., 2, :2].norm(dim=-1), rotation[..., 2, 2])
    # Row i of A · (−sin rot, cos rot, 0): sin psi and cos psi whatever the tilt.
    line = torch.stack((-rot.sin(), rot.cos()), dim=-1)
    sine, cosine = (rotation[..., :2, :2] @ line[..., None]).squeeze(-1).unbind(-1)
    return torch.stack((rot, tilt, torch.atan2(sine, cosine)), dim=-1)


def random_rotations(count: int, generator: torch.Generator) -> Float[Tensor, "count 3 3"]:
    """Rotations drawn uniformly over SO(3), float32: normalised Gaussian quaternions."""
    quaternion = torch.randn(count, 4, generator=generator, dtype=torch.float64, device=generator.device)
    rotation: Tensor = roma.unitquat_to_rotmat(quaternion / quaternion.norm(dim=-1, keepdim=True))
    return rotation.float()


def rotational_diffusion(
    start: Float[Tensor, "*batch 3 3"],
    coefficient_in_radians_squared_per_time: float,
    intervals: Float[Tensor, "*#batch steps"],
    generator: torch.Generator,
) -> Float[Tensor, "*batch steps+1 3 3"]:
    """Free isotropic tumbling from the orientations `start`, seen after each of the intervals.

    A direction u fixed in the molecule forgets where it pointed as E[u(0)·u(t)] = e^{−2Dt} (Debye), D being
    the coefficient; intervals are in its unit of time, and (steps,) of them serve the whole batch. Long ones
    are walked in substeps small enough for this to hold within 0.2 % of the rate.

    Raises ValueError for a negative coefficient or interval.
    """
    if coefficient_in_radians_squared_per_time < 0 or bool((intervals < 0).any()):
        raise ValueError("the diffusion coefficient and the intervals must not be negative")
    intervals = intervals.double().expand(*start.shape[:-2], intervals.shape[-1])
    variance = (2 * coefficient_in_radians_squared_per_time * intervals).clamp(max=LARGEST_VARIANCE)
    substeps = max(1, math.ceil(float(variance.max()) / SUBSTEP_VARIANCE)) if variance.numel() else 1
    sigma = (variance / substeps).sqrt()[..., None]
    turn = torch.eye(3, dtype=torch.float64, device=start.device).expand(*variance.shape, 3, 3)
    for _ in range(substeps):
        shape = (*variance.shape, 3)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
        turn = roma.rotvec_to_rotmat(sigma * noise.to(start.device)) @ turn
    rotations = [start.double()]
    for step in turn.unbind(-3):
        rotations.append(step @ rotations[-1])
    return torch.stack(rotations, dim=-3).to(start.dtype)


def angular_distance(
    a: Float[Tensor, "*batch 3 3"], b: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch"]:
    """Angle in radians, 0 … π, of the rotation that takes a to b."""
    distance: Tensor = roma.rotmat_geodesic_distance(a, b)
    return distance
