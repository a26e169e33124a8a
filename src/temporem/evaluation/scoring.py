"""Volumes scored against the truth, one frame at a time: FSC whole and under masks, PSNR and SSIM.

It takes any iterator of volumes, so that another program's are scored by the same code as a run's. Nothing
but the curves is kept. Truths are made once per conformation: give rows of one conformation after each other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.evaluation.fsc import Spectrum, correlate, spectrum
from temporem.evaluation.image_quality import low_pass, match_gain_and_offset, psnr_in_decibels, ssim
from temporem.evaluation.masks import mean_and_deviation, molecule_mask, moving_mask
from temporem.evaluation.resampling import fourier_pad

__all__ = [
    "Ledger",
    "Scorer",
    "Scores",
    "TrueSide",
    "TrueVolumes",
    "by_conformation",
    "evaluate_volumes",
    "in_box",
    "scorer_of",
    "true_sides",
]

CONFORMATIONS_IN_MASKS = 200
"""Most conformations, evenly chosen along the state path, that the masks are made from."""


@runtime_checkable
class TrueVolumes(Protocol):
    """What scoring asks of a truth."""

    @property
    def box_size(self) -> int:
        """Voxels along one edge."""
        ...

    @property
    def pixel_size_in_angstroms(self) -> float:
        """Edge of a voxel."""
        ...

    @property
    def states(self) -> pd.DataFrame:
        """One row per image, in their order; columns movie, frame and state among others."""
        ...

    @property
    def conformation(self) -> npt.NDArray[np.integer]:
        """Index of each image's conformation: equal indices mean equal volumes."""
        ...

    def volume(self, rows: npt.NDArray[np.integer]) -> Float[Tensor, "rows n n n"]:
        """True volumes of these images."""
        ...


@dataclass(frozen=True, eq=False)
class TrueSide:
    """A true volume made ready to be compared with several estimates."""

    spectra: Mapping[str, Spectrum]
    low_passed: Float[Tensor, "n n n"]


@dataclass(frozen=True, eq=False)
class Scorer:
    """Compares volumes of a truth's box: whole, and under each of its masks."""

    box_size: int
    masks: Mapping[str, Float[Tensor, "n n n"] | None]
    """By name; None is the whole box."""

    def true_side(self, volume: Float[Tensor, "n n n"]) -> TrueSide:
        """Do once what all comparisons with this true volume share."""
        return TrueSide({name: self._spectrum(volume, name) for name in self.masks}, low_pass(volume))

    def fsc(self, estimate: Float[Tensor, "n n n"], true: TrueSide, mask: str) -> Float[Tensor, " shells"]:
        """FSC of estimate and truth, both under the mask of this name."""
        return correlate(self._spectrum(estimate, mask), true.spectra[mask])

    def quality(self, estimate: Float[Tensor, "n n n"], true: TrueSide) -> tuple[float, float]:
        """PSNR in decibels and SSIM, of low-passed volumes, gain and offset fitted."""
        matched = match_gain_and_offset(low_pass(estimate), true.low_passed)
        return psnr_in_decibels(matched, true.low_passed), ssim(matched, true.low_passed)

    def _spectrum(self, volume: Float[Tensor, "n n n"], name: str) -> Spectrum:
        mask = self.masks[name]
        return spectrum(volume if mask is None else volume * mask)


@dataclass(frozen=True, eq=False)
class Scores:
    """Of one method, one entry per image scored, in order of image."""

    image: npt.NDArray[np.int64]
    fsc: Mapping[str, Float[Tensor, "images shells"]]
    """By mask."""
    psnr_in_decibels: npt.NDArray[np.float64]
    ssim: npt.NDArray[np.float64]

    def of(self, images: Iterable[int]) -> "Scores":
        """Return the scores of these images alone."""
        kept = np.flatnonzero(np.isin(self.image, list(images)))
        fsc = {mask: curves[torch.from_numpy(kept)] for mask, curves in self.fsc.items()}
        return Scores(self.image[kept], fsc, self.psnr_in_decibels[kept], self.ssim[kept])


