"""Bodies that move as one: points divided so that each part's motion is a turn and a shift.

As in searches for dynamic domains (Hayward & Berendsen 1998, Proteins 30, 144), here by turns: superpose each
part on itself in every state, then give every point to the part that foretells it best.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans
from torch import Tensor, nn

__all__ = ["Segments", "rigid_segments"]

MOST_SEGMENTS = 6
UNEXPLAINED_IN_ANGSTROMS = 0.5
UNEXPLAINED_SHARE = 0.2
"""Of the rms displacement. What rigid parts leave unexplained may be that much."""
_ROUNDS = 30
_NEIGHBOURS = 19
"""Points that a point's part is judged by, itself among them: parts stay in one piece."""


@dataclass(frozen=True, eq=False)
class Segments:
    """Parts, the heaviest first, each turning and shifting as a whole: x in the reference → R x + t."""

    label: Int[Tensor, " points"]
    rotation: Float[Tensor, "states segments 3 3"]
    translation: Float[Tensor, "states segments 3"]
    unexplained: Float[Tensor, "states segments"]
    """Rms distance (Å) between where points are and where their part's turn and shift would have them."""

    @property
    def count(self) -> int:
        """Of parts."""
        return self.rotation.shape[1]

    def followed(
        self,
        reference: Float[Tensor, "points 3"],
        position: Float[Tensor, "states points 3"],
        weight: Float[Tensor, " points"],
    ) -> "Segments":
        """The same parts in other states."""
        return _follow(reference, position, weight, self.label, self.count)

    @property
    def angle_in_degrees(self) -> Float[Tensor, "states segments"]:
        """Of each part's turn, as seen from the first part."""
        turn = self.rotation[:, :1].mT @ self.rotation
        skew = turn - turn.mT
        sine = torch.stack((skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]), dim=-1).norm(dim=-1) / 2
        cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
        return torch.rad2deg(torch.atan2(sine, cosine))


def rigid_segments(
    reference: Float[Tensor, "points 3"],
    position: Float[Tensor, "states points 3"],
    weight: Float[Tensor, " points"],
    count: int | None,
    seed: int,
) -> Segments:
    """Divide points into `count` bodies; where None, into the fewest that leave little unexplained.

    Positions in Å, weights positive; the same points in all states. Little is `UNEXPLAINED_IN_ANGSTROMS` or
    `UNEXPLAINED_SHARE` of the rms displacement, whichever is more; more than `MOST_SEGMENTS` are not tried.
    """
    moved = (position - reference).square().sum(-1).mean(0)
    displacement = float(((moved * weight).sum() / weight.sum()).sqrt())
    enough = max(UNEXPLAINED_IN_ANGSTROMS, UNEXPLAINED_SHARE * displacement)
    tree = cKDTree(reference.numpy())
    near = torch.from_numpy(tree.query(reference.numpy(), min(_NEIGHBOURS, len(reference)))[1])
    found = None
    for tried in [count] if count is not None else range(1, MOST_SEGMENTS + 1):
        found = _divide(reference, position, weight, near, tried, seed)
        share = torch.zeros(found.unexplained.shape[1]).index_add(0, found.label, weight) / weight.sum()
        if float((found.unexplained.square() * share).sum(-1).mean().sqrt()) <= enough:
            break
    assert found is not None
    return found


def _divide(
    reference: Float[Tensor, "points 3"],
    position: Float[Tensor, "states points 3"],
    weight: Float[Tensor, " points"],
    near: Int[Tensor, "points near"],
    count: int,
    seed: int,
) -> Segments:
    # Neighbours move alike: place tells apart what displacements leave equal.
    displacement = (position - reference).permute(1, 0, 2).flatten(1) / len(position) ** 0.5
    spread = displacement.std(0).square().sum().sqrt().clamp(min=1e-6)
    place = (reference - reference.mean(0)) / reference.std(0).square().sum().sqrt()
    features = torch.cat((displacement / spread, 0.5 * place), dim=1).numpy()
    start = KMeans(count, n_init=4, random_state=seed).fit(features, sample_weight=weight.numpy())
    label = torch.from_numpy(start.labels_.astype(np.int64))
    for _ in range(_ROUNDS):
        missed = _missed(reference, position, *_superpose(reference, position, weight, label, count))
        chosen = missed.mean(0)[near].mean(1).argmin(-1)
        if torch.equal(chosen, label):
            break
        label = chosen
    mass = torch.zeros(count).index_add(0, label, weight)
    order = mass.argsort(descending=True)
    order = order[mass[order] > 0]
    renamed = torch.zeros(count, dtype=torch.long)
    renamed[order] = torch.arange(len(order))
    return _follow(reference, position, weight, renamed[label], len(order))


def _follow(
    reference: Float[Tensor, "points 3"],
    position: Float[Tensor, "states points 3"],
    weight: Float[Tensor, " points"],
    label: Int[Tensor, " points"],
    count: int,
) -> Segments:
    rotation, translation = _superpose(reference, position, weight, label, count)
    missed = _missed(reference, position, rotation, translation)
    own = nn.functional.one_hot(label, count) * weight[:, None]
    unexplained = (torch.einsum("spk,pk->sk", missed, own) / own.sum(0)).sqrt()
    return Segments(label, rotation, translation, unexplained)


def _superpose(
    reference: Float[Tensor, "points 3"],
    position: Float[Tensor, "states points 3"],
    weight: Float[Tensor, " points"],
    label: Int[Tensor, " points"],
    count: int,
) -> tuple[Float[Tensor, "states segments 3 3"], Float[Tensor, "states segments 3"]]:
    """The turn and shift of each part in each state (Kabsch 1976, Acta Cryst. A 32, 922)."""
    share = nn.functional.one_hot(label, count) * weight[:, None]
    share = share / share.sum(0).clamp(min=1e-12)
    centre, moved = share.mT @ reference, torch.einsum("pk,spi->ski", share, position)
    products = torch.einsum("pk,spi,pj->skij", share, position, reference)
    products = products - torch.einsum("ski,kj->skij", moved, centre)
    u, _, v = torch.linalg.svd(products.double())
    flip = torch.ones(3).repeat(*products.shape[:2], 1).double()
    flip[..., 2] = torch.linalg.det(u @ v)
    rotation = ((u * flip[..., None, :]) @ v).float()
    return rotation, moved - torch.einsum("skij,kj->ski", rotation, centre)


def _missed(
    reference: Float[Tensor, "points 3"],
    position: Float[Tensor, "states points 3"],
    rotation: Float[Tensor, "states segments 3 3"],
    translation: Float[Tensor, "states segments 3"],
) -> Float[Tensor, "states points segments"]:
    """Squared distance of each point from where each part's motion would have it."""
    parts = []
    for turn, shift in zip(rotation.unbind(1), translation.unbind(1), strict=True):
        parts.append((position - reference @ turn.mT - shift[:, None]).square().sum(-1))
    return torch.stack(parts, dim=-1)
