"""What is known of a molecule's motion before any image: it strains little, and it does not fold."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from temporem.model.deformable_generator import DeformableGenerator

__all__ = ["LEAST_VOLUME_CHANGE", "folding", "neighbours", "strain"]

LEAST_VOLUME_CHANGE = 0.3
"""Of a small volume that is carried along, relative to itself; at 0 the field folds."""
_REACH = 1.5
"""Of neighbours on a cubic lattice, in spacings: 18 of them."""
_PAIRS_AT_ONCE = 6000
_POINTS_AT_ONCE = 500


def neighbours(points: Float[Tensor, "points 3"], spacing: float) -> Int[Tensor, "pairs 2"]:
    """Pairs of lattice points that are each other's neighbours."""
    pairs = cKDTree(points.cpu().numpy()).query_pairs(_REACH * spacing, output_type="ndarray")
    return torch.from_numpy(pairs.astype(np.int64)).to(points.device)


def strain(
    generator: DeformableGenerator,
    z: Float[Tensor, "states latent"],
    pairs: Int[Tensor, "pairs 2"],
    random: torch.Generator,
) -> Float[Tensor, ""]:
    """Mean squared relative change of distance between neighbours, over random pairs."""
    chosen = torch.randint(len(pairs), (_PAIRS_AT_ONCE,), generator=random).to(z.device)
    first, second = pairs[chosen].unbind(-1)
    before = (generator.points[first] - generator.points[second]).norm(dim=-1)
    position = generator.positions(z)
    after = (position[:, first] - position[:, second]).norm(dim=-1)
    squared: Tensor = (after / before - 1).square().mean()
    return squared


def folding(
    generator: DeformableGenerator, z: Float[Tensor, "states latent"], random: torch.Generator
) -> Float[Tensor, ""]:
    """Mean squared shortfall of the volume change below `LEAST_VOLUME_CHANGE`, over random points."""
    chosen = torch.randint(len(generator.points), (_POINTS_AT_ONCE,), generator=random).to(z.device)
    change = generator.volume_changes(z, generator.points[chosen])
    return (LEAST_VOLUME_CHANGE - change).clamp(min=0).square().mean()
