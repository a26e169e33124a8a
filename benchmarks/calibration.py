"""How often 90 % intervals of a run hold the truth: of the states, and of the voxels.

python benchmarks/calibration.py RUN TRUTH [RUN TRUTH …]: runs with `temporem halves`, and their truths.
Prints a line of Markdown for each, and with --output writes all figures as JSON.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from temporem.evaluation.calibration import voxel_coverage
from temporem.evaluation.latent_coverage import latent_coverage
from temporem.evaluation.scoring import scorer_of
from temporem.files import write_json
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import fit_error
from temporem.simulation.truth import Truth

COARSER = (12.0, 20.0)
"""Resolutions in Å at which voxels are compared, besides that of the halves."""


def measure(run: Run, truth: Truth, frames: int, seed: int) -> dict[str, Any]:
    """Coverage of the latents in all frames, and of the voxels in some of them."""
    latents = run.latents()
    movie, _ = pd.factorize(latents["movie"])
    mean = latents[latent_columns(latents)].to_numpy(np.float64)
    covariance, state = run.covariance().double().numpy(), truth.states["state"].to_numpy(np.float64)
    told: dict[str, Any] = {
        "run": str(run.path),
        "latents": latent_coverage(mean, covariance, state, movie),
        "latents_without_covariance": latent_coverage(
            mean, covariance * np.eye(mean.shape[-1]), state, movie
        ),
    }
    if (fit := fit_error(run)) is not None:
        rows = np.linspace(0, len(truth) - 1, min(frames, len(truth))).round().astype(int).tolist()
        told["voxels"] = voxel_coverage(
            run, truth, scorer_of(truth), rows, (fit.resolution_in_angstroms, *COARSER), seed
        )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", metavar="RUN TRUTH")
    parser.add_argument("--frames", type=int, default=24, help="whose voxels are compared, evenly chosen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    if len(options.paths) % 2:
        parser.error("give a truth after every run")
    found = []
    print("| run | states | latents as independent | voxels, in the molecule / where it moves | | |")
    print("|---|---|---|---|---|---|")
    for run, truth in zip(options.paths[::2], options.paths[1::2], strict=True):
        told = measure(Run.open(run), Truth.load(truth), options.frames, options.seed)
        found.append(told)
        of = [told["latents"], told["latents_without_covariance"]]
        columns = [run.name, *("" if x is None else f"{x['coverage']:.1%}" for x in of)]
        for at in told.get("voxels", []):
            each = " / ".join(f"{x['coverage']:.1%}" for x in at.values() if isinstance(x, dict))
            columns.append(f"{at['resolution_in_angstroms']:.1f} Å: {each}")
        print("|", " | ".join(columns), "|", flush=True)
    if options.output is not None:
        write_json(options.output, found)


if __name__ == "__main__":
    main()
