"""Small molecules, turns that carry grid points to grid points, and parts to build methods from."""

from itertools import permutations, product

import torch

from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig
from temporem.model.subspace import LinearSubspace

BOX, LATENT = 12, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed))


def turns() -> torch.Tensor:
    """The 24 rotations of the cube, the identity first; (24, 3, 3)."""
    found = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        turn = torch.diag(torch.tensor(signs))[list(order)]
        if torch.linalg.det(turn) > 0:
            found.append(turn)
    return torch.stack(found)


def turned(volume: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """V(Qᵀ r) of a periodic volume (n, n, n) [z, y, x] for a rotation Q of the cube."""
    n = volume.shape[-1]
    axis = torch.arange(n) - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    position = torch.stack((x, y, z), dim=-1) @ turn.long()
    x, y, z = ((position + n // 2) % n).unbind(-1)
    return volume[z, y, x]


def transform(volumes: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """V̂(k) = (1/n) Σ_r V(r) exp(−2πi k·r / n), r from voxel n // 2, term by term; (volumes, points)."""
    n = volumes.shape[-1]
    axis = torch.arange(n, dtype=torch.float64) - n // 2
    x, y, z = torch.exp(-2j * torch.pi / n * k.double().mT[..., None] * axis)
    return torch.einsum("vzyx,kz,ky,kx->vk", volumes.double() + 0j, z, y, x) / n


def fourier_generator(
    encoding: str = "gaussian", base: AnchorGenerator | None = None, seed: int = 0
) -> FourierGenerator:
    torch.manual_seed(seed)
    config = FourierGeneratorConfig(BOX, LATENT, width=16, layers=2, encoding=encoding)
    return FourierGenerator(config, seeded(seed), base)


def anchor_generator(seed: int = 0, count: int = 3) -> AnchorGenerator:
    generator = AnchorGenerator(BOX, LATENT, count)
    volumes = normal(count, BOX, BOX, BOX, seed=seed)
    generator.place(
        normal(count, LATENT, seed=seed + 1), volumes, torch.tensor([[2.0, 0.5], [0.5, 1.0]]), 0.8
    )
    return generator


def subspace(box: int = BOX, latent: int = LATENT, radius: int = 5, strength: float = 0.05) -> LinearSubspace:
    linear = LinearSubspace(box, latent, radius).requires_grad_(False)
    linear.parts.copy_(strength * normal(*linear.parts.shape, seed=9))
    return linear


def ragged(lengths: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Irregular intervals, infinite at first frames, and the mask of movies of these lengths."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    interval = 0.2 + 3 * torch.rand(mask.shape, generator=seeded(seed))
    interval[:, 0] = torch.inf
    return interval, mask
