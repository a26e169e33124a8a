"""Runs compared on the same frames of one truth, each against one of them, with intervals over movies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from temporem.errors import UserError
from temporem.evaluation.bootstrap import MovieBootstrap
from temporem.evaluation.comparable import Arm, Reading, arms_of
from temporem.evaluation.evaluation_folder import Evaluation, write_table
from temporem.files import write_json
from temporem.seeds import check_seed

__all__ = ["Comparison", "ComparisonOptions", "compare_runs", "improvement_in_percent"]

FloatArray = npt.NDArray[np.floating]

QUALITIES = ("psnr_in_decibels", "ssim")
"""After the low-pass; more is better."""


@dataclass(frozen=True)
class ComparisonOptions:
    """Against which run, and how sure."""

    against: str | None = None
    """Name of the run that the others are compared with; the last one given by default."""
    draws: int = 2000
    """Sets of movies drawn for the 95 % intervals."""
    seed: int = 0
    """Of the draws."""

    def check(self) -> None:
        """Raise UserError for a number that makes no sense."""
        if self.draws < 1:
            raise UserError(f"cannot draw {self.draws} sets of movies: choose at least 1.")
        check_seed(self.seed)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All figures of a comparison."""

    summary: dict[str, Any]
    """`comparison.json`."""
    frames: pd.DataFrame
    """A row per run and image: resolution, whether it is Nyquist, Eq. 16, by mask; PSNR and SSIM."""
    fsc: pd.DataFrame
    """A row per run, mask and shell from 1 on: mean, 10th and 90th percentile over the common frames."""

    def write(self, folder: Path) -> None:
        """Write `comparison.json`, `frames.csv` and `fsc.csv`."""
        write_table(folder / "frames.csv", self.frames)
        write_table(folder / "fsc.csv", self.fsc)
        write_json(folder / "comparison.json", self.summary)


def improvement_in_percent(ours: FloatArray | float, baseline: FloatArray | float) -> FloatArray:
    """Improvement factor (Eq. 16) of resolutions in Å over a baseline's: 100 (baseline − ours) / baseline.

    Positive where ours is finer; 0 where both are Nyquist.
    """
    return np.asarray(100 * (np.asarray(baseline) - ours) / baseline)


def compare_runs(
    evaluations: Mapping[str, Evaluation], options: ComparisonOptions | None = None
) -> Comparison:
    """Compare evaluations by name on the frames that all of them were scored on.

    Both readings of a resolution stand, the crossing of 0.5 (`at_half`) and the paper's largest k above 0.5
    (`largest_k`); of each, the mean over frames and that of the mean curve, and how many frames never fall
    below 0.5 and so count as Nyquist. Intervals are those of `bootstrap`; those of differences are paired.

    Raises UserError for options that make no sense, fewer than two runs, an unknown `against`, another truth
    or other movies, or no frame in common.
    """
    options = ComparisonOptions() if options is None else options
    options.check()
    against = checked_baseline(list(evaluations), options.against)
    arms, bootstrap = arms_of(evaluations, options.draws, options.seed)
    first = next(iter(evaluations.values())).summary
    summary = {
        "against": against,
        "frames": len(bootstrap.movie),
        "movies": bootstrap.movies,
        "draws": options.draws,
        "seed": options.seed,
        "box_size": first["box_size"],
        "pixel_size_in_angstroms": first["pixel_size_in_angstroms"],
        "masks": list(first["masks"]),
        "runs": {
            name: {
                "evaluation": str(evaluations[name].path),
                **figures_of(arm, bootstrap),
                # Of all images, as the evaluation has them; another program's scores may come without.
                "latents": evaluations[name].summary.get("latent_manifold"),
            }
            for name, arm in arms.items()
        },
        "improvement": {
            name: improvement(arm, arms[against], bootstrap) for name, arm in arms.items() if name != against
        },
    }
    frames = pd.concat(
        [frames_of(name, arm, None if name == against else arms[against]) for name, arm in arms.items()],
        ignore_index=True,
    )
    edge = first["box_size"] * first["pixel_size_in_angstroms"]
    return Comparison(summary, frames, mean_curves(arms, edge))


def checked_baseline(names: list[str], against: str | None) -> str:
    """Name of the run to compare with, the last one where none is given."""
    if len(names) < 2:
        raise UserError("there is nothing to compare: give two runs or more.")
    if against is None:
        return names[-1]
    if against not in names:
        raise UserError(f"there is no run {against!r} among those given: {', '.join(names)}.")
    return against


