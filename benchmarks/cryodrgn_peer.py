"""The real cryoDRGN 4.3.1 on the same movies, scored by the same code as our own runs.

    python benchmarks/cryodrgn_peer.py OUT SIMULATION [SIMULATION …] [--epochs N]

Each SIMULATION is a folder of `temporem simulate`. cryoDRGN is installed in an environment of its own and
given the images, poses and CTF by its own tools and defaults, but for widths of 256 (so that 2 cores can run
it) and batches of 8. The volumes at its latents of evenly chosen frames are scored, as made and under the
solvent mask that our own volumes are given (from the consensus, no truth in it): a few at every few epochs,
and at the epoch with the best moving resolution those that `temporem evaluate --frames 100` takes.
OUT/NAME/cryodrgn-4.3.1 and OUT/NAME/cryodrgn-4.3.1-masked hold the latter as runs that `temporem compare`
reads; OUT/table.md has all epochs. What is finished is kept: a second call goes on.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from temporem.evaluation.evaluate import evenly
from temporem.evaluation.evaluation_folder import RUN, write_evaluation, write_latent_figures
from temporem.evaluation.posed_frames import posed_frames
from temporem.evaluation.scoring import Scorer, Scores, by_conformation, evaluate_volumes, scorer_of
from temporem.files import replacing, write_json, write_text
from temporem.movies.pickles import load_arrays
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.reconstruction.backprojection import signal_power, wiener
from temporem.reconstruction.masking import solvent_mask
from temporem.reconstruction.volume_file import read_volume, write_volume
from temporem.simulation.truth import Truth

PEER = "cryodrgn-4.3.1"
MASKED = f"{PEER}-masked"
# pip takes a CPU build of this version where it finds one; elsewhere set
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
PACKAGES = ("torch==2.13.0", "cryodrgn==4.3.1")
NETWORKS = ("--enc-dim", "256", "--enc-layers", "3", "--dec-dim", "256", "--dec-layers", "3", "-b", "8")
LATENT_DIM = {"7bcq": 1, "cas9": 8}
SHELLS_OF_PLACE, FSC_OF_EQUAL_PLACE, FRAMES_IN_MEAN = 8, 0.95, 30
"""A mirrored, transposed or shifted consensus agrees much less, one where all is right to 0.99."""

TIMED = """
import logging, os, sys, time

class Epochs(logging.Handler):
    began = None
    def emit(self, record):
        now = time.monotonic(), time.process_time()
        text = record.getMessage()
        if "workers for data loading" in text:
            self.began = now
        elif "=====> Epoch:" in text:
            epoch = int(text.split("Epoch:")[1].split()[0])
            with open(os.environ["EPOCH_TIMES"], "a") as file:
                file.write(f"{epoch},{now[0] - self.began[0]:.3f},{now[1] - self.began[1]:.3f}\\n")
            self.began = now

from cryodrgn.command_line import main_commands
# Not the root's: cryoDRGN sets that up anew.
logging.getLogger("cryodrgn").addHandler(Epochs())
sys.argv[0] = "cryodrgn"
main_commands()
"""
"""cryoDRGN with the seconds of each epoch written down: of the clock, and of all cores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("simulations", type=Path, nargs="+")
    parser.add_argument("--epochs", type=int, default=40, help="train so many (%(default)s)")
    parser.add_argument("--every", type=int, default=5, help="score after every so many (%(default)s)")
    parser.add_argument(
        "--frames", type=int, default=100, help="score so many of the best epoch's (%(default)s)"
    )
    parser.add_argument("--frames-per-epoch", type=int, default=20, help="and of every other (%(default)s)")
    parser.add_argument("--latent-dim", type=int, help="by default 1 for 7bcq and 8 for others")
    parser.add_argument("--seed", type=int, default=0, help="of cryoDRGN (%(default)s)")
    parser.add_argument("--environment", type=Path, help="by default OUT/environment")
    options = parser.parse_args()
    if options.epochs % options.every:
        parser.error("--epochs must be a multiple of --every, so that the last epoch is scored")
    environment = options.environment or options.out / "environment"
    install(environment)
    for simulation in options.simulations:
        folder = options.out / simulation.name
        prepare(environment, simulation, folder)
        train(environment, simulation, folder, options)
        score(environment, simulation, folder, options)
        write_tables(options.out)


def install(environment: Path) -> None:
    finished = environment / "installed"
    if not finished.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        subprocess.run([environment / "bin" / "pip", "install", *PACKAGES], check=True)
        write_text(finished, " ".join(PACKAGES) + "\n")


def peer(environment: Path, arguments: list[str], log: Path, times: Path | None = None) -> None:
    """Run cryoDRGN; what it says goes to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(environment / "bin" / "python"), "-c", TIMED, *arguments]
    with log.open("a", encoding="utf-8") as file:
        settings = os.environ | {"EPOCH_TIMES": str(times)}
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=settings, check=False)
    if done.returncode:
        raise SystemExit(f"cryodrgn {arguments[0]} failed: see {log}")


def prepare(environment: Path, simulation: Path, folder: Path) -> None:
    """Poses and CTF by cryoDRGN's own reading of our STAR file."""
    for verb, path in (("parse_pose_star", poses(folder)), ("parse_ctf_star", transfer(folder))):
        if not path.exists():
            with replacing(path) as temporary:
                peer(
                    environment,
                    [verb, str(simulation / "movies.star"), "-o", str(temporary)],
                    folder / "log.txt",
                )


