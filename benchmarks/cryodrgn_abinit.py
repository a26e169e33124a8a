"""The real cryoDRGN 4.3.1 with poses from nothing (`cryodrgn abinit`), for so many seconds of the processor.

    python benchmarks/cryodrgn_abinit.py OUT SIMULATION [SIMULATION …] [--core-seconds N]

Each SIMULATION is a folder of `temporem simulate`; cryoDRGN gets the images and their CTF, not the poses,
and its own defaults. When its time is up, the poses of its last whole epoch are brought together with the
truth as `temporem evaluate --align` does it, and the volumes at its latents of evenly chosen frames are
scored. What is finished is kept: OUT/NAME/trained has the epochs, OUT/NAME/cryodrgn-4.3.1 the evaluation.
cryoDRGN is installed as by cryodrgn_peer.py.
"""

import argparse
import os
import resource
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from cryodrgn_peer import PEER, install, peer, prepare, resolution, trained, transfer

from temporem.evaluation.alignment import align_truth
from temporem.evaluation.evaluate import evenly
from temporem.evaluation.evaluation_folder import RUN, write_evaluation, write_latent_figures
from temporem.evaluation.scoring import by_conformation, evaluate_volumes, scorer_of
from temporem.movies.pickles import load_arrays
from temporem.movies.reading import read_movies
from temporem.reconstruction.volume_file import read_volume
from temporem.simulation.truth import Truth

LATENT_DIM = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("simulations", type=Path, nargs="+")
    parser.add_argument("--core-seconds", type=int, default=1800, help="train so long (%(default)s)")
    parser.add_argument("--frames", type=int, default=100, help="score so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of cryoDRGN (%(default)s)")
    parser.add_argument("--environment", type=Path, help="by default OUT/environment")
    options = parser.parse_args()
    environment = options.environment or options.out / "environment"
    install(environment)
    for simulation in options.simulations:
        folder = options.out / simulation.name
        prepare(environment, simulation, folder)
        if not trained(folder).exists():
            train(environment, simulation, folder, options.core_seconds, options.seed)
        print(f"{simulation.name}: {score(environment, simulation, folder, options.frames)}")


def train(environment: Path, simulation: Path, folder: Path, core_seconds: int, seed: int) -> None:
    """Every epoch is kept; the system ends it when its time is up."""
    command = [str(environment / "bin" / "cryodrgn"), "abinit", str(simulation / "movies.mrcs")]
    command += ["-o", str(trained(folder)), "--ctf", str(transfer(folder)), "--zdim", str(LATENT_DIM)]
    # Workers' time would not be counted.
    command += ["--seed", str(seed), "--checkpoint", "1", "--num-workers", "0", "--no-analysis"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (core_seconds, core_seconds))

    with (folder / "log.txt").open("a", encoding="utf-8") as file:
        subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, preexec_fn=limit, check=False)


def score(environment: Path, simulation: Path, folder: Path, frames: int) -> str:
    """Of the last epoch that has all its files, in words."""
    weights = sorted(trained(folder).glob("weights.*.pkl"), key=os.path.getmtime)
    whole = [x for x in weights if (trained(folder) / f"pose.{epoch_of(x)}.pkl").exists()]
    if not whole:
        return "no epoch was finished"
    epoch = epoch_of(whole[-1])
    truth, movies = Truth.load(simulation), read_movies(simulation / "movies.star")
    rotation, fraction = load_arrays(trained(folder) / f"pose.{epoch}.pkl")
    # As in cryoDRGN's pose files: RELION's origins, in boxes.
    shift = -fraction * truth.box_size * truth.pixel_size_in_angstroms
    aligned, facts = align_truth(replace(movies, rotation=rotation, translation_in_angstroms=shift), truth)
    scorer, rows = scorer_of(aligned), by_conformation(evenly(range(len(truth)), frames), aligned)
    latents = load_arrays(trained(folder) / f"z.{epoch}.pkl")
    table = pd.DataFrame(latents, columns=[f"z{index + 1}" for index in range(latents.shape[1])])
    with tempfile.TemporaryDirectory(dir=folder) as made:
        np.savetxt(Path(made) / "z.txt", latents[rows])
        arguments = ["eval_vol", str(whole[-1]), "-c", str(trained(folder) / "config.yaml")]
        arguments += ["--zfile", str(Path(made) / "z.txt"), "-o", made, "--prefix", "v"]
        arguments += ["--Apix", str(truth.pixel_size_in_angstroms), "--vol-start-index", "0"]
        peer(environment, arguments, folder / "log.txt")
        volumes = (read_volume(Path(made) / f"v{index:03d}.mrc") for index in range(len(rows)))
        scores = evaluate_volumes(volumes, rows, aligned, scorer)
    output = folder / PEER / "evaluation"
    figures = write_latent_figures(output, table, aligned)
    made_by: dict[str, Any] = {"peer": PEER, "epoch": int(epoch), "alignment": facts}
    summary = write_evaluation(output, {RUN: scores}, aligned, scorer, None, **figures, **made_by)
    errors = facts["pose_errors"]
    return (
        f"epoch {epoch}, poses {errors['median_rotation_in_degrees']:.1f}° and"
        f" {errors['median_shift_in_angstroms']:.1f} Å in the median,"
        f" whole {resolution(summary, 'whole'):.2f} Å, moving {resolution(summary, 'moving'):.2f} Å"
    )


def epoch_of(weights: Path) -> str:
    return weights.name.split(".")[1]


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
