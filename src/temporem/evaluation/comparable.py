"""Evaluations made comparable: named, checked to be of one truth, and cut to their common frames."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from temporem.errors import UserError
from temporem.evaluation.bootstrap import MovieBootstrap
from temporem.evaluation.evaluation_folder import Evaluation, read_evaluation
from temporem.evaluation.fsc import largest_k_above, resolution_at

__all__ = ["Arm", "Reading", "arms_of", "read_evaluations"]

FloatArray = npt.NDArray[np.floating]

SAME_MASKS, MOVED_MASKS = 1e-3, 0.03
"""Relative differences in the size of masks of one truth: as it is, and turned and moved to meet a run, where
the voxels fall anew."""
SAME_NOISE = 1e-5
"""Relative difference in the noise of the same movies, made on machines that round differently. It goes with
the variance of the clean images, which another seed, pose or CTF changes by more."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A resolution in Å: of every frame, of the mean curve, and those of the bootstrap's draws."""

    of_frames: FloatArray
    of_mean_curve: float
    of_drawn_mean_curves: FloatArray


@dataclass(frozen=True, eq=False)
class Arm:
    """One run's scores on the common frames, in order of image."""

    frames: pd.DataFrame
    """Indexed by image: movie, frame, state, psnr_in_decibels, ssim."""
    fsc: Mapping[str, FloatArray]
    """(frames, shells) by mask, float64."""
    at_half: Mapping[str, Reading]
    """By mask: where the FSC first falls below 0.5."""
    at_nyquist: Mapping[str, npt.NDArray[np.bool_]]
    """By mask: frames (frames,) whose FSC never does, and count as Nyquist."""
    mean_at_nyquist: Mapping[str, bool]
    """By mask: whether the mean curve never does."""
    largest_k: Mapping[str, Reading]
    """By mask: the largest k whose FSC is above 0.5, the paper's reading."""


def read_evaluations(paths: Sequence[Path]) -> dict[str, Evaluation]:
    """Read run folders, or evaluation folders, under the shortest names that tell them apart.

    Raises UserError where one cannot be read, or is given twice.
    """
    resolved = [path.resolve() for path in paths]
    runs = [path.parent if path.name == "evaluation" else path for path in resolved]
    if len(set(runs)) < len(runs):
        twice = next(path for path, run in zip(paths, runs, strict=True) if runs.count(run) > 1)
        raise UserError(f"{twice} is given twice: give runs that differ.")
    depth = 1
    while len({run.parts[-depth:] for run in runs}) < len(runs):
        depth += 1
    names = ["/".join(run.parts[-depth:]) for run in runs]
    return {name: read_evaluation(path) for name, path in zip(names, paths, strict=True)}


def arms_of(
    evaluations: Mapping[str, Evaluation], draws: int, seed: int
) -> tuple[dict[str, Arm], MovieBootstrap]:
    """Cut evaluations to the frames that all of them have, and draw movies among these.

    Raises UserError for another truth or other movies, and where no frame is common to all.
    """
    images = common_images(evaluations)
    check_same_truth(evaluations, images)
    check_same_movies(evaluations)
    movie = next(iter(evaluations.values())).frames.loc[images, "movie"].to_numpy(str)
    bootstrap = MovieBootstrap.of(movie, draws, seed)
    return {name: arm_of(x, images, bootstrap) for name, x in evaluations.items()}, bootstrap


def common_images(evaluations: Mapping[str, Evaluation]) -> npt.NDArray[np.int64]:
    """Images scored in all evaluations, in order."""
    common = None
    for evaluation in evaluations.values():
        own = evaluation.frames.index.to_numpy(np.int64)
        common = np.unique(own) if common is None else np.intersect1d(common, own)
    if common is None or len(common) == 0:
        raise UserError(
            f"no frame was scored in all of {', '.join(evaluations)}: evaluate them with the same --frames."
        )
    return common


def check_same_truth(evaluations: Mapping[str, Evaluation], images: npt.NDArray[np.int64]) -> None:
    """Raise UserError unless boxes, masks and the common frames' movies and states agree."""
    (first_name, first), *rest = evaluations.items()
    for name, other in rest:
        moved = any("alignment" in x.summary for x in (first, other))
        tolerance = MOVED_MASKS if moved else SAME_MASKS
        same = (
            all(other.summary[x] == first.summary[x] for x in ("box_size", "pixel_size_in_angstroms"))
            and other.summary["masks"].keys() == first.summary["masks"].keys()
            and np.allclose(mask_means(other), mask_means(first), rtol=tolerance)
            and (other.frames.loc[images, "movie"] == first.frames.loc[images, "movie"]).all()
            and np.allclose(
                other.frames.loc[images, "state"], first.frames.loc[images, "state"], rtol=0, atol=1e-5
            )
        )
        if not same:
            raise UserError(
                f"{name} and {first_name} were scored on different truths: compare runs of the same movies."
            )


def check_same_movies(evaluations: Mapping[str, Evaluation]) -> None:
    """Raise UserError unless the noise of the movies agrees, among evaluations that know it.

    Those of an older version do not know it, nor do those with a truth that is not a simulation's.
    """
    known = {name: x.summary["noise"] for name, x in evaluations.items() if x.summary.get("noise")}
    for name, noise in known.items():
        first_name, first = next(iter(known.items()))
        if not all(math.isclose(noise[x], first[x], rel_tol=SAME_NOISE) for x in ("snr", "variance")):
            raise UserError(
                f"{first_name} was scored on movies of {noise_told(first)}, and {name} on movies of"
                f" {noise_told(noise)}: compare runs of the same movies."
            )


def noise_told(noise: Mapping[str, float]) -> str:
    """In words, with enough digits to tell what differs."""
    return f"SNR {noise['snr']:.7g} (noise of variance {noise['variance']:.7g})"


def mask_means(evaluation: Evaluation) -> list[float]:
    """Mean of each mask, 1 for the whole box."""
    return [1.0 if x is None else float(x) for x in evaluation.summary["masks"].values()]


def arm_of(evaluation: Evaluation, images: npt.NDArray[np.int64], bootstrap: MovieBootstrap) -> Arm:
    """One evaluation on these images."""
    frames = evaluation.frames.loc[images]
    places = evaluation.frames.index.get_indexer(pd.Index(images))
    fsc = {mask: curves[places].astype(np.float64) for mask, curves in evaluation.fsc.items()}
    box, pixel = evaluation.summary["box_size"], evaluation.summary["pixel_size_in_angstroms"]

    def at_half(curves: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        resolution, never = resolution_at(torch.from_numpy(curves), box, pixel)
        return resolution.numpy(), never.numpy()

    def largest_k(curves: FloatArray) -> FloatArray:
        return np.asarray(box * pixel / largest_k_above(torch.from_numpy(curves)).numpy())

    crossing: dict[str, Reading] = {}
    largest: dict[str, Reading] = {}
    for mask, curves in fsc.items():
        mean, drawn = curves.mean(axis=0), bootstrap.means(curves)
        crossing[mask] = Reading(at_half(curves)[0], float(at_half(mean)[0]), at_half(drawn)[0])
        largest[mask] = Reading(largest_k(curves), float(largest_k(mean)), largest_k(drawn))
    return Arm(
        frames,
        fsc,
        crossing,
        {mask: at_half(curves)[1] for mask, curves in fsc.items()},
        {mask: bool(at_half(curves.mean(axis=0))[1]) for mask, curves in fsc.items()},
        largest,
    )