def poses(folder: Path) -> Path:
    return folder / "poses.pkl"


def transfer(folder: Path) -> Path:
    return folder / "ctf.pkl"


def trained(folder: Path) -> Path:
    return folder / "trained"


def train(environment: Path, simulation: Path, folder: Path, options: argparse.Namespace) -> None:
    output = trained(folder)
    if (output / f"weights.{options.epochs}.pkl").exists():
        return
    dimension = options.latent_dim or next(
        (z for name, z in LATENT_DIM.items() if simulation.name.startswith(name)), LATENT_DIM["cas9"]
    )
    arguments = ["train_vae", str(simulation / "movies.mrcs"), "-o", str(output), *NETWORKS]
    arguments += ["--poses", str(poses(folder)), "--ctf", str(transfer(folder)), "--zdim", str(dimension)]
    arguments += ["-n", str(options.epochs), "--checkpoint", str(options.every), "--seed", str(options.seed)]
    arguments += ["--no-analysis"]
    if any(output.glob("weights.*.pkl")):
        arguments += ["--load", "latest"]
    peer(environment, arguments, folder / "log.txt", folder / "seconds.csv")


def score(environment: Path, simulation: Path, folder: Path, options: argparse.Namespace) -> None:
    """Score some frames at each kept epoch, and all that were asked for at the best one."""
    truth = Truth.load(simulation)
    scorer = scorer_of(truth)
    rows = evenly(range(len(truth)), options.frames)
    check_place(environment, simulation, folder, truth, scorer)
    epochs = range(options.every, options.epochs + 1, options.every)
    for epoch in epochs:
        few = evenly(rows, options.frames_per_epoch)
        score_epoch(
            environment, simulation, folder, epoch, few, truth, scorer, folder / "epochs" / str(epoch)
        )
    best = min(epochs, key=lambda epoch: moving_resolution(folder / "epochs" / str(epoch)))
    score_epoch(environment, simulation, folder, best, rows, truth, scorer, folder)
    for name in (PEER, MASKED):
        write_json(summary_path(folder, name), summary_of(folder, name) | {"epochs_trained": options.epochs})


def score_epoch(
    environment: Path,
    simulation: Path,
    folder: Path,
    epoch: int,
    rows: list[int],
    truth: Truth,
    scorer: Scorer,
    place: Path,
) -> None:
    """Leave the evaluations of volumes as made and masked in `place`, unless they are there."""
    if done(place, epoch):
        return
    rows = by_conformation(rows, truth)
    latents = load_arrays(trained(folder) / f"z.{epoch}.pkl")
    table = pd.DataFrame(latents, columns=[f"z{index + 1}" for index in range(latents.shape[1])])
    mask = our_mask(simulation, folder)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        np.savetxt(Path(made) / "z.txt", latents[rows])
        arguments = ["eval_vol", str(trained(folder) / f"weights.{epoch}.pkl")]
        arguments += ["-c", str(trained(folder) / "config.yaml"), "--zfile", str(Path(made) / "z.txt")]
        arguments += ["-o", made, "--Apix", str(truth.pixel_size_in_angstroms)]
        arguments += ["--prefix", "v", "--vol-start-index", "0"]
        peer(environment, arguments, folder / "log.txt")

        def scores(finish: Callable[[Tensor], Tensor]) -> Scores:
            volumes = (finish(read_volume(Path(made) / f"v{index:03d}.mrc")) for index in range(len(rows)))
            return evaluate_volumes(volumes, rows, truth, scorer)

        made_by: dict[str, Any] = {"peer": PEER, "epoch": epoch, **seconds_until(folder, epoch)}
        # The one that `done` looks at last.
        for name, finish in ((MASKED, lambda x: under(x, mask)), (PEER, lambda x: x)):
            output = place / name / "evaluation"
            figures = write_latent_figures(output, table, truth)
            write_evaluation(output, {RUN: scores(finish)}, truth, scorer, None, **figures, **made_by)


def done(place: Path, epoch: int) -> bool:
    return summary_path(place, PEER).exists() and summary_of(place)["epoch"] == epoch


def check_place(environment: Path, simulation: Path, folder: Path, truth: Truth, scorer: Scorer) -> None:
    """Back-project by cryoDRGN's own tool, and stop where hand, axes, origin or sign are not the truth's."""
    path = folder / "back-projected" / "backproject.mrc"
    if not path.exists():
        arguments = ["backproject_voxel", str(simulation / "movies.mrcs"), "-o", str(path.parent)]
        arguments += ["--poses", str(poses(folder)), "--ctf", str(transfer(folder))]
        peer(environment, arguments, folder / "log.txt")
    agreement = agreement_at_low_frequencies(read_volume(path), truth, scorer)
    if agreement < FSC_OF_EQUAL_PLACE:
        raise SystemExit(
            f"{path} does not lie on the truth (mean FSC of the lowest {SHELLS_OF_PLACE} shells "
            f"{agreement:.2f}): a convention differs"
        )


