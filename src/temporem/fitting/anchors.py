"""Explicit volumes along the latent path, from back-projection with weights in latent space."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

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
"""Held out to choose the bandwidth."""


@dataclass(frozen=True)
class Anchored:
    """What the back-projection found."""

    generator: AnchorGenerator
    signal_power: Float[Tensor, " shells"]
    """E|V̂|² of the volume of a state."""
    bandwidth: float
    """Chosen, relative to the spread of the states."""
    scores: dict[float, float]
    """Mean log likelihood of held-out frames, relative to the widest bandwidth, for each tried."""


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
    seed: int,
    advance: Callable[[int, str], None],
) -> Anchored:
    """Place anchors among the states, and choose how far to average around them by frames held out.

    `metric` M measures a change of state by how much it changes the volume, dzᵀ M dz. Outside `mask` there is solvent.
    """
    spread = float(torch.einsum("fi,ij,fj->f", z - z.mean(0), metric, z - z.mean(0)).mean().sqrt())
    metric = metric / max(spread, 1e-6) ** 2
    cells = _accumulate_cells(
        store, z, metric, anchor_count(store.lattice.box_size, len(store)), seed, advance
    )
    first, second = cells.halves
    shells = store.lattice.radius + 1
    power = signal_power(zip(first, second, strict=True), shells)
    scores = _score_bandwidths(store, z, metric, cells, power, mask, seed, advance)
    best = max(scores, key=lambda bandwidth: scores[bandwidth])
    whole = [a + b for a, b in zip(first, second, strict=True)]
    generator = _interpolator(cells.centres, whole, metric, best, power, mask)
    return Anchored(generator, power, best, scores)


def _half(rows: Int[Tensor, " frames"], store: FrameStore) -> Int[Tensor, " frames"]:
    """0 or 1 for each frame: movies take turns."""
    half = torch.zeros(len(store), dtype=torch.long)
    for index, movie in enumerate(store.movie_rows):
        half[torch.from_numpy(movie.astype(np.int64))] = index % 2
    return half[rows]


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
    clusters = KMeans(count, n_init=1, random_state=seed).fit((z.double() @ root).numpy())
    label = torch.from_numpy(clusters.labels_.astype(np.int64))
    centres = torch.stack([z[label == cell].mean(0) for cell in range(count)])
    halves: tuple[list[Accumulator], list[Accumulator]] = ([], [])
    half = _half(torch.arange(len(store)), store)
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
    neighbours = squared.masked_fill(torch.eye(len(centres), dtype=torch.bool), torch.inf).amin(-1)
    # Between anchors, as smooth as their spacing asks for: wider would average twice.
    between = float(neighbours.median().sqrt()) if len(centres) > 1 else 1.0
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
    """How well volumes made of one half of the movies predict frames of the other, from the widest bandwidth down."""
    rows = torch.arange(len(store))
    rows = rows[_half(rows, store) == 1]
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
