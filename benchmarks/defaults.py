"""What each option of the networks is worth: one changed at a time, against the defaults.

    python benchmarks/defaults.py OUT SIMULATION [SIMULATION …]

Each SIMULATION is a folder of `temporem simulate`. OUT/NAME/VARIANT gets a run and its evaluation;
OUT/figures.md has the figures of each, OUT/gain.md what the defaults gain over it, frame by frame, with 95 %
intervals over movies. Finished runs are kept: a second call goes on.
"""

import sys
from pathlib import Path

from arms import evaluate, gain_over, reconstruct, rows_of, write_tables

FRAMES = 50
VARIANTS = {
    "defaults": [],
    "other seed": ["--seed", "1"],
    "width 256": ["--width", "256"],
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
    "no pretraining": ["--no-pretraining"],
    "no smoothing": ["--no-smoothing"],
    "standard prior": ["--prior", "standard"],
    "gated prior": ["--prior", "gated"],
    "latent dimension 2": ["--latent-dim", "2"],
    "latent dimension 4": ["--latent-dim", "4"],
    "latent dimension 12": ["--latent-dim", "12"],
}


def main() -> None:
    out, simulations = Path(sys.argv[1]), [Path(x) for x in sys.argv[2:]]
    figures, gain = [], []
    for simulation in simulations:
        folder = out / simulation.name
        folder.mkdir(parents=True, exist_ok=True)
        for variant, options in VARIANTS.items():
            run = folder / variant.replace(" ", "-")
            took = reconstruct(simulation, run, ["--generator", "fourier", *options])
            summary = evaluate(simulation, run, ["--frames", FRAMES, "--no-references"])
            figures += rows_of(summary, simulation.name, variant, took)
            if variant != "defaults":
                over = gain_over(folder / "defaults", run)
                gain.append({"data": simulation.name, "over": variant, **over})
            write_tables(out, figures=figures, gain=gain)


if __name__ == "__main__":
    main()