def agreement_at_low_frequencies(volume: Tensor, truth: Truth, scorer: Scorer) -> float:
    """Mean FSC with the mean true volume inside the molecule."""
    some = evenly(range(len(truth)), FRAMES_IN_MEAN)
    mean = torch.stack([torch.as_tensor(truth.volume(np.asarray([row])))[0] for row in some]).mean(dim=0)
    curve = scorer.fsc(volume, scorer.true_side(mean.float()), "molecule")
    return float(curve[1 : 1 + SHELLS_OF_PLACE].mean())


def under(volume: Tensor, mask: Tensor) -> Tensor:
    """Masked, and 0 outside: cryoDRGN leaves the solvent at a level of its own."""
    return (volume - volume[mask == 0].mean()) * mask


def our_mask(simulation: Path, folder: Path) -> Tensor:
    """Solvent mask from the back-projection of all frames, as our own reconstructions find it."""
    path = folder / "mask.mrc"
    if not path.exists():
        movies = read_movies(simulation / "movies.star", ReadingOptions())
        truth = Truth.load(simulation)
        prepared = prepare_frames(movies, PreprocessingOptions())
        frames = posed_frames(movies, prepared, truth.rotation, truth.translation_in_angstroms)
        first, second = (frames.accumulate(np.arange(half, len(truth), 2)) for half in (0, 1))
        power = signal_power([(first, second)], len(prepared.noise_variance))
        mask = solvent_mask(wiener(first + second, power), prepared.pixel_size_in_angstroms)
        write_volume(path, mask, prepared.pixel_size_in_angstroms)
    return read_volume(path)


def seconds_until(folder: Path, epoch: int) -> dict[str, float]:
    """Training time up to an epoch; epochs trained again after an interruption count once."""
    times = pd.read_csv(folder / "seconds.csv", names=["epoch", "clock", "cores"])
    times = times.drop_duplicates("epoch", keep="last").query("epoch <= @epoch")
    return {"seconds": float(times["clock"].sum()), "core_seconds": float(times["cores"].sum())}


def summary_path(place: Path, name: str) -> Path:
    return place / name / "evaluation" / "evaluation.json"


def summary_of(place: Path, name: str = PEER) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(summary_path(place, name).read_text(encoding="utf-8"))
    return summary


def resolution(summary: dict[str, Any], mask: str) -> float:
    return float(summary["methods"][RUN][mask]["resolution_in_angstroms"]["mean_over_frames"])


def moving_resolution(place: Path) -> float:
    summary = summary_of(place)
    return resolution(summary, "moving" if "moving" in summary["masks"] else "whole")


def write_tables(out: Path) -> None:
    """All epochs of all data under `out`."""
    folders = [folder for folder in sorted(out.iterdir()) if (folder / PEER).exists()]
    table = pd.DataFrame([row for folder in folders for row in rows_of(folder)])
    write_text(out / "table.csv", table.to_csv(index=False))
    cells = [[f"{x:.4g}" if isinstance(x, float) else str(x) for x in row] for row in table.to_numpy()]
    lines = [list(table.columns), ["---"] * len(table.columns), *cells]
    write_text(out / "table.md", "".join("| " + " | ".join(line) + " |\n" for line in lines))


def rows_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Each epoch on some frames, then the best one on all, volumes as made and masked."""
    epochs = sorted((folder / "epochs").iterdir(), key=lambda place: int(place.name))
    for name in (PEER, MASKED):
        for place in (*epochs, folder):
            summary = summary_of(place, name)
            figures, epoch = summary["methods"][RUN], summary["epoch"]
            images = epoch * images_in(folder)
            row: dict[str, Any] = {"data": folder.name}
            row |= {"volumes": "under our mask" if name == MASKED else "as made"}
            row |= {"epoch": epoch, "frames": figures["frames"]}
            row |= {"seconds": summary["seconds"], "core seconds": summary["core_seconds"]}
            row |= {"images/s": images / row["seconds"], "images/core s": images / row["core seconds"]}
            for mask in ("whole", "molecule", "moving"):
                row[f"{mask} (Å)"] = resolution(summary, mask) if mask in figures else math.nan
            agreement = summary["latent_agreement"] or {"neighbour_r_squared": math.nan}
            row |= {"PSNR (dB)": figures["psnr_in_decibels"], "SSIM": figures["ssim"]}
            row["latent R²"] = agreement["neighbour_r_squared"]
            still = place == folder and epoch == int(epochs[-1].name)
            row["note"] = "" if place != folder else "best, still improving" if still else "best"
            yield row


def images_in(folder: Path) -> int:
    return len(load_arrays(next(trained(folder).glob("z.*.pkl"))))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