def figures_of(arm: Arm, bootstrap: MovieBootstrap) -> dict[str, Any]:
    """One run's figures by mask, its PSNR and SSIM."""
    of_masks = {
        mask: {
            "resolution_in_angstroms": both_means(arm.at_half[mask], bootstrap),
            "frames_at_nyquist": int(arm.at_nyquist[mask].sum()),
            "mean_curve_at_nyquist": arm.mean_at_nyquist[mask],
            "largest_k_above_half_in_angstroms": both_means(arm.largest_k[mask], bootstrap),
        }
        for mask in arm.fsc
    }
    return of_masks | {x: bootstrap.mean(arm.frames[x].to_numpy(np.float64)).as_dict() for x in QUALITIES}


def both_means(reading: Reading, bootstrap: MovieBootstrap) -> dict[str, Any]:
    """Mean over frames and that of the mean curve."""
    of_mean = bootstrap.estimate(reading.of_mean_curve, reading.of_drawn_mean_curves)
    return {
        "mean_over_frames": bootstrap.mean(reading.of_frames).as_dict(),
        "of_mean_curve": of_mean.as_dict(),
    }


def improvement(ours: Arm, baseline: Arm, bootstrap: MovieBootstrap) -> dict[str, Any]:
    """How much better one run is than another, by mask and reading, and in PSNR and SSIM."""
    of_masks = {
        mask: {
            "at_half": improvement_in_reading(ours.at_half[mask], baseline.at_half[mask], bootstrap),
            "frames_both_at_nyquist": int((ours.at_nyquist[mask] & baseline.at_nyquist[mask]).sum()),
            "mean_curves_both_at_nyquist": ours.mean_at_nyquist[mask] and baseline.mean_at_nyquist[mask],
            "largest_k": improvement_in_reading(ours.largest_k[mask], baseline.largest_k[mask], bootstrap),
        }
        for mask in ours.fsc
    }
    qualities = {}
    for name in QUALITIES:
        gain = ours.frames[name].to_numpy(np.float64) - baseline.frames[name].to_numpy(np.float64)
        qualities[name] = {
            "difference": bootstrap.mean(gain).as_dict(),
            "fraction_improved": bootstrap.mean((gain > 0).astype(np.float64)).as_dict(),
        }
    return of_masks | qualities


def improvement_in_reading(ours: Reading, baseline: Reading, bootstrap: MovieBootstrap) -> dict[str, Any]:
    """Eq. 16 and the difference in Å, mean over frames and of the mean curves; parts better, equal, worse."""
    gain = baseline.of_frames - ours.of_frames
    fractions = {"improved": gain > 0, "tied": gain == 0, "worse": gain < 0}
    mean = {
        "percent": improvement_in_percent(ours.of_mean_curve, baseline.of_mean_curve),
        "angstroms": np.asarray(baseline.of_mean_curve - ours.of_mean_curve),
    }
    drawn = {
        "percent": improvement_in_percent(ours.of_drawn_mean_curves, baseline.of_drawn_mean_curves),
        "angstroms": baseline.of_drawn_mean_curves - ours.of_drawn_mean_curves,
    }
    percent = improvement_in_percent(ours.of_frames, baseline.of_frames)
    return {
        **{
            f"fraction_{name}": bootstrap.mean(which.astype(np.float64)).as_dict()
            for name, which in fractions.items()
        },
        "mean_over_frames": {
            "percent": bootstrap.mean(percent).as_dict(),
            "angstroms": bootstrap.mean(gain).as_dict(),
        },
        "of_mean_curve": {
            unit: bootstrap.estimate(float(mean[unit]), drawn[unit]).as_dict() for unit in mean
        },
    }


def frames_of(name: str, arm: Arm, baseline: Arm | None) -> pd.DataFrame:
    """A row per image; the improvement is empty for the baseline itself."""
    table = arm.frames[["movie", "frame", "state"]].reset_index()
    table.insert(0, "run", name)
    for mask, reading in arm.at_half.items():
        table[f"{mask}_resolution_in_angstroms"] = reading.of_frames
        table[f"{mask}_at_nyquist"] = arm.at_nyquist[mask]
        table[f"{mask}_improvement_in_percent"] = (
            np.nan
            if baseline is None
            else improvement_in_percent(reading.of_frames, baseline.at_half[mask].of_frames)
        )
    for quality in QUALITIES:
        table[quality] = arm.frames[quality].to_numpy()
    return table


def mean_curves(arms: Mapping[str, Arm], edge_in_angstroms: float) -> pd.DataFrame:
    """Mean FSC of each run and mask, with the spread over frames."""
    tables = []
    for name, arm in arms.items():
        for mask, fsc in arm.fsc.items():
            shell = np.arange(1, fsc.shape[1])
            low, high = np.percentile(fsc, [10, 90], axis=0)
            columns = {"resolution_in_angstroms": edge_in_angstroms / shell, "fsc": fsc.mean(axis=0)[1:]}
            spread = {"fsc_10th_percentile": low[1:], "fsc_90th_percentile": high[1:]}
            tables.append(pd.DataFrame({"run": name, "mask": mask, "shell": shell, **columns, **spread}))
    return pd.concat(tables, ignore_index=True)
