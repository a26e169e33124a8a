"""Back-projections that know more, or use less, than a method may: the bounds its figures stand between.

`consensus` is all frames in one volume. `clock` averages frames of equal index over the movies and smooths
along time: what counting frames could give. `oracle` knows every frame's true state and smooths along the
path of states. The last two are the same computation along different coordinates, and their smoothing width
is the one that scores best on the truth, for each mask its own: they are bounds, so nothing may be held
against them.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.evaluation.fsc import resolution_at
from temporem.evaluation.scoring import Scorer, TrueVolumes, by_conformation, true_sides
from temporem.reconstruction.backprojection import Accumulator
from temporem.reconstruction.cell_sums import CellSums

__all__ = ["PathSums", "Reference", "consensus", "path_sums", "smoothed_reference"]

IntArray = npt.NDArray[np.integer]

MOST_GROUPS = 32
WIDTHS = (0.02, 0.035, 0.06, 0.1, 0.16, 0.25, 0.4, math.inf)
"""Standard deviations of the Gaussian weight tried, as fractions of the path's length; ∞ is the consensus."""
GROUPS_TO_CHOOSE_WIDTH = 12
ROWS_PER_GROUP = 3

Finish = Callable[[Accumulator], Tensor]
"""From sums to a volume (n, n, n) in the truth's box: regularised and under the run's solvent mask."""


@dataclass(frozen=True, eq=False)
class PathSums:
    """Sums of frames in groups along a coordinate, for a volume at any group with any smoothing width."""

    group: IntArray
    """Of each image."""
    centre: Float[Tensor, " groups"]
    """Mean coordinate of each group's frames, as a fraction of the path: 0 … 1."""
    sums: CellSums
    """A cell for each group."""

    def around(self, places: Iterable[tuple[int, float]]) -> Iterator[Accumulator]:
        """For each group and width: all frames, weighted by a Gaussian of this width around the group.

        All frames count alike where the width is infinite.
        """
        weight = [
            torch.exp(-((self.centre - self.centre[group]) ** 2) / (2 * width**2)) for group, width in places
        ]
        return self.sums.combined(torch.stack(weight))


@dataclass(frozen=True, eq=False)
class Reference:
    """A volume for every image, and each mask its own smoothing width."""

    width: Mapping[str, float]
    """By mask, as a fraction of the path."""
    group: IntArray
    volumes: Mapping[float, Float[Tensor, "groups n n n"]]
    """By width."""

    def volume(self, image: int, mask: str) -> Float[Tensor, "n n n"]:
        """Return the image's volume that does best under this mask."""
        return self.volumes[self.width[mask]][self.group[image]]


def path_sums(
    coordinate: npt.NDArray[np.number], accumulate_rows: Callable[[IntArray], Accumulator]
) -> PathSums:
    """Sum the frames by coordinate: a group for each value, or 32 even groups where there are more."""
    values, group = np.unique(coordinate, return_inverse=True)
    if len(values) > MOST_GROUPS:
        rank = np.argsort(np.argsort(coordinate, kind="stable"), kind="stable")
        group = rank * MOST_GROUPS // len(coordinate)
    count = int(group.max()) + 1
    sums: CellSums | None = None
    for index in range(count):
        one = accumulate_rows(np.flatnonzero(group == index))
        sums = sums or CellSums(count, one.box_size, one.padding)
        sums.put(index, one)
    if sums is None:
        raise ValueError("there are no frames to sum")
    centre = np.bincount(group, coordinate) / np.bincount(group)
    fraction = (centre - centre.min()) / max(float(np.ptp(centre)), np.finfo(float).tiny)
    return PathSums(group, torch.from_numpy(fraction).float(), sums)


def consensus(sums: PathSums, finish: Finish, masks: Iterable[str]) -> Reference:
    """One volume of all frames."""
    (volume,) = map(finish, sums.around([(0, math.inf)]))
    return Reference(dict.fromkeys(masks, math.inf), np.zeros_like(sums.group), {math.inf: volume[None]})


def smoothed_reference(
    sums: PathSums, finish: Finish, truth: TrueVolumes, scorer: Scorer, rows: Sequence[int]
) -> Reference:
    """Volumes along the path, smoothed by the widths that score best on some of these rows."""
    merit = _merits(sums, finish, truth, scorer, rows)
    best = {mask: min(WIDTHS, key=lambda width: merit[width, mask]) for mask in scorer.masks}
    volumes = {
        width: torch.stack(
            [finish(x) for x in sums.around((group, width) for group in range(len(sums.centre)))]
        )
        for width in set(best.values())
    }
    return Reference(best, sums.group, volumes)


def _merits(
    sums: PathSums, finish: Finish, truth: TrueVolumes, scorer: Scorer, rows: Sequence[int]
) -> dict[tuple[float, str], tuple[float, float]]:
    """By width and mask, less being better: mean resolution in Å, then minus the mean FSC.

    Of at most 12 groups evenly chosen along the path, and of each at most 3 of the rows.
    """
    curves: dict[tuple[float, str], list[Tensor]] = {key: [] for key in product(WIDTHS, scorer.masks)}
    row_groups = sums.group[np.asarray(rows)]
    for group in _evenly(np.unique(row_groups), GROUPS_TO_CHOOSE_WIDTH):
        chosen = _evenly(np.asarray(rows)[row_groups == group], ROWS_PER_GROUP).tolist()
        sides = list(true_sides(by_conformation(chosen, truth), truth, scorer))
        smoothed = sums.around((int(group), width) for width in WIDTHS)
        for width, volume in zip(WIDTHS, map(finish, smoothed), strict=True):
            for mask, true in product(scorer.masks, sides):
                curves[width, mask].append(scorer.fsc(volume, true, mask))
    merits = {}
    for key, fsc in curves.items():
        stacked = torch.stack(fsc)
        resolution, _ = resolution_at(stacked, scorer.box_size, truth.pixel_size_in_angstroms)
        merits[key] = (round(float(resolution.mean()), 4), -float(stacked.mean()))
    return merits


def _evenly(values: IntArray, count: int) -> IntArray:
    index = np.linspace(0, len(values) - 1, min(len(values), count)).round().astype(int)
    chosen: IntArray = values[index]
    return chosen
