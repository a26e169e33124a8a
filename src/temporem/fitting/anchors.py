"""Explicit volumes along the latent path, from back-projection with weights in latent space."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting.bandwidths import SCORED_BOX, Bandwidths, choose_bandwidths
from temporem.fitting.consensus import of_all_processes
from temporem.fitting.frames import FrameStore
from temporem.fitting.processes import Processes
from temporem.fitting.threads import abreast, side_by_side
from temporem.model.anchor_generator import AnchorGenerator, state_box
from temporem.physics.volumes import fourier_resize
from temporem.reconstruction.backprojection import Accumulator, accumulate, signal_power
from temporem.reconstruction.cell_sums import CellSums
from temporem.reconstruction.local_filter import local_wiener

__all__ = ["Anchored", "anchor_count", "fit_anchors", "repeat_anchors"]

MOST_ANCHORS = 32
FEWEST_FRAMES_PER_ANCHOR = 10
PLACINGS = 10
"""Of the anchors, from as many starts; the closest to the states is kept."""
_NARROWEST_BETWEEN = 1e-3
"""Bandwidth between anchors where most lie in one place, relative to the spread of the states."""
_FRAMES_AT_ONCE = 512
_SUPPORT = 1e-3
"""Of the mask: where there is less of it, there is solvent."""


@dataclass(frozen=True)
class Anchored:
    """What the back-projection found."""

    generator: AnchorGenerator
    bandwidths: Bandwidths
    """Relative to the spread of the states."""
    signal_power: Float[Tensor, " shells"]
    """E|V̂|² of the volume of a state, in the shells of the generator's `state_box`."""


@dataclass(frozen=True)
class _Cells:
    """Frames grouped around the anchors."""

    centres: Float[Tensor, "anchors latent"]
    label: Int[Tensor, " frames"]
    """The cell of each frame."""