class Ledger:
    """Scores of one method as they come, in any order of images."""

    def __init__(self, masks: Iterable[str]) -> None:
        self._images: list[int] = []
        self._fsc: dict[str, list[Tensor]] = {mask: [] for mask in masks}
        self._quality: list[tuple[float, float]] = []

    def add(self, image: int, fsc: Mapping[str, Tensor], quality: tuple[float, float]) -> None:
        """Enter one image's curves by mask, and its PSNR and SSIM."""
        self._images.append(image)
        self._quality.append(quality)
        for mask, curves in self._fsc.items():
            curves.append(fsc[mask])

    def scores(self) -> Scores:
        """All entries, in order of image."""
        image = np.asarray(self._images, dtype=np.int64)
        order = np.argsort(image, kind="stable")
        fsc = {mask: torch.stack(curves)[torch.from_numpy(order)] for mask, curves in self._fsc.items()}
        quality = np.asarray(self._quality, dtype=np.float64)[order]
        return Scores(image[order], fsc, quality[:, 0], quality[:, 1])


def scorer_of(truth: TrueVolumes) -> Scorer:
    """Whole, and the masks of this truth: `molecule`, and `moving` where anything moves.

    Mean and deviation are over the states: every conformation counts once, at most 200 evenly chosen along
    the path.
    """
    state = truth.states["state"].to_numpy()
    _, first = np.unique(truth.conformation, return_index=True)
    along = first[np.argsort(state[first], kind="stable")]
    count = min(len(along), CONFORMATIONS_IN_MASKS)
    chosen = along[np.linspace(0, len(along) - 1, count).round().astype(int)]
    mean, deviation = mean_and_deviation(_as_tensor(truth.volume(np.asarray([row])))[0] for row in chosen)
    masks: dict[str, Tensor | None] = {"whole": None, "molecule": molecule_mask(mean)}
    moving = moving_mask(mean, deviation)
    if moving is not None:
        masks["moving"] = moving
    return Scorer(truth.box_size, masks)


def by_conformation(rows: Sequence[int], truth: TrueVolumes) -> list[int]:
    """Return the rows sorted so that those of one conformation follow each other."""
    chosen = np.asarray(rows)
    return [int(row) for row in chosen[np.argsort(truth.conformation[chosen], kind="stable")]]


def true_sides(rows: Sequence[int], truth: TrueVolumes, scorer: Scorer) -> Iterator[TrueSide]:
    """Each row's true side; rows of one conformation that follow each other share it."""
    true = None
    for before, row in zip([None, *rows], rows, strict=False):
        if true is None or truth.conformation[row] != truth.conformation[before]:
            true = scorer.true_side(_as_tensor(truth.volume(np.asarray([row])))[0])
        yield true


def evaluate_volumes(
    volumes: Iterable[Tensor | npt.NDArray[np.floating]],
    rows: Sequence[int],
    truth: TrueVolumes,
    scorer: Scorer | None = None,
) -> Scores:
    """Score volumes (m, m, m), each of its image in `rows`; protein positive, in any scale and offset.

    A box smaller than the truth's must have the same edge in Å. `scorer` saves making the truth's masks
    again.

    Raises UserError for a volume that is not finite or whose box does not fit.
    """
    scorer = scorer_of(truth) if scorer is None else scorer
    ledger = Ledger(scorer.masks)
    for row, given, true in zip(rows, volumes, true_sides(rows, truth, scorer), strict=True):
        volume = in_box(given, scorer.box_size, row)
        ledger.add(row, {x: scorer.fsc(volume, true, x) for x in scorer.masks}, scorer.quality(volume, true))
    return ledger.scores()


def _as_tensor(volume: Tensor | npt.NDArray[np.floating]) -> Tensor:
    return torch.as_tensor(volume, dtype=torch.float32, device="cpu")


def in_box(volume: Tensor | npt.NDArray[np.floating], box_size: int, row: int) -> Float[Tensor, "n n n"]:
    """Bring an image's estimated volume to the truth's box.

    Raises UserError for one that is not finite or whose box does not fit.
    """
    box = volume.shape[-1]
    if tuple(volume.shape) != (box,) * 3 or box > box_size or (box != box_size and (box % 2 or box_size % 2)):
        raise UserError(
            f"the volume of image {row} has shape {tuple(volume.shape)}, which does not fit the truth's box "
            f"of {box_size}: give cubic volumes of that box or of a smaller even one with the same edge in Å."
        )
    estimate = _as_tensor(volume)
    if not bool(estimate.isfinite().all()):
        raise UserError(f"the volume of image {row} holds values that are not finite: leave out that image.")
    return fourier_pad(estimate, box_size)
