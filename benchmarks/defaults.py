"""What each option of `temporem reconstruct` is worth: one changed at a time, against the defaults.

    python benchmarks/defaults.py command  OUT SIMULATION [SIMULATION …] [--seed N] [--only VARIANT …]
    python benchmarks/defaults.py networks OUT SIMULATION [SIMULATION …] [--seed N] [--only VARIANT …]

command: options of the command without any, which fits one moving density. networks: those of
`--generator fourier`. Each SIMULATION is a folder of `temporem simulate`; --seed is that of every fit.
OUT/NAME_seed_N/GROUP/VARIANT gets a run and its evaluation; OUT/GROUP_seed_N_figures.md has the figures of
each, OUT/GROUP_seed_N_gain.md what the defaults gain over it, frame by frame, with 95 % intervals over
movies. Finished runs are kept: a second call goes on.
"""

import argparse
from pathlib import Path

from arms import evaluate, gain_over, reconstruct, rows_of, write_tables

FRAMES = 50
DEFAULTS = "defaults"
COMMAND: dict[str, list[str]] = {
    DEFAULTS: [],
    "images not normalised": ["--no-normalise"],
    "particle radius 60 Å": ["--particle-radius-in-angstroms", "60"],
    "method linear": ["--method", "linear"],
    "generator fourier": ["--generator", "fourier"],
    "latent dimension 1": ["--latent-dim", "1"],
    "latent dimension 2": ["--latent-dim", "2"],
    "latent dimension 4": ["--latent-dim", "4"],
    "latent dimension 8": ["--latent-dim", "8"],
}
NETWORKS: dict[str, list[str]] = {
    DEFAULTS: [],
    "pretraining": ["--pretraining"],
    "standard prior": ["--prior", "standard"],
    "gated prior": ["--prior", "gated"],
    "no smoothing": ["--no-smoothing"],
    "width 256": ["--width", "256"],
    "100 frames per batch": ["--frames-per-batch", "100"],
    "20 frames per batch": ["--frames-per-batch", "20"],
    "a tenth of the coefficients": ["--coefficients-per-step", "0.1"],
    "all coefficients": ["--coefficients-per-step", "1"],
    "learning rate 1e-4": ["--learning-rate", "1e-4"],
    "learning rate 1e-3": ["--learning-rate", "1e-3"],
    "2 epochs": ["--epochs", "2"],
    "20 epochs": ["--epochs", "20"],
    "beta 0.3": ["--beta", "0.3"],
    "beta 3": ["--beta", "3"],
    "positional encoding": ["--encoding", "positional"],
    "1 layer": ["--layers", "1"],
    "5 layers": ["--layers", "5"],
    "width 512": ["--width", "512"],
    "features from images": ["--features", "image"],
    "volumes from nothing": ["--no-explicit"],
}
GROUPS = {"command": COMMAND, "networks": {k: ["--generator", "fourier", *v] for k, v in NETWORKS.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("group", choices=tuple(GROUPS))
    parser.add_argument("out", type=Path)
    parser.add_argument("simulations", nargs="+", type=Path, metavar="SIMULATION")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="these besides the defaults")
    asked = parser.parse_args()
    variants = GROUPS[asked.group]
    if unknown := set(asked.only or ()) - set(variants):
        parser.error(f"no variants {sorted(unknown)}; there are {list(variants)}")
    figures, gain = [], []
    for simulation in asked.simulations:
        data = f"{simulation.name}_seed_{asked.seed}"
        folder = asked.out / data / asked.group
        folder.mkdir(parents=True, exist_ok=True)
        for variant, options in variants.items():
            if asked.only and variant not in (DEFAULTS, *asked.only):
                continue
            run = folder / variant.replace(" ", "-")
            took = reconstruct(simulation, run, [*options, "--seed", asked.seed])
            summary = evaluate(simulation, run, ["--frames", FRAMES, "--no-references"])
            figures += rows_of(summary, data, variant, took)
            if variant != DEFAULTS:
                gain.append({"data": data, "over": variant, **gain_over(folder / DEFAULTS, run)})
            stem = f"{asked.group}_seed_{asked.seed}"
            write_tables(asked.out, **{f"{stem}_figures": figures, f"{stem}_gain": gain})


if __name__ == "__main__":
    main()
