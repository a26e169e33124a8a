"""How far to average around a state, chosen by movies left out, in each range of frequencies its own.

Low frequencies are told by many frames, so that averages may be narrow; high ones are told by few, but
change the more with the state. Where movies left out cannot tell a range from the others, it is averaged as
they are.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.threads import abreast, side_by_side
from temporem.model.batches import FrameBatch
from temporem.physics.lattice import HalfDisc
from temporem.physics.volume_families import family_grid, family_slices
from temporem.reconstruction.backprojection import Accumulator
from temporem.reconstruction.cell_sums import CellSums
from temporem.reconstruction.local_filter import local_wiener

__all__ = ["BANDWIDTHS", "SCORED_BOX", "Bandwidths", "choose_bandwidths"]

BANDWIDTHS = (0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 1.0, 2.0)
"""Tried, relative to the spread of the states."""
TEST_FRAMES, TEST_ANCHORS = 400, 8
"""Frames of movies left out of the volumes, around how many anchors."""
SCORED_BOX = 48
"""Bandwidths are chosen by the frequencies of a box of this size, which hold nearly all of the signal."""
RANGES = 6
"""Of shells, with a bandwidth each."""
CLEAR = 2.0
"""Standard errors by which a range's own bandwidth must do better there than that of all."""


@dataclass(frozen=True)
class Bandwidths:
    """Relative to the spread of the states."""

    best: float
    """Of one bandwidth for all frequencies."""
    of_ranges: tuple[float, ...]
    """Of ranges of shells of equal width, up to `scored_shells`; beyond it is the last range's."""
    scored_shells: int
    scores: dict[float, float]
    """Mean log likelihood of frames left out of the volumes (but not of the states), for each bandwidth
    tried, relative to the widest."""

    def by_shell(self, count: int) -> Float[Tensor, " {count}"]:
        """Of so many shells from 0 on."""
        return torch.tensor(self.of_ranges)[_range_of(torch.arange(count), self.scored_shells)]


def choose_bandwidths(
    store: FrameStore,
    label: Int[Tensor, " frames"],
    squared: Float[Tensor, "anchors anchors"],
    half: CellSums,
    power: Float[Tensor, " shells"],
    mask: Float[Tensor, "n n n"],
    seed: int,
    advance: Callable[[int, str], None],
) -> Bandwidths:
    """Score volumes of every second movie, summed by cell in `half`, on frames of the others, widest first.

    `label` is the cell of each frame, `squared` the squared distances of the cells' anchors. A few of these
    are scored: they tell the bandwidth as well as all of them.
    """
    lattice = store.lattice.cropped(half.box_size)
    power = power[: half.box_size // 2 + 1].to(mask.device)
    tested = [
        (anchor, store.frames(rows, len(lattice)))
        for anchor, rows in _test_rows(store, label, len(squared), seed).items()
    ]

    def scored(pair: tuple[Accumulator, FrameBatch]) -> Float[Tensor, "frames ranges"]:
        volume = local_wiener(pair[0].to(mask.device), power, mask)
        return _scored(volume, pair[1], lattice, half.padding)

    scores: dict[float, Tensor] = {}
    for done, bandwidth in enumerate(reversed(BANDWIDTHS)):
        kernel = torch.exp(-0.5 * squared[[anchor for anchor, _ in tested]] / bandwidth**2)
        pairs = zip(half.combined(kernel), (frames for _, frames in tested), strict=True)
        told = side_by_side(scored, pairs, abreast(half.box_size, mask.device))
        scores[bandwidth] = store.processes.of_first(torch.cat(list(told)))
        advance(1, f"bandwidth {bandwidth:g}")
        totals = {tried: float(score.sum()) / len(score) for tried, score in scores.items()}
        if totals[bandwidth] < max(totals.values()) and len(scores) > 2:
            advance(len(BANDWIDTHS) - done - 1, "")
            break
    best, widest = max(totals, key=lambda tried: totals[tried]), totals[max(BANDWIDTHS)]
    return Bandwidths(
        best,
        tuple(_own(scores, best, index) for index in range(RANGES)),
        half.box_size // 2,
        {tried: total - widest for tried, total in totals.items()},
    )


def _scored(
    volume: Float[Tensor, "n n n"], frames: FrameBatch, lattice: HalfDisc, padding: int
) -> Float[Tensor, "frames ranges"]:
    """Log likelihood of frames that show this volume, but for a constant, by range of shells."""
    grid = family_grid(volume[None], padding)
    slices = family_slices(grid, frames.rotation, lattice.frequency, len(volume), padding)
    residual = torch.view_as_real(frames.coefficients - frames.transfer * slices[..., 0])
    squared = (residual.square().sum(-1) * lattice.multiplicity).double().cpu()
    score = torch.zeros(len(squared), RANGES, dtype=squared.dtype)
    return score.index_add(1, _range_of(lattice.shell.cpu(), len(volume) // 2), -0.5 * squared)


def _own(scores: Mapping[float, Float[Tensor, "frames ranges"]], best: float, index: int) -> float:
    """A range's own bandwidth where it is clearly better than the best of all, else that."""
    of_all = scores[best][:, index]
    own = max(scores, key=lambda tried: float(scores[tried][:, index].sum()))
    better = scores[own][:, index] - of_all
    clear = float(better.mean()) > CLEAR * float(better.std(correction=0)) / math.sqrt(len(better))
    return own if clear else best


def _range_of(shell: Int[Tensor, " points"], shells: int) -> Int[Tensor, " points"]:
    return (shell * RANGES // shells).clamp(max=RANGES - 1)


def _test_rows(
    store: FrameStore, label: Int[Tensor, " frames"], cells: int, seed: int
) -> dict[int, Int[Tensor, " rows"]]:
    """Frames of the second half of the movies in some cells, by cell."""
    generator = torch.Generator().manual_seed(seed)
    second = store.halves() == 1
    rows = {}
    for cell in torch.randperm(cells, generator=generator).tolist():
        here = ((label == cell) & second).nonzero().squeeze(-1)
        if len(here):
            order = torch.randperm(len(here), generator=generator)
            rows[cell] = here[order[: TEST_FRAMES // TEST_ANCHORS]]
        if len(rows) == TEST_ANCHORS:
            break
    return rows
