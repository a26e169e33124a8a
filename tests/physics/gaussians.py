"""Volumes and projections known analytically: sums of isotropic Gaussians."""

import torch


def volume_of(positions: torch.Tensor, sigma: float, box: int) -> torch.Tensor:
    """Σ_j exp(−|r − p_j|² / 2σ²), (n, n, n) [z, y, x]; positions (atoms, 3) from the origin, in pixels."""
    x, y, z = profiles(positions, sigma, box).unbind(dim=1)
    return torch.einsum("az,ay,ax->zyx", z, y, x)


def projections_of(
    positions: torch.Tensor, sigma: float, box: int, rotation: torch.Tensor, translation: torch.Tensor
) -> torch.Tensor:
    """What `volume_of` projects to: Gaussians at A p + t, integrated along z; (rotations, n, n) [y, x]."""
    images = []
    for turn, shift in zip(rotation, translation, strict=True):
        landed = positions @ turn.T + torch.nn.functional.pad(shift, (0, 1))
        x, y, _ = profiles(landed, sigma, box).unbind(dim=1)
        images.append((2 * torch.pi) ** 0.5 * sigma * y.T @ x)
    return torch.stack(images)


def profiles(positions: torch.Tensor, sigma: float, box: int) -> torch.Tensor:
    """(atoms, 3, n): the Gaussian of each atom along x, y and z."""
    axis = torch.arange(box, dtype=positions.dtype) - box // 2
    return torch.exp(-((axis - positions[..., None]) ** 2) / (2 * sigma**2))


def correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Pearson correlation of each pair of images."""
    a, b = (x.flatten(-2) - x.mean(dim=(-2, -1))[..., None] for x in (a, b))
    return (a * b).sum(dim=-1) / (a.norm(dim=-1) * b.norm(dim=-1))
