"""Back-projections that know more, or use less, than a method may: the bounds its figures stand between.

`consensus` is all frames in one volume. `clock` averages frames of equal index over the movies and smooths
along time: what counting frames could give. `oracle` knows every frame's true state and smooths along the
path of states. The last two are the same computation along different coordinates, and their smoothing width
is the one that scores best on the truth, for each mask its own: they are bounds, so nothing may be held
against them.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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

__all__ = ["PathSums", "Reference", "consensus", "path_sums", "smoothed_reference"]

IntArray = npt.NDArray[np.integer]

MOST_GROUPS = 32
BYTES_OF_SUMS = 2**31
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
    numerator: Tensor
    """(groups, *grid), see `Accumulator`."""
    denominator: Tensor
    box_size: int
    padding: int

    def around(self, group: int, width: float) -> Accumulator:
        """All frames, weighted by a Gaussian of this width around a group; all alike where it is infinite."""
        weight = torch.exp(-((self.centre - self.centre[group]) ** 2) / (2 * width**2))
        numerator = torch.tensordot(weight.to(self.numerator), self.numerator, dims=1)
        denominator = torch.tensordot(weight.to(self.denominator), self.denominator, dims=1)
        return Accumulator(numerator, denominator, self.box_size, self.padding)


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
    """Sum the frames by coordinate: a group for each value, or as many even groups as memory holds."""
    values, group = np.unique(coordinate, return_inverse=True)
    one = accumulate_rows(np.arange(1))
    most = max(1, min(MOST_GROUPS, BYTES_OF_SUMS // (one.numerator.nbytes + one.denominator.nbytes)))
    if len(values) > most:
        rank = np.argsort(np.argsort(coordinate, kind="stable"), kind="stable")
        group = rank * most // len(coordinate)
    sums = [accumulate_rows(np.flatnonzero(group == index)) for index in range(group.max() + 1)]
    centre = np.bincount(group, coordinate) / np.bincount(group)
    fraction = (centre - centre.min()) / max(float(np.ptp(centre)), np.finfo(float).tiny)
    return PathSums(
        group,
        torch.from_numpy(fraction).float(),
        torch.stack([x.numerator for x in sums]),
        torch.stack([x.denominator for x in sums]),
        sums[0].box_size,
        sums[0].padding,
    )


def consensus(sums: PathSums, finish: Finish, masks: Iterable[str]) -> Reference:
    """One volume of all frames."""
    volume = finish(sums.around(0, math.inf))
    return Reference(dict.fromkeys(masks, math.inf), np.zeros_like(sums.group), {math.inf: volume[None]})


def smoothed_reference(
    sums: PathSums, finish: Finish, truth: TrueVolumes, scorer: Scorer, rows: Sequence[int]
) -> Reference:
    """Volumes along the path, smoothed by the widths that score best on some of these rows."""
    merit = _merits(sums, finish, truth, scorer, rows)
    best = {mask: min(WIDTHS, key=lambda width: merit[width, mask]) for mask in scorer.masks}
    volumes = {
        width: torch.stack([finish(sums.around(group, width)) for group in range(len(sums.centre))])
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
        for width in WIDTHS:
            volume = finish(sums.around(int(group), width))
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
