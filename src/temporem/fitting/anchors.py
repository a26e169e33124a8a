"""Explicit volumes along the latent path, from back-projection with weights in latent space."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting.frames import FrameStore
from temporem.model.anchor_generator import AnchorGenerator
from temporem.reconstruction.backprojection import Accumulator, accumulate, signal_power, wiener

__all__ = ["Anchored", "anchor_count", "fit_anchors"]

MOST_ANCHORS = 32
BYTES = 3 * 2**30
"""For all sums and grids together; fewer anchors in larger boxes."""
BANDWIDTHS = (0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 1.0, 2.0)
"""Tried, relative to the spread of the states."""
TEST_FRAMES = 400
"""Of movies left out of the volumes, to choose the bandwidth."""
_NARROWEST_BETWEEN = 1e-3
"""Bandwidth between anchors where most lie in one place, relative to the spread of the states."""


@dataclass(frozen=True)
class Anchored:
    """What the back-projection found."""

    generator: AnchorGenerator
    signal_power: Float[Tensor, " shells"]
    """E|V̂|² of the volume of a state."""
    bandwidth: float
    """Chosen, relative to the spread of the states."""
    scores: dict[float, float]
    """Mean log likelihood of frames left out of the volumes (but not of the states), for each bandwidth
    tried, relative to the widest."""


@dataclass(frozen=True)
class _Cells:
    """Frames grouped around the anchors, in two halves each."""

    centres: Float[Tensor, "anchors latent"]
    halves: tuple[list[Accumulator], list[Accumulator]]


def anchor_count(box_size: int, frames: int) -> int:
    """How many anchors fit into memory and are worth having."""
    # Two accumulators of 12 bytes and a grid of 8 for each anchor, on half grids padded twice.
    bytes_each = (2 * 12 + 8) * (2 * box_size) ** 3 // 2
    return max(1, min(MOST_ANCHORS, BYTES // bytes_each, frames // 10))


def fit_anchors(
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    metric: Float[Tensor, "latent latent"],
    mask: Float[Tensor, "n n n"],
    consensus_power: Float[Tensor, " shells"],
    seed: int,
    advance: Callable[[int, str], None],
) -> Anchored:
    """Place anchors among the states, and choose how far to average around them by movies left out.

    `metric` M measures a change of state by how much it changes the volume, dzᵀ M dz. Outside `mask` there is
    solvent. The volumes have `consensus_power` where too few frames show each state to tell their own.
    """
    deviation = z - z.mean(0)
    spread = float(torch.einsum("fi,ij,fj->f", deviation, metric, deviation).mean().clamp(min=0).sqrt())
    metric = metric / max(spread, 1e-6) ** 2
    cells = _accumulate_cells(
        store, z, metric, anchor_count(store.lattice.box_size, len(store)), seed, advance
    )
    first, second = cells.halves
    power = _power(first, second, consensus_power)
    scores = _score_bandwidths(store, z, metric, cells, power, mask, seed, advance)
    best = max(scores, key=lambda bandwidth: scores[bandwidth])
    whole = [a + b for a, b in zip(first, second, strict=True)]
    generator = _interpolator(cells.centres, whole, metric, best, power, mask)
    return Anchored(generator, power, best, scores)


def _power(
    first: list[Accumulator], second: list[Accumulator], consensus_power: Float[Tensor, " shells"]
) -> Float[Tensor, " shells"]:
    try:
        return signal_power(zip(first, second, strict=True), len(consensus_power))
    except UserError:
        # The halves of all frames agreed; those of a state are too small, or no two movies share one.
        return consensus_power.cpu()


def _halves(store: FrameStore) -> Int[Tensor, " frames"]:
    """0 or 1 for each row: movies take turns, or the frames of a single movie."""
    half = torch.zeros(len(store), dtype=torch.long)
    for index, movie in enumerate(store.movie_rows):
        turn = torch.full((len(movie),), index) if len(store.movie_rows) > 1 else torch.arange(len(movie))
        half[torch.from_numpy(movie.astype(np.int64))] = turn % 2
    return half


def _accumulate_cells(
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    metric: Float[Tensor, "latent latent"],
    count: int,
    seed: int,
    advance: Callable[[int, str], None],
) -> _Cells:
    # Euclidean distances in zL are those of the metric M = LLᵀ.
    values, vectors = torch.linalg.eigh(metric.double())
    root = vectors * values.clamp(min=1e-9).sqrt()
    points = (z.double() @ root).cpu().numpy()
    distinct = min(count, len(np.unique(points, axis=0)))
    clusters = KMeans(distinct, n_init=1, random_state=seed).fit(points)
    label = torch.from_numpy(clusters.labels_.astype(np.int64))
    # Anchors beyond the number of distinct states have no frames of their own, and stand with the first.
    homes = [cell if cell < distinct else 0 for cell in range(count)]
    centres = torch.stack([z[label == home].mean(0) for home in homes])
    halves: tuple[list[Accumulator], list[Accumulator]] = ([], [])
    half = _halves(store)
    for cell in range(count):
        for which in (0, 1):
            rows = ((label == cell) & (half == which)).nonzero().squeeze(-1)
            frames = store.frames(rows)
            halves[which].append(
                accumulate(
                    frames.coefficients,
                    frames.transfer,
                    frames.rotation,
                    frames.rotation.new_zeros(len(rows), 2),
                    torch.ones(store.lattice.radius + 1, device=store.device),
                    store.lattice,
                )
            )
        advance(1, "back-projection")
    return _Cells(centres, halves)


def _interpolator(
    centres: Float[Tensor, "anchors latent"],
    cells: list[Accumulator],
    metric: Float[Tensor, "latent latent"],
    bandwidth: float,
    power: Float[Tensor, " shells"],
    mask: Float[Tensor, "n n n"],
) -> AnchorGenerator:
    difference = centres[:, None] - centres
    squared = torch.einsum("abi,ij,abj->ab", difference, metric, difference)
    kernel = torch.exp(-0.5 * squared / bandwidth**2)
    numerators = torch.stack([cell.numerator for cell in cells]).flatten(1)
    denominators = torch.stack([cell.denominator for cell in cells]).flatten(1)
    shape, box, padding = cells[0].numerator.shape, cells[0].box_size, cells[0].padding
    volumes = []
    for row in kernel.to(denominators):
        numerator = torch.view_as_complex(torch.einsum("a,agp->gp", row, torch.view_as_real(numerators)))
        total = Accumulator(numerator.reshape(shape), (row @ denominators).reshape(shape), box, padding)
        volumes.append(wiener(total, power.to(row.device), mask.to(row.device)))
    itself = torch.eye(len(centres), dtype=torch.bool, device=squared.device)
    neighbours = squared.masked_fill(itself, torch.inf).amin(-1)
    # Between anchors, as smooth as their spacing asks for: wider would average twice.
    between = max(_NARROWEST_BETWEEN, float(neighbours.median().sqrt())) if len(centres) > 1 else 1.0
    generator = AnchorGenerator(box, centres.shape[-1], len(centres)).to(volumes[0].device)
    generator.place(centres, torch.stack(volumes), metric, between)
    return generator


def _score_bandwidths(
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    metric: Float[Tensor, "latent latent"],
    cells: _Cells,
    power: Float[Tensor, " shells"],
    mask: Float[Tensor, "n n n"],
    seed: int,
    advance: Callable[[int, str], None],
) -> dict[float, float]:
    """How well volumes of one half of the movies predict frames of the other, from the widest down."""
    rows = _halves(store).nonzero().squeeze(-1)
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:TEST_FRAMES]
    rows = rows[chosen]
    frames = store.frames(rows)
    scores: dict[float, float] = {}
    for done, bandwidth in enumerate(reversed(BANDWIDTHS)):
        generator = _interpolator(cells.centres, cells.halves[0], metric, bandwidth, power, mask)
        slices = generator.slices(z[rows].to(store.device), frames.rotation, store.lattice.frequency)
        residual = (frames.coefficients - frames.transfer * slices).abs() ** 2 * store.lattice.multiplicity
        scores[bandwidth] = -0.5 * float(residual.sum()) / len(rows)
        advance(1, f"bandwidth {bandwidth:g}")
        if scores[bandwidth] < max(scores.values()) and len(scores) > 2:
            advance(len(BANDWIDTHS) - done - 1, "")
            break
    widest = scores[max(BANDWIDTHS)]
    return {bandwidth: score - widest for bandwidth, score in scores.items()}