def anchor_count(frames: int) -> int:
    """How many anchors are worth having, in any box."""
    return max(1, min(MOST_ANCHORS, frames // FEWEST_FRAMES_PER_ANCHOR))


def fit_anchors(
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    metric: Float[Tensor, "latent latent"],
    consensus: Float[Tensor, "n n n"],
    mask: Float[Tensor, "n n n"],
    consensus_power: Float[Tensor, " shells"],
    seed: int,
    advance: Callable[[int, str], None],
) -> Anchored:
    """Place anchors among the states, and choose how far to average around them by movies left out.

    `metric` M measures a change of state by how much it changes the volume, dzᵀ M dz. Outside `mask` there is
    solvent. The volumes have `consensus_power` where too few frames show each state to tell their own, and
    the consensus's frequencies beyond the generator's `state_box`.
    """
    metric, cells, box = _grouped(store, z, metric, seed)
    count = len(cells.centres)
    # Those of every second movie predict frames of the rest; those of all frames make the volumes.
    half, whole = CellSums(count, min(box, SCORED_BOX)), CellSums(count, box)
    power = _power(_summed(store, cells, half, whole, advance), consensus_power[: box // 2 + 1])
    mask = _resized_mask(mask, box)
    squared = _squared_distances(cells.centres, metric)
    coarse = _resized_mask(mask, half.box_size)
    bandwidths = choose_bandwidths(store, cells.label, squared, half, power, coarse, seed, advance)
    generator = _interpolator(cells.centres, whole, metric, bandwidths, power, mask, consensus)
    return Anchored(generator, bandwidths, power)


def repeat_anchors(
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    metric: Float[Tensor, "latent latent"],
    consensus: Float[Tensor, "n n n"],
    mask: Float[Tensor, "n n n"],
    like: Anchored,
    seed: int,
    advance: Callable[[int, str], None],
) -> AnchorGenerator:
    """What `fit_anchors` makes of other frames, averaged as widely as `like` and under its prior.

    That takes half the time. The widths suit half as many frames as `like` is made of: so many they were
    chosen on.
    """
    metric, cells, box = _grouped(store, z, metric, seed)
    sums = CellSums(len(cells.centres), box)

    def of_cell(cell: int) -> None:
        sums.put(cell, _sum_frames(store, (cells.label == cell).nonzero().squeeze(-1), box))

    at_once = abreast(box, store.device, store.processes.count)
    for _ in side_by_side(of_cell, range(len(sums)), at_once):
        advance(1, "back-projection")
    mask = _resized_mask(mask, box)
    return _interpolator(cells.centres, sums, metric, like.bandwidths, like.signal_power, mask, consensus)


def _grouped(
    store: FrameStore, z: Float[Tensor, "frames latent"], metric: Float[Tensor, "latent latent"], seed: int
) -> tuple[Float[Tensor, "latent latent"], _Cells, int]:
    """The metric in which the states have a spread of one, their cells, and the box of their volumes."""
    deviation = z - z.mean(0)
    spread = float(torch.einsum("fi,ij,fj->f", deviation, metric, deviation).mean().clamp(min=0).sqrt())
    metric = metric / max(spread, 1e-6) ** 2
    cells = _find_cells(z, metric, anchor_count(len(store)), seed, store.processes)
    return metric, cells, state_box(store.lattice.box_size)


def _power(
    pairs: Iterator[tuple[Accumulator, Accumulator]], consensus_power: Float[Tensor, " shells"]
) -> Float[Tensor, " shells"]:
    try:
        return signal_power(pairs, len(consensus_power))
    except UserError:
        # The halves of all frames agreed; those of a state are too small, or no two movies share one.
        return consensus_power.cpu()


def _resized_mask(mask: Float[Tensor, "n n n"], box: int) -> Float[Tensor, "m m m"]:
    """The soft mask on coarser voxels."""
    # `fourier_resize` keeps V̂, whose scale goes with the square of the box.
    return (fourier_resize(mask, box) * (box / len(mask)) ** 2).clamp(0, 1)


def _find_cells(
    z: Float[Tensor, "frames latent"],
    metric: Float[Tensor, "latent latent"],
    count: int,
    seed: int,
    processes: Processes,
) -> _Cells:
    # Euclidean distances in zL are those of the metric M = LLᵀ.
    values, vectors = torch.linalg.eigh(metric.double())
    root = vectors * values.clamp(min=1e-9).sqrt()
    points = (z.double() @ root).cpu().numpy()
    distinct = min(count, len(np.unique(points, axis=0)))
    clusters = KMeans(distinct, n_init=PLACINGS, random_state=seed).fit(points)
    label = processes.of_first(torch.from_numpy(clusters.labels_.astype(np.int64)))
    # Anchors beyond the number of distinct states have no frames of their own, and stand with the first.
    homes = [cell if cell < distinct else 0 for cell in range(count)]
    return _Cells(torch.stack([z[label == home].mean(0) for home in homes]), label)


def _summed(
    store: FrameStore,
    cells: _Cells,
    half: CellSums,
    whole: CellSums,
    advance: Callable[[int, str], None],
) -> Iterator[tuple[Accumulator, Accumulator]]:
    """The two halves of each cell's frames, summed; put into `half` (the first) and `whole` on the way."""
    turn, box = store.halves(), whole.box_size

    def of_cell(cell: int) -> tuple[Accumulator, Accumulator]:
        here = cells.label == cell
        first, second = (
            _sum_frames(store, (here & (turn == which)).nonzero().squeeze(-1), box) for which in (0, 1)
        )
        half.put(cell, first.cropped(half.box_size))
        whole.put(cell, first + second)
        return first, second

    at_once = abreast(box, store.device, store.processes.count)
    for pair in side_by_side(of_cell, range(len(cells.centres)), at_once):
        yield pair
        advance(1, "back-projection")


def _sum_frames(store: FrameStore, rows: Int[Tensor, " rows"], box: int) -> Accumulator:
    """Frames summed, as if Fourier-cropped to this box."""
    lattice = store.lattice.cropped(box)
    unit = torch.ones(lattice.radius + 1, device=store.device)
    total: Accumulator | None = None
    for chunk in torch.split(store.processes.share(rows), _FRAMES_AT_ONCE):
        frames = store.frames(chunk, len(lattice))
        centred = frames.rotation.new_zeros(len(chunk), 2)
        sums = accumulate(frames.coefficients, frames.transfer, frames.rotation, centred, unit, lattice)
        total = sums if total is None else total + sums
    if total is None:
        raise ValueError("a tensor splits into one part at least")
    return of_all_processes(total, store.processes)


def _interpolator(
    centres: Float[Tensor, "anchors latent"],
    sums: CellSums,
    metric: Float[Tensor, "latent latent"],
    bandwidths: Bandwidths,
    power: Float[Tensor, " shells"],
    mask: Float[Tensor, "n n n"],
    shared: Float[Tensor, "m m m"],
) -> AnchorGenerator:
    squared = _squared_distances(centres, metric)
    by_shell = bandwidths.by_shell(sums.box_size // 2 + 1).to(squared)
    kernel = torch.exp(-0.5 * squared[..., None] / by_shell**2)
    itself = torch.eye(len(centres), dtype=torch.bool, device=squared.device)
    neighbours = squared.masked_fill(itself, torch.inf).amin(-1)
    # Between anchors, as smooth as their spacing asks for: wider would average twice.
    between = max(_NARROWEST_BETWEEN, float(neighbours.median().sqrt())) if len(centres) > 1 else 1.0
    generator = AnchorGenerator(len(shared), centres.shape[-1], len(centres)).to(mask.device)
    # Made where they stay: there are many in a large box.
    volumes = generator.volumes_at_anchors
    power = power[: sums.box_size // 2 + 1].to(mask.device)

    def filter_into(volume: Float[Tensor, "m m m"], total: Accumulator) -> None:
        volume.copy_(_without_edge(local_wiener(total.to(mask.device), power, mask), mask))

    pairs = zip(volumes, sums.combined(kernel), strict=True)
    for _ in side_by_side(lambda pair: filter_into(*pair), pairs, abreast(sums.box_size, mask.device)):
        pass
    generator.place(centres, volumes, metric, between, shared)
    return generator


def _without_edge(volume: Float[Tensor, "n n n"], mask: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """A masked volume without the mask's soft edge, which a run lays on its volumes: once, not twice."""
    inside = mask > _SUPPORT
    return torch.where(inside, volume / mask.where(inside, torch.ones_like(mask)), 0)


def _squared_distances(
    centres: Float[Tensor, "anchors latent"], metric: Float[Tensor, "latent latent"]
) -> Float[Tensor, "anchors anchors"]:
    difference = centres[:, None] - centres
    return torch.einsum("abi,ij,abj->ab", difference, metric, difference)
