"""The folder an evaluation leaves, written and read in one place.

```
evaluation.json       figures of every method          fsc.csv            mean curves with their spread
frames.csv            a row per method and image       manifold.csv       a row per image: truth and latents
fsc_over_time.csv     mean curves of method `run` by frame index
fsc_per_frame.npz     of method `run`: `image`, and curves (images, shells) under the name of each mask
```

Any program's scores can stand in such a folder: score its volumes with `evaluate_volumes`, and write them as
method `run` with `write_evaluation`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.evaluation.latent_agreement import latent_agreement
from temporem.evaluation.latent_coverage import latent_coverage
from temporem.evaluation.latent_manifold import latent_manifold, manifold_table
from temporem.evaluation.over_time import curves_over_time
from temporem.evaluation.scoring import Scorer, Scores, TrueVolumes
from temporem.evaluation.summary import frames_table, fsc_table, summarise
from temporem.files import replacing, write_json
from temporem.simulation.truth import Truth

__all__ = [
    "OVER_TIME",
    "RUN",
    "Evaluation",
    "read_evaluation",
    "write_evaluation",
    "write_latent_figures",
    "write_table",
]

RUN = "run"
"""The method whose volumes are evaluated, beside the references."""
CURVES = "fsc_per_frame.npz"
OVER_TIME = "fsc_over_time.csv"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is known of a run's volumes, frame by frame."""

    path: Path
    summary: dict[str, Any]
    """`evaluation.json`."""
    frames: pd.DataFrame
    """Of method `run`, indexed by image: movie (text), frame, state, psnr_in_decibels, ssim and others."""
    fsc: Mapping[str, npt.NDArray[np.float32]]
    """(images, shells) by mask, in the order of `frames`."""


def write_evaluation(
    folder: Path,
    methods: Mapping[str, Scores],
    truth: TrueVolumes,
    scorer: Scorer,
    other_curves: Mapping[str, Mapping[str, Tensor]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Write the scores of methods, `run` among them, and return what `evaluation.json` holds.

    `other_curves` (images, shells), by name and mask, join `fsc.csv` alone; `more` joins the JSON. The JSON's
    `noise` is that of the movies, None where the truth does not know it.
    """
    summary: dict[str, Any] = {
        "box_size": truth.box_size,
        "pixel_size_in_angstroms": truth.pixel_size_in_angstroms,
        "nyquist_in_angstroms": 2 * truth.pixel_size_in_angstroms,
        "noise": {"snr": truth.snr, "variance": truth.noise_variance} if isinstance(truth, Truth) else None,
        "masks": {name: None if mask is None else float(mask.mean()) for name, mask in scorer.masks.items()},
        "methods": {name: summarise(scores, truth) for name, scores in methods.items()},
        **more,
    }
    curves = {name: scores.fsc for name, scores in methods.items()} | dict(other_curves or {})
    write_table(folder / "frames.csv", frames_table(methods, truth))
    write_table(folder / "fsc.csv", fsc_table(curves, truth))
    frame = truth.states["frame"].to_numpy(np.int64)[methods[RUN].image]
    edge = truth.box_size * truth.pixel_size_in_angstroms
    write_table(folder / OVER_TIME, curves_over_time(frame, methods[RUN].fsc, edge))
    of_run = {mask: fsc.numpy().astype(np.float32) for mask, fsc in methods[RUN].fsc.items()}
    with replacing(folder / CURVES) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, image=methods[RUN].image, **of_run)
    # Last, so that where it is, all is.
    write_json(folder / "evaluation.json", summary)
    return summary


def write_latent_figures(
    folder: Path,
    latents: pd.DataFrame,
    truth: Truth,
    covariance: Float[Tensor, "frames latent latent"] | None = None,
) -> dict[str, Any]:
    """Write `manifold.csv` and return what `write_evaluation` takes besides: how the latents tell the truth.

    `latents` has columns z1 … and a row per image of the truth, in its order; with their `covariance`, how
    often their intervals hold it is told too.
    """
    z = latents.filter(regex=r"^z\d+$").to_numpy(np.float64)
    write_table(folder / "manifold.csv", manifold_table(z, truth.states))
    movie, _ = pd.factorize(truth.states["movie"])
    state = truth.states["state"].to_numpy(np.float64)
    value = truth.states["value"].to_numpy(np.float64)
    told = {} if covariance is None else latent_coverage(z, covariance.double().numpy(), state, movie)
    return {
        "latent_agreement": latent_agreement(z, value, movie),
        "latent_coverage": told or None,
        "latent_manifold": latent_manifold(z, truth.states),
        "value_unit": truth.unit,
    }


def read_evaluation(path: Path) -> Evaluation:
    """Read an evaluation from its own folder or from the run's that holds it.

    Raises UserError where there is none, or it is damaged or of an older version.
    """
    inner = path / "evaluation"
    folder = inner if (inner / "evaluation.json").is_file() else path
    if not (folder / "evaluation.json").is_file():
        raise UserError(
            f"{path} holds no evaluation (no evaluation/evaluation.json): run temporem evaluate on it first."
        )
    try:
        summary: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        table = pd.read_csv(folder / "frames.csv", dtype={"movie": str})
        frames = table[table["method"] == RUN].set_index("image")
        with (folder / CURVES).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            image, fsc = arrays["image"], {mask: arrays[mask] for mask in summary["masks"]}
        if not frames.index.is_unique or {len(x) for x in fsc.values()} != {len(image)}:
            raise ValueError("its tables do not belong together")
        return Evaluation(folder, summary, frames.loc[image], fsc)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise UserError(
            f"the evaluation in {folder} cannot be read ({error}): run temporem evaluate again."
        ) from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write CSV with enough digits for float32, atomically."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.7g")
