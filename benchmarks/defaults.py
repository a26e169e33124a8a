"""What each option of the networks is worth: one changed at a time, against the defaults.

    python benchmarks/defaults.py OUT SIMULATION [SIMULATION …]

Each SIMULATION is a folder of `temporem simulate`. OUT/NAME/VARIANT gets a run and its evaluation,
OUT/defaults.md a table: the mean paired difference from the defaults over equal frames, with its 95 %
interval by bootstrap over movies; positive is worse. Finished runs are kept: a second call goes on.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from temporem.files import write_text

FRAMES = 50
NETWORKS = ["--generator", "fourier"]
VARIANTS = {
    "defaults": [],
    "other seed": ["--seed", "1"],
    "width 64": ["--width", "64"],
    "width 512": ["--width", "512"],
    "1 layer": ["--layers", "1"],
    "5 layers": ["--layers", "5"],
    "20 frames per batch": ["--frames-per-batch", "20"],
    "100 frames per batch": ["--frames-per-batch", "100"],
    "a tenth of the coefficients": ["--coefficients-per-step", "0.1"],
    "all coefficients": ["--coefficients-per-step", "1"],
    "learning rate 1e-4": ["--learning-rate", "1e-4"],
    "learning rate 1e-3": ["--learning-rate", "1e-3"],
    "2 epochs": ["--epochs", "2"],
    "20 epochs": ["--epochs", "20"],
    "beta 0.3": ["--beta", "0.3"],
    "beta 3": ["--beta", "3"],
    "positional encoding": ["--encoding", "positional"],
    "standard prior": ["--prior", "standard"],
    "gated prior": ["--prior", "gated"],
    "latent dimension 2": ["--latent-dim", "2"],
    "latent dimension 4": ["--latent-dim", "4"],
    "latent dimension 12": ["--latent-dim", "12"],
}
COLUMNS = {
    "whole (Å)": ("whole_resolution_in_angstroms", 1),
    "moving (Å)": ("moving_resolution_in_angstroms", 1),
    "PSNR (dB)": ("psnr_in_decibels", -1),
}


def main() -> None:
    out, simulations = Path(sys.argv[1]), [Path(x) for x in sys.argv[2:]]
    sections = []
    for simulation in simulations:
        folder = out / simulation.name
        folder.mkdir(parents=True, exist_ok=True)
        seconds = {name: reconstruct(simulation, folder, name) for name in VARIANTS}
        frames = {name: evaluate(simulation, folder, name) for name in VARIANTS}
        sections.append(section(simulation.name, frames, seconds))
        write_text(out / "defaults.md", "\n".join(sections))


def run_folder(folder: Path, name: str) -> Path:
    return folder / name.replace(" ", "-")


def reconstruct(simulation: Path, folder: Path, name: str) -> float:
    run = run_folder(folder, name)
    took = run.with_name(f"{run.name}.seconds")
    if not took.exists():
        resume = ["--resume"] if (run / "config.json").exists() else []
        began = time.monotonic()
        call("reconstruct", simulation / "movies.star", "-o", run, *NETWORKS, *VARIANTS[name], *resume)
        write_text(took, str(time.monotonic() - began))
    return float(took.read_text())


def evaluate(simulation: Path, folder: Path, name: str) -> pd.DataFrame:
    run = run_folder(folder, name)
    table = run / "evaluation" / "frames.csv"
    if not (run / "evaluation" / "evaluation.json").exists():
        call("evaluate", run, "--truth", simulation, "--frames", FRAMES, "--no-references")
    return pd.read_csv(table).query("method == 'run'").set_index("image")


def call(*arguments: object) -> None:
    command = [sys.executable, "-m", "temporem", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")


def section(data: str, frames: dict[str, pd.DataFrame], seconds: dict[str, float]) -> str:
    default = frames["defaults"]
    means = ", ".join(f"{name} {default[column].mean():.2f}" for name, (column, _) in COLUMNS.items())
    made = json.dumps({"frames": len(default), "movies": int(default["movie"].nunique())})
    lines = [
        f"### {data}\n",
        f"Defaults: {means}; scored: {made}.\n",
        "| changed | " + " | ".join(f"{name} worse by" for name in COLUMNS) + " | seconds |",
        "|" + "---|" * (len(COLUMNS) + 2),
    ]
    for name, table in frames.items():
        cells = [interval(sign * (table[c] - default[c]), default["movie"]) for c, sign in COLUMNS.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {seconds[name]:.0f} |")
    return "\n".join(lines) + "\n"


def interval(worse: pd.Series, movie: pd.Series) -> str:
    by_movie = worse.groupby(movie).mean().to_numpy()
    drawn = np.random.default_rng(0).choice(by_movie, (2000, len(by_movie))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{by_movie.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    main()
